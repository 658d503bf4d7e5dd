"""``duplicated`` and ``redelivery_loop`` against plain oracles of their definitions, and their traps."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.contract.model import Contract, Document, QueueChannel
from strayline_collector.detect import detectors
from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import Attempt, emptied, publish_row, put, rows_of, write
from tests.detect.judged import in_loads, verdicts
from tests.support.rounds import rounds

BACK = ("nack_requeue", "reject_requeue")
GONE = ("nack_drop", "reject_drop")
TAKEN = ("ack", "sent", "auto")
S = 1_000_000_000
BOTH = ("duplicated", "redelivery_loop")


@pytest.fixture(scope="module")
def reused() -> Iterator[DuckDBStore]:
    found = DuckDBStore.open(":memory:")
    yield found
    found.close()


def by_message(attempts: list[Attempt]) -> dict[tuple[str, int], list[Attempt]]:
    found: dict[tuple[str, int], list[Attempt]] = {}
    for attempt in sorted(attempts, key=lambda a: (a.received, a.tag)):
        found.setdefault((attempt.queue, attempt.n), []).append(attempt)
    return found


def handled_twice(attempts: list[Attempt]) -> dict[tuple[str, int], int]:
    """(queue, n) → how many handlings were one too many."""
    found: dict[tuple[str, int], int] = {}
    for place, tries in by_message(attempts).items():
        extra, successes = 0, 0
        for attempt in tries:
            if attempt.settlement in (*BACK, *GONE):
                successes = 0
            elif attempt.settlement in TAKEN and not attempt.failed:
                successes += 1
                extra += successes > 1
        if extra:
            found[place] = extra
    return found


def going_round(attempts: list[Attempt]) -> dict[tuple[str, int], tuple[int, str]]:
    """(queue, n) → tries, severity."""
    found: dict[tuple[str, int], tuple[int, str]] = {}
    for place, tries in by_message(attempts).items():
        bad = sorted(a.settled for a in tries if a.settlement in BACK or a.failed)
        if len(bad) >= 5:
            fast = any(b - a <= 10 * S for a, b in zip(bad, bad[9:], strict=False))
            found[place] = (len(bad), "error" if fast else "warning")
    return found


@st.composite
def histories(draw: st.DrawFn) -> list[Attempt]:
    clock, tag = 0, 0
    attempts: list[Attempt] = []
    for n in range(1, draw(st.integers(1, 4)) + 1):
        often = draw(st.sampled_from((1, 2, 3, 6, 12)))
        step = draw(st.sampled_from((S // 10, S, 2 * S)))
        usual = draw(st.sampled_from((*BACK, *TAKEN, None)))
        for number in range(often):
            clock += step
            tag += 1
            odd = draw(st.integers(0, 3)) == 0
            settlement = draw(st.sampled_from((*BACK, *GONE, *TAKEN, None))) if odd else usual
            attempts.append(
                Attempt(
                    n, 1, tag, clock, clock + 5, settlement,
                    redelivered=number > 0, failed=draw(st.integers(0, 4)) == 0,
                    queue=draw(st.sampled_from(("work", "work", "audit"))),
                )
            )  # fmt: skip
    return attempts


@settings(max_examples=rounds(10), deadline=None)
@given(histories(), st.randoms(use_true_random=False), st.integers(1, 3))
def test_the_detectors_agree_with_their_oracles_in_whatever_order_facts_come(
    reused: DuckDBStore, attempts: list[Attempt], random: Any, loads: int
) -> None:
    shuffled = random.sample(attempts, len(attempts))
    parts = [shuffled[number::loads] for number in range(loads)]
    in_loads(emptied(reused), [part for part in parts if part], BOTH)
    found = {
        (v["queue"], v["n"]): copies(v)
        for v in verdicts(reused, "duplicated", only=BOTH)
        if v["role"] == "copy"
    }
    assert found == handled_twice(attempts)
    loops = {
        (v["queue"], v["n"]): (evidence(v)["tries"], v["severity"])
        for v in verdicts(reused, "redelivery_loop", only=BOTH)
    }
    assert loops == going_round(attempts)


def evidence(verdict: dict[str, Any]) -> dict[str, Any]:
    return json.loads(verdict["evidence"])


def copies(verdict: dict[str, Any]) -> int:
    return evidence(verdict)["copies"]


def twice(**of_second: Any) -> list[Attempt]:
    return [
        Attempt(1, 1, 1, 10, 20, "sent"),
        Attempt(1, 2, 1, 30, 40, redelivered=True).but(**of_second),
    ]


def test_both_handlings_are_named(store: DuckDBStore) -> None:
    write(store, twice())
    found = verdicts(store, "duplicated")
    assert [(v["role"], v["verdict"], v["severity"], v["confidence"]) for v in found] == [
        ("copy", "handled", "warning", "proven"),
        ("original", "handled", "info", "proven"),
    ]
    assert [len(evidence(v)["deliveries"]) for v in found] == [2, 1]


def test_what_was_got_and_acknowledged_was_handled(store: DuckDBStore) -> None:
    """Of what a ``basic.get`` brings no span sees the handling."""
    rows = rows_of([*twice(), *(a.but(n=2) for a in twice(settlement=None))])
    for row in rows["delivery_facts"]:
        row["handled_end_ns"] = None
    put(store, rows)
    assert [v["n"] for v in verdicts(store, "duplicated") if v["role"] == "copy"] == [1]


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(twice(failed=True), id="the second failed"),
        pytest.param(twice(settlement=None), id="the second is under way"),
        pytest.param(twice(settlement="nack_requeue"), id="the second was given back"),
        pytest.param(twice(queue="audit"), id="a fanout's copies in two queues"),
        pytest.param(
            [
                Attempt(1, 1, 1, 10, 20, None),
                Attempt(1, 2, 1, 30, 40, redelivered=True),
            ],
            id="redelivered after a crash before its acknowledgement",
        ),
        pytest.param(
            [
                Attempt(1, 1, 1, 10, 20, "nack_drop", failed=True),
                Attempt(1, 1, 2, 30, 40, death=("wait|expired|1|x|k", "work|rejected|1|x|k")),
            ],
            id="a retry by a dead-letter queue",
        ),
    ],
)
def test_what_is_no_duplicate(store: DuckDBStore, history: list[Attempt]) -> None:
    write(store, history)
    assert verdicts(store, "duplicated") == []


def test_a_stream_hands_every_message_to_every_consumer(store: DuckDBStore) -> None:
    write(store, twice(service="another", redelivered=False), {"x-queue-type": "stream"})
    assert verdicts(store, "duplicated") == []


@pytest.mark.parametrize("fits", [True, False])
def test_a_copy_that_somebody_published_again_counts_when_both_succeeded(
    store: DuckDBStore, fits: bool
) -> None:
    write(store, twice(redelivered=False, fits=fits), {})
    copy = verdicts(store, "duplicated")[0]
    assert (copy["role"], evidence(copy)["republished"]) == ("copy", True)


def test_a_retry_and_its_first_try_in_one_queue(store: DuckDBStore) -> None:
    tries = {
        1: {"outcome": "unknown", "message_id": "same"},
        2: {"message_id": "same", "body_hash": publish_row(1)["body_hash"]},
    }
    write(store, [Attempt(1, 1, 1, 10, 20), Attempt(2, 1, 2, 30, 40)], publishes=tries)
    found = verdicts(store, "duplicated")
    assert [(v["n"], v["verdict"], v["role"], v["severity"], v["confidence"]) for v in found] == [
        (1, "publish_retry", "original", "info", "proven"),
        (2, "publish_retry", "copy", "warning", "proven"),
    ]


@pytest.mark.parametrize(
    "attempts",
    [
        pytest.param([Attempt(2, 1, 1, 10, 20)], id="the first try never came"),
        pytest.param(
            [Attempt(1, 1, 1, 10, 20), Attempt(2, 1, 2, 30, 40, queue="audit")], id="another queue"
        ),
    ],
)
def test_a_retry_that_came_once_is_no_duplicate(
    store: DuckDBStore, attempts: list[Attempt]
) -> None:
    write(store, attempts, publishes={1: {"outcome": "unknown", "message_id": "same"}, 2: {"message_id": "same", "body_hash": publish_row(1)["body_hash"]}})  # fmt: skip
    assert verdicts(store, "duplicated") == []


def foreign(n: int, **more: Any) -> dict[str, Any]:
    """A publish that only spans tell of."""
    return {"source": "spans", "stamp_ok": False, "epoch": None, "channel": None, "outcome": None, "start_ns": 10 * n, "end_ns": 10 * n + 1, **more}  # fmt: skip


def foreign_history(same_trace: bool, ids: list[str]) -> dict[int, dict[str, Any]]:
    trace = {"trace_id": "f" * 32} if same_trace else {}
    return {n: foreign(n, message_id=name, **trace) for n, name in enumerate(ids, start=1)}


@pytest.mark.parametrize(
    ("ids", "same_trace", "expected"),
    [
        (["a", "b", "c", "d", "e", "e"], True, [6]),
        (
            ["a", "b", "c", "d", "e", "e"],
            False,
            [],
        ),  # a client that makes its ids anew with each start
        (["a", "a", "a", "b"], True, []),  # an id that names a kind, not a message
        (["a", "b", "a", "b"], True, []),  # ids of what messages are about
    ],
)
def test_by_spans_alone_a_retry_is_told_by_an_id_that_tells_messages_apart(
    store: DuckDBStore, ids: list[str], same_trace: bool, expected: list[int]
) -> None:
    attempts = [Attempt(n, 1, n, 100 * n, 100 * n + 5) for n in range(1, len(ids) + 1)]
    write(store, attempts, publishes=foreign_history(same_trace, ids))
    found = [v for v in verdicts(store, "duplicated") if v["role"] == "copy"]
    assert [v["n"] for v in found] == expected
    assert {(v["confidence"], v["severity"]) for v in found} <= {("inferred", "warning")}


def test_four_failures_are_a_retry_and_five_a_loop(store: DuckDBStore) -> None:
    def failing(n: int, often: int) -> Iterator[Attempt]:
        for number in range(often):
            at = 100 * S * n + 3 * S * number
            yield Attempt(n, 1, 10 * n + number, at, at + 5, "nack_requeue", redelivered=number > 0)

    write(store, list(itertools.chain(failing(1, 4), failing(2, 5))))
    found = verdicts(store, "redelivery_loop")
    assert [(v["n"], v["role"], v["severity"], v["confidence"]) for v in found] == [
        (2, "looping", "warning", "proven")
    ]


@pytest.mark.shows("duplicated", "handled", "", "error")
def test_what_a_contract_asks_of_a_queue_makes_an_error_of_it_and_without_it_a_warning_again(
    store: DuckDBStore,
) -> None:
    late = [Attempt(2, 1, 1, 100, 110), Attempt(1, 1, 2, 120, 130)]
    again = [a.but(queue="orders", n=3, tag=a.tag + 2) for a in twice()]
    write(store, [*(a.but(queue="orders") for a in late), *again])
    channel = QueueChannel("c", "orders", None, frozenset(), ordered="queue", exactly_once=True)
    asked = Contract((Document("f", "t", None, (), (channel,), ()),), digest="d")
    for contract, severity in ((asked, "error"), (Contract(), None), (asked, "error")):
        Runner(store, detectors=detectors(contract)).settle()
        with store.read() as session:
            rows = session.rows(
                "SELECT kind, severity FROM verdicts WHERE role IN ('late', 'copy') ORDER BY kind"
            )
        found = {row["kind"]: row["severity"] for row in rows}
        assert found == {"duplicated": severity or "warning", "reordered": severity or "info"}
