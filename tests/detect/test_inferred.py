"""The rules for spans alone against plain oracles: the interval rule, and what is usual for a kind."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect import histories
from tests.support.rounds import rounds

MS = 1_000_000
SECOND = 1000 * MS


def put(
    store: DuckDBStore, publishes: list[dict[str, Any]], deliveries: list[dict[str, Any]]
) -> None:
    histories.put(store, {"publish_facts": publishes, "delivery_facts": deliveries})


def verdicts(store: DuckDBStore) -> list[dict[str, Any]]:
    runner = Runner(store)
    runner.settle()
    assert not runner.failures
    with store.read() as session:
        return session.rows(
            "SELECT *, CAST(evidence->'$.late_by' AS VARCHAR[]) AS late_by FROM verdicts WHERE role NOT IN ('overtaker')"
        )


def publish(n: int, start: int, end: int, **more: Any) -> dict[str, Any]:
    return {
        "batch": 1, "first_batch": 1, "message": f"m{n}", "source": "spans", "broker": "b", "exchange": "x", "routing_key": "k", "service": "p", "instance": "p1",
        "stamp_ok": False, "message_id": f"m{n}", "trace_id": f"{n:032x}", "span_id": f"{n:016x}", "operation": "op", "operation_span_id": f"{n:016x}",
        "start_ns": start, "end_ns": end, **more,
    }  # fmt: skip


def delivery(n: int, index: int, start: int, end: int, **more: Any) -> dict[str, Any]:
    return {
        "batch": 1, "first_batch": 1, "message": f"m{n}", "source": "spans", "broker": "b", "queue": "q", "exchange": "x", "routing_key": "k", "service": "c", "instance": "c1",
        "trace_id": f"{n:032x}", "span_id": f"{index:016x}", "publish_trace_id": f"{n:032x}", "publish_span_id": f"{n:016x}", "received_ns": start,
        "handled_start_ns": start, "handled_end_ns": end, "failed": False, "settlement": None, **more,
    }  # fmt: skip


@st.composite
def traffic(draw: Any) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int, bool]], bool]:
    """Publishes (n, start, end), handlings (n, start, end, requeued), and whether clocks tick in ms."""
    coarse = draw(st.booleans())
    unit = MS if coarse else 1
    clock = 0
    publishes: list[tuple[int, int, int]] = []
    handlings: list[tuple[int, int, int, bool]] = []
    for n in range(1, draw(st.integers(1, 7)) + 1):
        clock += draw(st.integers(0, 25))
        length = draw(st.integers(0, 15))
        publishes.append((n, clock * unit, (clock + length) * unit))
        at = clock + draw(st.integers(0, 60))
        for index in range(draw(st.integers(1, 2))):
            took = draw(st.integers(0, 40))
            handlings.append((n, at * unit, (at + took) * unit, index > 0))
            at += took + draw(st.integers(1, 40))
    last: dict[int, int] = {n: i for i, (n, *_) in enumerate(handlings)}
    return publishes, [(n, s, e, i != last[n]) for i, (n, s, e, _) in enumerate(handlings)], coarse


def interval_oracle(
    publishes: list[tuple[int, int, int]], handlings: list[tuple[int, int, int, bool]]
) -> dict[int, tuple[str, set[str]]]:
    whole_ms = all(s % MS == 0 for _, s, _ in publishes) or all(
        s % MS == 0 for _, s, _, requeued in handlings if not requeued
    )
    gap = 10 * MS if whole_ms else 1
    finals = {n: (s, e) for n, s, e, requeued in handlings if not requeued}
    requeues = {n for n, _, _, requeued in handlings if requeued}
    found: dict[int, tuple[str, set[str]]] = {}
    for a, _, a_end in publishes:
        bases: set[str] = set()
        for b, b_start, _ in publishes:
            if b_start >= a_end + gap:
                bases |= {"delivery"} if finals[b][0] + gap <= finals[a][0] else set()
                bases |= {"completion"} if finals[b][1] + gap <= finals[a][1] else set()
        if bases:
            cause = (
                ("requeue" if a in requeues else "unknown")
                if "delivery" in bases
                else "concurrent_handlers"
            )
            found[a] = (cause, bases)
    return found


@settings(max_examples=rounds(15), deadline=None)
@given(traffic())
def test_the_interval_rule_agrees_with_its_oracle(case: Any) -> None:
    publishes, handlings, _ = case
    store = DuckDBStore.open(":memory:")
    try:
        put(
            store,
            [publish(*p) for p in publishes],
            [
                delivery(n, i + 100, s, e, settlement="nack_requeue" if r else None)
                for i, (n, s, e, r) in enumerate(handlings)
            ],
        )
        found = verdicts(store)
        assert {
            int(v["message"][1:]): (v["cause"], set(v["late_by"])) for v in found
        } == interval_oracle(publishes, handlings)
        assert all(
            v["confidence"] == "inferred" and v["severity"] in ("warning", "info") for v in found
        )
    finally:
        store.close()


@st.composite
def populations(draw: Any) -> list[tuple[str, str, bool]]:
    """Messages as (kind, key, delivered): some kinds with a usual key and a few strays."""
    messages: list[tuple[str, str, bool]] = []
    for kind in ("a", "b"):
        usual = draw(st.integers(20, 60))
        messages += [(kind, f"{kind}.key", True)] * usual
        for key in draw(st.lists(st.sampled_from(["a.key", "b.key", "rare", "typo"]), max_size=6)):
            messages.append((kind, key, key != "typo"))
    silent = draw(st.sampled_from([None, "b.key"]))  # whoever takes it sends no spans
    return [(kind, key, was and key != silent) for kind, key, was in messages]


def usual_oracle(messages: list[tuple[str, str, bool]]) -> dict[int, tuple[str, str | None]]:
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    totals: dict[str, int] = defaultdict(int)
    for kind, key, _ in messages:
        counts[kind][key] += 1
        totals[key] += 1
    delivered = {key for _, key, was in messages if was}
    found: dict[int, tuple[str, str | None]] = {}
    for n, (kind, key, _) in enumerate(messages, start=1):
        size = sum(counts[kind].values())
        usual = [k for k, c in counts[kind].items() if c >= 0.9 * size and k in delivered]
        if size < 30 or not usual or key in usual or counts[kind][key] > 0.1 * size:
            continue
        if totals[key] - counts[kind][key] >= 0.9 * totals[key]:
            found[n] = ("misrouted", "outlier")
        elif key not in delivered:
            found[n] = ("unroutable", None)
    return found


@settings(max_examples=rounds(10), deadline=None)
@given(populations(), st.randoms(use_true_random=False))
def test_what_is_usual_for_a_kind_agrees_with_its_oracle(
    messages: list[tuple[str, str, bool]], rng: Any
) -> None:
    store = DuckDBStore.open(":memory:")
    try:
        publishes = [
            publish(n, n * 1000, n * 1000 + 1, type=kind, routing_key=key)
            for n, (kind, key, _) in enumerate(messages, start=1)
        ]
        deliveries = [
            delivery(n, n, n * 1000 + 5, n * 1000 + 6, routing_key=key, queue=f"q.{key}")
            for n, (_, key, was) in enumerate(messages, start=1)
            if was
        ]
        rng.shuffle(publishes)
        rng.shuffle(deliveries)
        put(store, publishes, deliveries)
        found = {
            int(v["message"][1:]): (v["kind"], v["verdict"])
            for v in verdicts(store)
            if v["kind"] not in ("reordered", "uninstrumented")
        }
        assert found == usual_oracle(messages)
    finally:
        store.close()


def test_what_left_unseen_long_ago_is_found_when_time_leaps(store: DuckDBStore) -> None:
    """A recording is judged at its first moment, then as complete; a collector comes back after an
    hour. What came out behind it is seen at 3 s."""
    put(
        store,
        [publish(n, n * SECOND, n * SECOND + 1) for n in (1, 2, 3)],
        [delivery(n, n, n * SECOND, n * SECOND + 10) for n in (1, 3)],
    )
    runner = Runner(store)
    for now_ns, found in ((4 * SECOND, []), (3600 * SECOND, ["m2"])):
        runner.settle(now_ns=now_ns)
        with store.read() as session:
            rows = session.rows("SELECT message FROM verdicts WHERE verdict = 'unseen'")
        assert [row["message"] for row in rows] == found


@pytest.mark.parametrize(
    ("longest_ms", "patience_s"), [(1, 5), (1700, 5.1), (4000, 12), (60_000, 30), (None, 30)]
)
def test_what_may_still_be_handled_is_not_unseen(
    store: DuckDBStore, longest_ms: int | None, patience_s: float
) -> None:
    """A span of a handling is sent when it ends: thrice the longest one's time is left to it."""
    end = None if longest_ms is None else SECOND + longest_ms * MS
    put(
        store,
        [publish(n, n * SECOND, n * SECOND + 1) for n in (1, 2, 3)],
        [
            delivery(1, 1, SECOND, SECOND, handled_end_ns=end),
            delivery(3, 3, 3 * SECOND, 3 * SECOND),
        ],
    )
    runner = Runner(store)
    for now_ns, found in ((-1, 0), (0, 1)):
        runner.settle(now_ns=3 * SECOND + round(patience_s * SECOND) + now_ns)
        with store.read() as session:
            assert len(session.rows("SELECT * FROM verdicts WHERE verdict = 'unseen'")) == found


