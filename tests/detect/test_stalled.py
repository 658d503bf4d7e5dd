"""Queues that stop: what waits, since when, and when that is nobody's alarm."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import (
    Attempt,
    S,
    away,
    binding,
    delivery_row,
    emptied,
    exchange,
    put,
    queue,
    write,
)
from tests.detect.test_reordered import reused  # noqa: F401 - a fixture
from tests.support.rounds import rounds

LAST = 100_000 * S


def tell(store: DuckDBStore, sent: dict[int, int], got: dict[int, int], *more: dict[str, Any], words: list[dict[str, Any]] | None = None, publish: dict[str, Any] | None = None, **arguments: Any) -> None:  # fmt: skip
    """Messages by ``n`` with the seconds at which they were sent and came out of the queue."""
    order = sorted(got, key=lambda n: (got[n], n))
    attempts = [Attempt(n, 1, tag, got[n] * S, got[n] * S + 1) for tag, n in enumerate(order, 1)]
    published = {n: {"start_ns": at * S, "end_ns": at * S + 1, **(publish or {})} for n, at in sent.items()}  # fmt: skip
    parts = (exchange("x", "direct"), queue("work", **arguments), binding("x", "work", "k"))
    topology = [{**part, "seen_ns": at} for at in (1, LAST) for part in parts]
    write(store, attempts, None, published, words, [*topology, *more])


def stalls(store: DuckDBStore, now_s: float, *, live: bool = False) -> dict[int, tuple[int, bool]]:
    """n → seconds waited, whether it is over. ``live``: judged before too, when the time of events had not come so far."""
    runner = Runner(store)
    if live:
        runner.run()
    runner.settle(now_ns=int(now_s * S))
    assert not runner.failures
    with store.read() as session:
        rows = session.rows(
            "SELECT message, severity, confidence, CAST(evidence->>'$.waited_ns' AS BIGINT) AS waited, evidence->>'$.ended_ns' AS ended"
            " FROM verdicts WHERE kind = 'stalled'"
        )
    assert {(r["severity"], r["confidence"]) for r in rows} <= {("warning", "inferred")}
    return {
        int(r["message"].rsplit(".", 1)[1]): (round(r["waited"] / S), r["ended"] is not None)
        for r in rows
    }


def oracle(sent: dict[int, int], got: dict[int, int], now: int) -> dict[int, tuple[int, bool]]:
    """By the words of the definition, second by second of the queue's life."""
    found: dict[int, tuple[int, bool]] = {}
    outs = sorted(set(got.values()))
    newest = max((sent[n] for n in got), default=-1)
    for n in sorted(sent):
        for index, last in enumerate(outs):
            then = outs[index + 1] if index + 1 < len(outs) else None
            earlier = max((b - a for a, b in itertools.pairwise(outs[: index + 1])), default=0)  # fmt: skip
            patience = max(300, 3 * earlier)
            until = now if then is None else then
            waits = (got[n] >= then and sent[n] < then) if then is not None and n in got else (
                then is None and n not in got and sent[n] > newest)  # fmt: skip
            if waits and until - max(sent[n], last) >= patience and n not in found:
                found[n] = (until - max(sent[n], last), then is not None)
    return found


@settings(max_examples=rounds(10), deadline=None)
@given(st.data())
def test_the_detector_agrees_with_its_oracle(reused: DuckDBStore, data: Any) -> None:  # noqa: F811
    count = data.draw(st.integers(2, 7))
    pauses = st.sampled_from([1, 5, 60, 299, 300, 301, 700, 2000])
    sent: dict[int, int] = {}
    got: dict[int, int] = {}
    clock, out = 10, 10
    for n in range(1, count + 1):
        clock += data.draw(pauses)
        sent[n] = clock
        if n <= data.draw(st.integers(1, count)) and len(got) == n - 1:
            out = max(out, clock) + data.draw(pauses)
            got[n] = out
    if not got:
        got[1] = max(out, sent[1]) + 1
    now = max(*sent.values(), *got.values()) + data.draw(pauses)
    tell(emptied(reused), sent, got)
    assert stalls(reused, now, live=data.draw(st.booleans())) == oracle(sent, got, now)


SENT = {1: 10, 2: 20, 3: 30}


def test_what_waits_for_five_minutes_has_stalled(store: DuckDBStore) -> None:
    tell(store, SENT, {1: 11})
    assert stalls(store, 340) == {2: (320, False), 3: (310, False)}


def test_a_consumer_gone_for_less_alarms_nobody(store: DuckDBStore) -> None:
    tell(store, SENT, {1: 11, 2: 300, 3: 301})
    assert stalls(store, 302) == {}


def test_a_stall_that_ended_stays_with_its_end(store: DuckDBStore) -> None:
    tell(store, SENT, {1: 11, 2: 400, 3: 401})
    assert stalls(store, 500) == {2: (380, True), 3: (370, True)}


