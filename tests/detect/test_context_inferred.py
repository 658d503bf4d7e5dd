"""``context_lost`` without stamps: what ids tell of deliveries that continue no trace, and what they do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import emptied, put
from tests.detect.judged import runner_of
from tests.detect.test_inferred import delivery, publish
from tests.support.rounds import rounds

Rows = dict[str, list[dict[str, Any]]]
ALONE = {"message": None, "publish_trace_id": None, "publish_span_id": None}
CONTEXT = {"context_trace_id": "c" * 32, "context_span_id": "c" * 16}
MINUTE = 60_000_000_000


def orphan(n: int, index: int, **more: Any) -> dict[str, Any]:
    row = delivery(n, index, 100 + index, 105 + index, message_id=f"m{n}", **ALONE)
    return {**row, "trace_id": f"{index + 900:032x}", **more}


def continuing(n: int, index: int, **more: Any) -> dict[str, Any]:
    return delivery(n, index, 100 + index, 105 + index, message_id=f"m{n}", **CONTEXT, **more)


def told(store: DuckDBStore, only: bool = True) -> list[tuple[str, str | None]]:
    """Messages and queues of those that lost their context, by ids."""
    runner = runner_of(store, ["context_lost", "context_lost_inferred"]) if only else Runner(store)
    runner.settle()
    assert not runner.failures
    with store.read() as session:
        rows = session.rows("SELECT * FROM verdicts ORDER BY message, queue")
    assert {(r["kind"], r["severity"], r["confidence"]) for r in rows} <= {
        ("context_lost", "warning", "inferred")
    }
    return [(r["message"], r["queue"]) for r in rows]


def sent(*numbers: int, **more: Any) -> list[dict[str, Any]]:
    return [publish(n, n, n + 1, **more) for n in numbers]


@pytest.mark.parametrize("ids", [{}, {"message_id": None, "correlation_id": "talk"}], ids=str)
def test_the_publish_is_known_by_an_id(store: DuckDBStore, ids: dict[str, Any]) -> None:
    put(store, {"publish_facts": sent(1, **ids), "delivery_facts": [orphan(1, 1, **ids)]})
    assert told(store) == [("m1", "q")]


def test_where_context_comes_to_one_of_two_queues_the_other_lost_it(store: DuckDBStore) -> None:
    deliveries = [continuing(1, 1, queue="p", service="a"), orphan(1, 2)]
    put(store, {"publish_facts": sent(1), "delivery_facts": deliveries})
    assert told(store) == [("m1", "q")]


def test_a_redelivery_is_the_same_loss(store: DuckDBStore) -> None:
    put(store, {"publish_facts": sent(1), "delivery_facts": [orphan(1, 1), orphan(1, 2)]})
    assert told(store) == [("m1", "q")]


TALK = {"message_id": None, "correlation_id": "talk"}


@pytest.mark.parametrize(
    ("publishes", "deliveries"),
    [
        pytest.param([*sent(1), *sent(2, message_id="m1"), *sent(*range(3, 20))], [orphan(1, 1)], id="an id twice"),
        pytest.param([*sent(1), *(p for n in range(2, 9) for p in sent(n, message_id="all"))], [orphan(1, 1)], id="ids that name kinds"),
        pytest.param(sent(1), [orphan(1, 1, exchange="y")], id="a copy elsewhere"),
        pytest.param(sent(1), [orphan(1, 1, routing_key="l")], id="a copy by another key"),
        pytest.param(sent(1, vhost="a"), [orphan(1, 1, vhost="b")], id="another vhost"),
        pytest.param(sent(1, environment="staging"), [orphan(1, 1)], id="another environment"),
        pytest.param(sent(1, outcome="returned"), [orphan(1, 1)], id="it was returned"),
        pytest.param([publish(1, 5 * MINUTE, 5 * MINUTE)], [orphan(1, 1)], id="sent long after"),
        pytest.param(sent(1), [orphan(1, 1), continuing(1, 2)], id="a second span of one delivery"),
        pytest.param(sent(1), [orphan(1, 1, handled_end_ns=None)], id="taken, handled elsewhere"),
        pytest.param(sent(1), [orphan(1, 1, **CONTEXT)], id="it has a parent"),
        pytest.param(sent(1), [orphan(1, 1, stamp="1.0123456789abcdef.1.1.0000", stamp_ok=False)], id="its stamp says otherwise"),
        pytest.param(sent(1, **TALK, exchange="", routing_key="rpc"), [orphan(1, 1, **TALK, exchange="", routing_key="answers")], id="the answer, not the question"),
        pytest.param(sent(1, **TALK), [orphan(1, 1, **TALK, routing_key=None)], id="a conversation alone"),
        pytest.param(sent(1, 2, **TALK), [orphan(1, 1, **TALK)], id="two of one conversation"),
        pytest.param(sent(1, exchange="", routing_key="amq.rabbitmq.reply-to.x"), [orphan(1, 1, queue="amq.rabbitmq.reply-to", exchange="", routing_key="amq.rabbitmq.reply-to.x")], id="a reply"),
    ],
)  # fmt: skip
def test_where_ids_do_not_decide_nothing_is_claimed(
    store: DuckDBStore, publishes: list[dict[str, Any]], deliveries: list[dict[str, Any]]
) -> None:
    put(store, {"publish_facts": publishes, "delivery_facts": deliveries})
    assert told(store) == []


def test_the_handling_of_a_batch_has_its_links(store: DuckDBStore) -> None:
    one = orphan(1, 1)
    links = [
        {"batch": 1, "trace_id": one["trace_id"], "span_id": one["span_id"], "to_trace_id": f"{n:032x}", "to_span_id": f"{n:016x}"}
        for n in (1, 2)
    ]  # fmt: skip
    put(store, {"publish_facts": sent(1), "delivery_facts": [one], "span_links": links})
    assert told(store) == []


def test_messages_whose_deliveries_lost_their_context_are_not_lost_too(store: DuckDBStore) -> None:
    numbers = range(1, 7)
    rows = [(orphan if n == 3 else continuing)(n, n, received_ns=10 * n + 5) for n in numbers]
    publishes = [publish(n, 10 * n, 10 * n + 1) for n in numbers]
    put(store, {"publish_facts": publishes, "delivery_facts": rows})
    with store.write() as session:
        session.execute("INSERT INTO processes VALUES ('c1', 'c', 'h', 1, $now, $now)", {"now": 2 * MINUTE})  # fmt: skip
    assert told(store, only=False) == [("m3", "q")]


@pytest.fixture(scope="module")
def reused() -> Iterator[DuckDBStore]:
    found = DuckDBStore.open(":memory:")
    yield found
    found.close()


@st.composite
def histories(draw: st.DrawFn) -> tuple[Rows, set[tuple[str, str]]]:
    """Publishes with ids of their own or shared, deliveries with and without context in two queues; the
    (message, queue) that lost it."""
    count = draw(st.integers(1, 8))
    ids = [f"m{n}" if draw(st.integers(0, 5)) else "m1" for n in range(1, count + 1)]
    seen = [draw(st.integers(0, 4)) > 0 for _ in ids]
    publishes = [publish(n, n, n + 1, message_id=name) for n, name in enumerate(ids, 1) if seen[n - 1]]  # fmt: skip
    deliveries: list[dict[str, Any]] = []
    lost: set[tuple[str, str]] = set()
    often = Counter(p["message_id"] for p in publishes)
    telling = len(often) >= 0.8 * len(publishes)
    for n, name in enumerate(ids, 1):
        for number, queue in enumerate(("q", "r")):
            how = draw(st.sampled_from(["none", "kept", "lost", "lost"]))
            more = {"queue": queue, "service": queue, "message_id": name}
            if how == "kept" and seen[n - 1]:
                deliveries.append({**continuing(n, 10 * n + number), **more})
            elif how == "lost":
                deliveries.append({**orphan(n, 10 * n + number), **more})
                if telling and often[name] == 1:
                    lost.add((next(p["message"] for p in publishes if p["message_id"] == name), queue))  # fmt: skip
    kept = {(d["message"], d["queue"]) for d in deliveries if d["message"] is not None}
    return {"publish_facts": publishes, "delivery_facts": deliveries}, lost - kept


@settings(max_examples=rounds(10), deadline=None)
@given(story=histories(), loads=st.integers(1, 2), seed=st.integers(0, 99))
def test_exactly_what_one_id_names_lost_its_context_in_any_order_of_arrival(
    reused: DuckDBStore, story: tuple[Rows, set[tuple[str, str]]], loads: int, seed: int
) -> None:
    rows, lost = story
    store = emptied(reused)
    mixed = [(table, row) for table, lines in rows.items() for row in lines]
    Random(seed).shuffle(mixed)
    found: set[tuple[str, str | None]] = set()
    for batch in range(1, loads + 1):
        tables: Rows = {}
        for table, row in mixed[batch - 1 :: loads]:
            tables.setdefault(table, []).append({**row, "batch": batch, "first_batch": batch})
        put(store, tables, batch)
        found = set(told(store))
    assert found == lost