def test_what_waited_in_another_queue_keeps_no_place(store: DuckDBStore) -> None:
    """A delay by way of a waiting queue: dead-lettered, each after its own time."""
    put(
        store,
        [publish(1, 0, 1, routing_key="wait"), publish(2, 50 * MS, 51 * MS, routing_key="wait")],
        [delivery(2, 2, 200 * MS, 210 * MS), delivery(1, 1, 500 * MS, 510 * MS)],
    )
    assert verdicts(store) == []


def test_a_retry_may_begin_within_the_millisecond_that_javascript_cuts_off(
    store: DuckDBStore,
) -> None:
    trace = {"trace_id": f"{7:032x}", "message_id": "order-1"}
    first = publish(1, 10 * MS, 12 * MS + 700_000, **trace)
    again = publish(2, 12 * MS, 13 * MS + 1, **trace)
    got = [
        delivery(n, n, n * 20 * MS, n * 20 * MS + 5, publish_trace_id=trace["trace_id"])
        for n in (1, 2)
    ]
    others = [publish(n, n * 20 * MS, n * 20 * MS + 1) for n in range(3, 12)]  # its ids tell
    put(store, [first, again, *others], got)
    assert [(r["kind"], r["verdict"], r["message"]) for r in verdicts(store) if r["role"] == "copy"] == [
        ("duplicated", "publish_retry", "m2")
    ]  # fmt: skip