def test_what_came_out_while_no_collector_listened_nobody_knows(store: DuckDBStore) -> None:
    tell(store, SENT, {1: 11, 2: 500, 3: 501})
    away(store, 100, 400)
    assert stalls(store, 600) == {}


def test_what_had_stalled_before_the_collector_was_away_has(store: DuckDBStore) -> None:
    tell(store, SENT, {1: 11})
    away(store, 400, 450)
    assert stalls(store, 500) == {2: (380, False), 3: (370, False)}


def test_what_stalls_after_the_collector_was_away_does(store: DuckDBStore) -> None:
    tell(store, SENT, {1: 11})
    away(store, 100, 400)
    assert stalls(store, 699) == {}
    assert stalls(store, 701) == {2: (301, False), 3: (301, False)}


@pytest.mark.parametrize("now", [402, 550, 690, 710])
def test_a_stall_whose_end_was_to_come_when_it_was_judged_is_judged_again(
    store: DuckDBStore, now: int
) -> None:
    tell(store, SENT, {1: 11, 2: 400, 3: 401})
    assert stalls(store, now, live=True) == {2: (380, True), 3: (370, True)}


def test_a_queue_used_to_long_waits_is_given_three_times_the_longest(store: DuckDBStore) -> None:
    tell(store, {1: 10, 2: 20, 3: 1100}, {1: 11, 2: 251})
    assert stalls(store, 1800) == {}
    assert stalls(store, 1820) == {3: (720, False)}


def test_an_idle_queue_is_not_stalled(store: DuckDBStore) -> None:
    tell(store, {1: 10, 2: 5000}, {1: 11, 2: 5001})
    assert stalls(store, 90_000) == {}


def test_a_queue_that_nobody_was_seen_to_consume_is_not_judged(store: DuckDBStore) -> None:
    tell(store, SENT, {})
    assert stalls(store, 5000) == {}


def test_what_expires_or_was_purged_does_not_wait(store: DuckDBStore) -> None:
    tell(store, SENT, {1: 11}, {**queue("work", messages=2), "action": "purge", "seen_ns": 40 * S})
    assert stalls(store, 5000) == {}
    tell(emptied(store), SENT, {1: 11}, **{"x-message-ttl": 1000})
    assert stalls(store, 5000) == {}


@pytest.mark.parametrize("publish", [{"outcome": "returned"}, {"delay_ms": 9}, {"expiration_ms": 9}], ids=str)  # fmt: skip
def test_what_the_broker_has_not_got_does_not_wait(
    store: DuckDBStore, publish: dict[str, Any]
) -> None:
    tell(store, SENT, {1: 11}, publish=publish)
    assert stalls(store, 5000) == {}


@pytest.mark.parametrize(("outcome", "waits"), [("confirmed", {2, 3}), ("unconfirmed", set())])
def test_what_a_full_queue_may_have_refused_does_not_wait(
    store: DuckDBStore, outcome: str, waits: set[int]
) -> None:
    tell(store, SENT, {1: 11}, publish={"outcome": outcome}, **{"x-max-length": 2, "x-overflow": "reject-publish"})  # fmt: skip
    assert set(stalls(store, 400)) == waits


def test_of_a_queue_that_drops_its_oldest_the_newest_wait(store: DuckDBStore) -> None:
    tell(store, SENT, {1: 11}, **{"x-max-length": 1})
    assert set(stalls(store, 400)) == {3}


def test_a_handler_that_is_still_at_it_was_given_something(store: DuckDBStore) -> None:
    told = {"consumers": [{"channel": 1, "queues": ["work"], "delivery_tag": 2}], "at_unix_nano": 100 * S}  # fmt: skip
    tell(store, SENT, {1: 11}, words=[told])
    assert stalls(store, 390) == {}
    assert set(stalls(store, 401)) == {2, 3}


def test_messages_that_foreign_spans_tell_of_stall_too(store: DuckDBStore) -> None:
    tell(store, SENT, {1: 11}, publish={"outcome": None, "source": "spans", "epoch": None, "channel": None})  # fmt: skip
    assert set(stalls(store, 400)) == {2, 3}


@pytest.mark.parametrize(("broker", "stalled"), [(None, False), ("another", True)])
def test_what_a_consumer_that_names_no_broker_took_does_not_wait(
    store: DuckDBStore, broker: str | None, stalled: bool
) -> None:
    """One consumer ended, the other goes on; which broker its queue of that name is at nobody says."""
    tell(store, {1: 10, 2: 100}, {1: 20})
    silent = {
        **delivery_row(9, Attempt(2, 1, 1, 110 * S, 111 * S)), "source": "spans", "broker": broker,
        "vhost": None, "epoch": None, "channel": None, "stamp": None, "service": "java",
    }  # fmt: skip
    put(store, {"delivery_facts": [silent]}, 2)
    assert (stalls(store, 1000) != {}) is stalled
