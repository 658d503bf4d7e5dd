"""The reordering detector against a plain oracle of the same definition, and against its traps."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import Attempt, write

REQUEUE = ("nack_requeue", "reject_requeue")
JUDGED = ("requeue", "concurrent_handlers", "competing_consumers", "unknown")


def late(store: DuckDBStore) -> dict[int, tuple[str, frozenset[str], int | None, str]]:
    """n → cause, bases, extent, severity of every late message."""
    runner = Runner(store)
    runner.settle()
    assert not runner.failures
    with store.read() as session:
        rows = session.rows(
            "SELECT message_id, cause, severity, CAST(evidence->'$.late_by' AS VARCHAR[]) AS late_by, CAST(evidence->>'$.extent' AS BIGINT) AS extent"
            " FROM verdicts WHERE kind = 'reordered' AND role = 'late'"
        )
    return {
        int(r["message_id"][1:]): (r["cause"], frozenset(r["late_by"]), r["extent"], r["severity"])
        for r in rows
    }


def oracle(attempts: list[Attempt]) -> dict[int, tuple[str, frozenset[str]]]:
    """The definition of docs/messages.md, section 3, message by message."""
    by_message: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in sorted(attempts, key=lambda a: a.received):
        by_message[attempt.n].append(attempt)
    finals = {
        n: tries[-1]
        for n, tries in by_message.items()
        if tries[-1].settlement not in REQUEUE and sum(not t.redelivered for t in tries) <= 1
    }
    found: dict[int, tuple[str, frozenset[str]]] = {}
    for n, mine in finals.items():
        later = [f for m, f in finals.items() if m > n]
        bases: set[str] = set()
        if any(f.received < mine.received for f in later):
            bases.add("delivery")
        if any(f.settled < mine.settled for f in later):
            bases.add("completion")
        starts = [
            (t.started, t.lane) for m, tries in by_message.items() for t in tries
            if mine.key is not None and t.key == mine.key and (t.k or 0) > (mine.k or 0) and m != n
        ]  # fmt: skip
        first = min(starts, default=None)
        if first is not None and first[0] < mine.settled:
            bases.add("ordering_key")
        if not bases:
            continue
        requeued = any(t.settlement in REQUEUE for t in by_message[n])
        same_lane = [f for f in later if f.lane == mine.lane]
        if requeued and bases & {"delivery", "ordering_key"}:
            cause = "requeue"
        elif mine.redelivered and not requeued:
            cause = "channel_closed"
        elif "delivery" in bases:
            cause = (
                "unknown"
                if any(f.received < mine.received for f in same_lane)
                else "competing_consumers"
            )
        elif "completion" in bases:
            cause = (
                "concurrent_handlers"
                if any(f.settled < mine.settled for f in same_lane)
                else "competing_consumers"
            )
        else:
            cause = (
                "concurrent_handlers"
                if first is not None and first[1] == mine.lane
                else "competing_consumers"
            )
        if cause in JUDGED:
            found[n] = (cause, frozenset(bases))
    return found


@st.composite
def histories(draw: Any) -> list[Attempt]:
    """Messages on two consuming channels, some requeued, some lost to a closed channel, some keyed;
    all times differ, tags count up by time on each channel."""
    count = draw(st.integers(1, 8))
    plan: list[tuple[int, int, str, bool, str | None]] = []
    for n in range(1, count + 1):
        key = draw(st.sampled_from([None, "aaaaaaaa", "bbbbbbbb"]))
        tries = draw(st.integers(1, 3))
        for index in range(tries):
            last = index == tries - 1
            ending = draw(
                st.sampled_from(
                    ["ack", "reject_drop"] if last else ["nack_requeue", "reject_requeue"]
                )
            )
            plan.append(
                (n, draw(st.integers(1, 2)), ending, index > 0 or draw(st.integers(0, 9)) == 0, key)
            )
    times = draw(st.permutations(range(1, 2 * len(plan) + 1)))
    counted: dict[str, int] = defaultdict(int)
    ks: dict[int, int] = {}
    for n, *_, key in plan:
        if key is not None and n not in ks:
            counted[key] += 1
            ks[n] = counted[key]
    by_message: dict[int, list[tuple[int, int]]] = defaultdict(list)
    pairs = [tuple(sorted(times[2 * i : 2 * i + 2])) for i in range(len(plan))]
    for (n, *_), pair in zip(plan, pairs, strict=True):
        by_message[n].append((pair[0], pair[1]))
    attempts: list[Attempt] = []
    for n, lane, ending, redelivered, key in plan:
        spans = sorted(by_message[n])
        index = sum(a.n == n for a in attempts)
        attempts.append(
            Attempt(
                n, lane, 0, spans[index][0], spans[index][1], ending, redelivered, key, ks.get(n)
            )
        )
    tags: dict[int, int] = defaultdict(int)
    tagged: list[Attempt] = []
    for attempt in sorted(attempts, key=lambda a: a.received):
        tags[attempt.lane] += 1
        tagged.append(attempt.but(tag=tags[attempt.lane]))
    return tagged


@settings(max_examples=100, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_the_detector_agrees_with_its_oracle(attempts: list[Attempt], random: Any) -> None:
    random.shuffle(attempts)
    store = DuckDBStore.open(":memory:")
    try:
        write(store, attempts)
        assert {n: (cause, bases) for n, (cause, bases, _, _) in late(store).items()} == oracle(
            attempts
        )
    finally:
        store.close()


def in_order(count: int) -> list[Attempt]:
    return [Attempt(n, 1, n, 10 * n, 10 * n + 5) for n in range(1, count + 1)]


def test_order_kept_is_no_finding(store: DuckDBStore) -> None:
    write(store, in_order(20))
    assert late(store) == {}


def test_a_requeue_is_named_with_its_rfc_4737_extent(store: DuckDBStore) -> None:
    history = in_order(5)
    history[1] = history[1].but(settlement="nack_requeue")
    history.append(Attempt(2, 1, 6, 100, 105, redelivered=True))
    write(store, history)
    assert late(store) == {2: ("requeue", frozenset({"delivery", "completion"}), 3, "warning")}


def test_concurrent_handlers_without_a_wish_for_order_are_only_info(store: DuckDBStore) -> None:
    history = in_order(3)
    history[0] = history[0].but(settled=99)
    write(store, history)
    assert late(store) == {1: ("concurrent_handlers", frozenset({"completion"}), 2, "info")}


def test_a_single_active_consumer_queue_asks_for_order(store: DuckDBStore) -> None:
    history = in_order(3)
    history[0] = history[0].but(settled=99)
    write(store, history, {"x-single-active-consumer": True})
    assert late(store)[1][3] == "error"


def test_priorities_may_overtake(store: DuckDBStore) -> None:
    history = [Attempt(1, 1, 2, 20, 25, priority=0), Attempt(2, 1, 1, 10, 15, priority=5)]
    write(store, history, {"x-max-priority": 9})
    assert late(store) == {}


def test_priority_explains_nothing_in_a_queue_without(store: DuckDBStore) -> None:
    history = [Attempt(1, 1, 2, 20, 25, priority=0), Attempt(2, 1, 1, 10, 15, priority=5)]
    write(store, history, {})
    assert late(store)[1][0] == "unknown"


@pytest.mark.parametrize(
    "change",
    [
        {"death": ("work|rejected|1|x|k",)},
        {"queue": "amq.rabbitmq.reply-to"},
        {"settlement": "nack_requeue"},
    ],
    ids=["came back dead-lettered", "reply", "not settled for good"],
)
def test_where_amqp_promises_nothing_nothing_is_claimed(
    store: DuckDBStore, change: dict[str, Any]
) -> None:
    history = [Attempt(1, 1, 2, 20, 25).but(**change), Attempt(2, 1, 1, 10, 15)]
    write(store, history)
    assert late(store) == {}


def test_a_redelivery_after_a_closed_channel_is_recognised_and_not_claimed(
    store: DuckDBStore,
) -> None:
    history = [Attempt(1, 2, 1, 20, 25, redelivered=True), Attempt(2, 1, 1, 10, 15)]
    write(store, history)
    assert late(store) == {}


def test_a_log_like_stream_queue_promises_no_queue_order(store: DuckDBStore) -> None:
    history = [Attempt(1, 1, 2, 20, 25), Attempt(2, 1, 1, 10, 15)]
    write(store, history, {"x-queue-type": "stream"})
    assert late(store) == {}