def test_answers_go_to_whoever_asked(store: DuckDBStore) -> None:
    """One that serves many and another seldom is not odd when it answers the latter."""
    asked = [publish(n, n, n + 1, exchange="", reply_to="often" if n > 2 else "seldom", service=f"asks{n}") for n in range(1, 41)]  # fmt: skip
    said = [(n + 100, "often" if n > 2 else "seldom", "p") for n in range(1, 41)]
    said += [(n + 200, "seldom", "other") for n in range(1, 41)]
    answers = [publish(n, n, n + 1, exchange="", routing_key=key, service=of, operation=of) for n, key, of in said]  # fmt: skip
    got = [delivery(n, n, n + 5, n + 6, exchange="", routing_key=key, queue=key) for n, key, _ in said]  # fmt: skip
    put(store, answers, got)
    assert {r["verdict"] for r in verdicts(store)} == {"outlier"}
    histories.emptied(store)
    put(store, [*asked, *answers], got)
    assert verdicts(store) == []


def test_what_was_rejected_and_came_back_by_a_retry_queue_overtakes_nobody(
    store: DuckDBStore,
) -> None:
    """Its last place is behind the other's, by another key: where it stands in its stream nobody knows."""
    put(
        store,
        [publish(1, 0, 1), publish(2, 2, 3)],
        [
            delivery(2, 1, 10, 11, settlement="nack_drop"),
            delivery(1, 2, 20, 21),
            delivery(2, 3, 30, 31, exchange="", routing_key="q"),
        ],
    )
    assert verdicts(store) == []


def test_a_delivery_whose_end_nobody_saw_can_be_late(store: DuckDBStore) -> None:
    """A `basic.get`, or a handler that its instrumentation gave up waiting for."""
    put(
        store,
        [publish(1, 0, 1), publish(2, 2, 3)],
        [delivery(2, 1, 10, 11), delivery(1, 2, 20, 21, handled_end_ns=None)],
    )
    assert [(v["message"], v["cause"], v["late_by"]) for v in verdicts(store)] == [
        ("m1", "unknown", ["delivery"])
    ]


@pytest.mark.parametrize(("tries", "found"), [(4, 0), (5, 1)])
def test_errors_of_which_nobody_tells_the_settlement_are_a_loop(
    store: DuckDBStore, tries: int, found: int
) -> None:
    """A Spring listener that throws, under the Java agent."""
    failed = [delivery(1, n, 10 * n, 10 * n + 1, failed=True) for n in range(1, tries + 1)]
    put(store, [publish(1, 0, 1)], failed)
    assert len([v for v in verdicts(store) if v["kind"] == "redelivery_loop"]) == found


@pytest.mark.parametrize(("tries", "found"), [(19, 0), (20, 1)])
def test_rejections_that_went_round_are_a_loop_when_they_go_on_four_times_as_long(
    store: DuckDBStore, tries: int, found: int
) -> None:
    """amqplib's instrumentation calls a rejection an error and knows no `x-death`."""
    put(
        store,
        [publish(1, 0, 1)],
        [
            delivery(1, n, 10 * n, 10 * n + 1, settlement="nack_drop", failed=True)
            for n in range(1, tries + 1)
        ],
    )
    assert len([v for v in verdicts(store) if v["kind"] == "redelivery_loop"]) == found


def test_a_retry_within_the_millisecond_of_its_rejection_is_one(store: DuckDBStore) -> None:
    back = delivery(1, 2, 3 * MS, 5 * MS, exchange="", routing_key="q")
    put(store, [publish(1, 0, 1)], [delivery(1, 1, 2 * MS, 3 * MS, settlement="reject_drop"), back])
    assert verdicts(store) == []
