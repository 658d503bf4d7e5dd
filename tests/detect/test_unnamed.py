"""Deliveries whose queue no span names (Spring under newer Java agents, contrib's Python): a loop is told only
where it is one whichever queues these are."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.detect.words.fate import redelivery_loop
from strayline_collector.detect.words.routing import outlier
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import (
    Attempt,
    binding,
    emptied,
    exchange,
    publish_row,
    put,
    queue,
    rows_of,
    write,
)
from tests.detect.judged import runner_of
from tests.detect.test_inferred import delivery, publish
from tests.detect.test_lost import census
from tests.support.rounds import rounds

Row = dict[str, Any]
LOOPS = ("redelivery_loop", "redelivery_loop_unnamed")


@pytest.fixture(scope="module")
def reused() -> Iterator[DuckDBStore]:
    found = DuckDBStore.open(":memory:")
    yield found
    found.close()


def handlings(ids: Iterator[int], n: int, failed: Sequence[bool], **more: Any) -> list[Row]:
    """Message ``n``, handled so often in one service."""
    made = [(next(ids), wrong) for wrong in failed]
    return [
        delivery(n, index, index * 10, index * 10 + 5, failed=wrong, **{"queue": None, **more})
        for index, wrong in made
    ]


def judged(store: DuckDBStore, loads: Sequence[list[Row]], only: Sequence[str] = LOOPS) -> list[Row]:  # fmt: skip
    """What stands of loops after every load came, each judged before the next."""
    runner, known = runner_of(store, only), set[str]()
    for batch, deliveries in enumerate(loads, start=1):
        new = sorted({d["message"] for d in deliveries} - known)
        known.update(new)
        publishes = [publish(int(m[1:]), 1, 2) for m in new]
        rows = {"publish_facts": publishes, "delivery_facts": deliveries}
        for row in (*publishes, *deliveries):
            row.update(batch=batch, first_batch=batch)
        put(store, rows, batch)
        runner.run()
        assert not runner.failures
    runner.settle()
    with store.read() as session:
        return session.rows("SELECT * FROM verdicts WHERE kind = 'redelivery_loop'")


def well(ids: Iterator[int], queues: int, messages: int = 5, **more: Any) -> list[Row]:
    return [d for n in range(messages) for d in handlings(ids, 100 + n, [False] * queues, **more)]


@pytest.mark.parametrize("name", [None, "*"])
@pytest.mark.parametrize("known", [False, True])
def test_five_queues_that_each_failed_once_are_no_loop(
    store: DuckDBStore, known: bool, name: str | None
) -> None:
    ids = iter(range(1, 1000))
    rows = handlings(ids, 1, [True] * 5, queue=name)
    assert judged(store, [rows + (well(ids, 5, queue=name) if known else [])]) == []


@pytest.mark.parametrize("witnesses_first", [False, True])
def test_one_queue_that_failed_five_times_is_a_loop(
    store: DuckDBStore, witnesses_first: bool
) -> None:
    """That the service has one queue there is known by messages that went well."""
    ids = iter(range(1, 1000))
    loads = [handlings(ids, 1, [True] * 5), well(ids, 1)]
    (found,) = judged(store, loads[::-1] if witnesses_first else loads)
    assert (found["message"], found["queue"], found["consumer_service"]) == ("m1", None, "c")
    assert (found["severity"], found["confidence"]) == ("warning", "inferred")
    title = redelivery_loop({**found, "count": 1}, {}).title
    assert title == "Messages go round in a queue of c that no span names"


def test_a_message_that_went_well_in_more_queues_takes_the_loop_back(store: DuckDBStore) -> None:
    ids = iter(range(1, 1000))
    loads = [handlings(ids, 1, [True] * 5), well(ids, 1), handlings(ids, 99, [False, False])]
    assert judged(store, loads) == []


@pytest.mark.parametrize(("tries", "loops"), [(80, 0), (81, 1)])
def test_where_nothing_tells_how_many_queues_there_are_twenty_are_assumed(
    store: DuckDBStore, tries: int, loops: int
) -> None:
    ids = iter(range(1, 1000))
    assert len(judged(store, [handlings(ids, 1, [True] * tries), well(ids, 1, 4)])) == loops


@pytest.mark.parametrize(("kind", "loops"), [("headers", 0), ("topic", 1)])
def test_of_a_headers_exchange_nothing_is_known_by_other_messages(
    store: DuckDBStore, kind: str, loops: int
) -> None:
    put(store, {"topology_facts": rows_of([], topology=[exchange("x", kind)])["topology_facts"]})
    ids = iter(range(1, 1000))
    assert len(judged(store, [handlings(ids, 1, [True] * 5) + well(ids, 1)])) == loops


def test_a_queue_whose_messages_may_have_come_without_its_name_is_not_silent(
    store: DuckDBStore,
) -> None:
    """The topology leads to ``work``; a consumer there names no queue."""
    bound = [exchange("x", "direct"), queue("work"), binding("x", "work", "k")]
    facts = rows_of([], topology=[{**item, "seen_ns": at} for at in (1, 10_000) for item in bound])
    sent = [publish_row(n) for n in range(1, 31)]
    came = [
        {**delivery(n, n, 100 + n, 105 + n, queue=None), "message": sent[n - 1]["message"]}
        for n in range(1, 31)
    ]
    put(store, {**facts, "publish_facts": sent, "delivery_facts": came})
    runner = runner_of(store, ["uninstrumented"])
    runner.settle()
    assert not runner.failures
    with store.read() as session:
        assert session.rows("SELECT queue FROM verdicts") == []


@pytest.mark.parametrize(("name", "missing"), [(None, 0), ("elsewhere", 2)])
def test_what_came_from_a_queue_without_a_name_is_missing_in_none(
    store: DuckDBStore, name: str | None, missing: int
) -> None:
    places = ("audit", "work")
    bound = [exchange("x", "direct")]
    bound += [item for place in places for item in (queue(place), binding("x", place, "k"))]
    ways = [(n, place) for n in (1, 2, 3, 4, 6) for place in places]
    got = [
        Attempt(n, 1, tag, 1000 + 10 * tag, 1005 + 10 * tag, queue=place)
        for tag, (n, place) in enumerate(ways, 1)
    ]
    published = {n: {"start_ns": 100 + n, "end_ns": 100 + n} for n in range(1, 7)}
    topology = [{**item, "seen_ns": at} for at in (1, 10_000) for item in bound]
    write(store, got, None, published, [census(2000, len(got), last=True)], topology)
    one = {**delivery(5, 5, 1050, 1055, queue=name), "message": publish_row(5)["message"]}
    put(store, {"delivery_facts": [{**one, "exchange": "x", "routing_key": "k"}]})
    runner = runner_of(store, ["lost"])
    runner.settle(now_ns=10_000)
    assert not runner.failures
    with store.read() as session:
        assert len(session.rows("SELECT queue FROM verdicts WHERE kind = 'lost'")) == missing


@pytest.mark.parametrize("name", [None, "shipping"])
def test_an_outlier_is_one_whichever_queue_it_came_into(
    store: DuckDBStore, name: str | None
) -> None:
    """Forty are created, one of them with the key of what another operation sends."""
    wrong, ways = 7, {"created": range(1, 41), "paid": range(41, 81)}
    sent = [
        publish(n, n, n + 1, operation=way, routing_key="paid" if n == wrong else way)
        for way, numbers in ways.items() for n in numbers
    ]  # fmt: skip
    came = [
        delivery(p["start_ns"], p["start_ns"], 500, 505, routing_key=p["routing_key"], queue=name)
        for p in sent
    ]
    put(store, {"publish_facts": sent, "delivery_facts": came})
    runner = runner_of(store, ["outlier"])
    runner.settle()
    assert not runner.failures
    with store.read() as session:
        (found,) = session.rows("SELECT *, evidence->'$.actual_queues' AS came FROM verdicts")
    assert (found["message"], found["queue"], found["consumer_service"]) == (f"m{wrong}", name, "c")
    assert found["came"] == ("[]" if name is None else f'["{name}"]')
    said = outlier({**found, "count": 1}, json.loads(found["evidence"])).explanation
    assert f"into {name or 'a queue that no span names'}, while" in said


@settings(max_examples=rounds(10), deadline=None)
@given(
    tries=st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=4), min_size=1, max_size=4),
    seed=st.randoms(use_true_random=False),
    loads=st.integers(1, 3),
)
def test_no_loop_is_told_that_is_none_and_order_changes_nothing(
    reused: DuckDBStore, tries: list[list[int]], seed: random.Random, loads: int
) -> None:  # fmt: skip
    """Of each message: how often each queue's listener failed on it, before it succeeded."""
    queues = max(map(len, tries))
    ids = iter(range(1, 1000))
    rows = well(ids, queues)
    for n, failures in enumerate(tries):
        for failed in failures + [0] * (queues - len(failures)):
            rows += handlings(ids, n, [True] * failed + [False])
    seed.shuffle(rows)
    told = {r["message"] for r in judged(emptied(reused), [rows[k::loads] for k in range(loads)])}
    real = {f"m{n}" for n, failures in enumerate(tries) if max(failures) >= 5}
    certain = {f"m{n}" for n, failures in enumerate(tries) if sum(failures) > 4 * queues}
    assert told == certain
    assert certain <= real
