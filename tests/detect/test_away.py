"""While no collector listened: what concludes from something that was not told claims nothing of that time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from strayline_collector.detect.absence import register_unheard
from strayline_collector.detect.intended import strays
from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect import test_calls, test_context_inferred, test_dead_lettered, test_intended
from tests.detect import test_unroutable as unroutable
from tests.detect.histories import (  # fmt: skip
    Attempt,
    S,
    away,
    binding,
    emptied,
    exchange,
    put,
    rows_of,
    write,
)
from tests.support.story import START_NS


@pytest.fixture(scope="module")
def reused() -> Iterator[DuckDBStore]:
    found = DuckDBStore.open(":memory:")
    yield found
    found.close()


@pytest.fixture
def store(reused: DuckDBStore) -> DuckDBStore:
    """Emptied: opening one takes longer than judging a small history."""
    return emptied(reused)


Teller = Callable[[DuckDBStore], None]
Away = tuple[int, int]
DURING: Away = (-50, 60)
SOON: Away = (200, 300)
"""Facts lie at most 1 s after 0: what followed on them may have been told to nobody."""
LATER: Away = (400, 500)


def by_spans(store: DuckDBStore) -> None:
    usual = [Attempt(n, 1, n, 100 * n, 100 * n + 5) for n in range(1, 30)]
    write(store, usual, publishes=unroutable.kind_of({}))
    with store.write() as session:
        session.execute("UPDATE delivery_facts SET routing_key = 'paid'")


def by_topology(store: DuckDBStore) -> None:
    sent = unroutable.returned(outcome="confirmed")
    write(store, [], publishes=sent, topology=unroutable.said_by(unroutable.COMPLETE, unroutable.BOUND))  # fmt: skip


def by_alternate(store: DuckDBStore) -> None:
    """By an incomplete topology: it was seen there, and in no other queue."""
    row = {1: {"routing_key": "piad"}}
    write(store, [Attempt(1, 1, 1, 10, 20, queue="rest")], publishes=row, topology=unroutable.ALTERNATE)  # fmt: skip


def returned(store: DuckDBStore) -> None:
    write(store, [], publishes=unroutable.returned(), topology=unroutable.BOUND)


def rests(store: DuckDBStore) -> None:
    dead = test_dead_lettered
    write(store, [dead.REJECTED], dead.DEAD_LETTERS, topology=dead.TOPOLOGY)


def taken_from_the_dead(store: DuckDBStore) -> None:
    """Its sequel was told."""
    dead = test_dead_lettered
    write(store, [dead.REJECTED, dead.IN_DEAD], dead.DEAD_LETTERS, topology=dead.TOPOLOGY)


def discarded(store: DuckDBStore) -> None:
    write(store, [Attempt(1, 1, 1, 10, 20, "reject_drop", failed=True)], {})


def outlier(store: DuckDBStore) -> None:
    """Of an operation: what else it published may have been told to nobody."""
    usual = {n: {"routing_key": "paid"} for n in range(1, 32)}
    odd = {32: {"routing_key": "created"}}
    others = {n: {"routing_key": "created", "service": "other", "operation": "else"} for n in range(33, 64)}  # fmt: skip
    messages = usual | odd | others
    write(store, [Attempt(n, 1, n, 100 * n, 100 * n + 5) for n in messages], {}, messages)


def orphaned(store: DuckDBStore) -> None:
    lost = test_context_inferred
    put(store, {"publish_facts": lost.sent(1), "delivery_facts": [lost.orphan(1, 1)]})


def channel_closed(store: DuckDBStore) -> None:
    """Its first delivery was not seen: given back, perhaps, where nobody listened."""
    attempts = [
        Attempt(1, 1, 1, 10, 11), Attempt(3, 2, 1, 30, 31), Attempt(4, 2, 2, 40, 41),
        Attempt(2, 2, 3, 50, 51, redelivered=True),
    ]  # fmt: skip
    write(store, attempts, {})


def calls(store: DuckDBStore) -> None:
    test_calls.load(store, test_calls.calls(test_calls.HTTP))
    with store.write() as session:
        session.execute(f"UPDATE spans SET start_ns = start_ns - {START_NS}, end_ns = end_ns - {START_NS}")  # fmt: skip


@pytest.mark.parametrize(
    ("teller", "claimed", "silenced_by"),
    [
        (by_spans, ("unroutable", None), {DURING, SOON}),
        (by_topology, ("unroutable", None), {DURING}),
        (by_alternate, ("unroutable", "alternate"), {DURING, SOON}),
        (returned, ("unroutable", None), set[Away]()),
        (rests, ("dead_lettered", None), {DURING, SOON}),
        (taken_from_the_dead, ("dead_lettered", None), set[Away]()),
        (discarded, ("lost", None), {DURING, SOON}),
        (outlier, ("misrouted", "outlier"), {DURING}),
        (orphaned, ("context_lost", None), {DURING}),
        (channel_closed, ("reordered", None), {DURING}),
        (calls, ("uninstrumented", "call"), {DURING}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("when", [None, DURING, SOON, LATER], ids=str)
def test_of_what_may_not_have_been_told_nothing_is_claimed(
    store: DuckDBStore,
    teller: Teller,
    claimed: tuple[str, str | None],
    silenced_by: set[Away],
    when: Away | None,
) -> None:
    teller(store)
    if when is not None:
        away(store, *when)
    runner = Runner(store)
    runner.settle()
    assert not runner.failures
    with store.read() as session:
        found = session.rows("SELECT DISTINCT kind, verdict FROM verdicts WHERE role NOT IN ('overtaker')")  # fmt: skip
    assert (claimed in [(r["kind"], r["verdict"]) for r in found]) is (when not in silenced_by)


# -- stale_binding: what the queue's owner bound meanwhile


@pytest.mark.parametrize(
    ("unheard", "stray"),
    [
        ([], [(250, 400)]),
        ([("owner", 300, None)], [(250, 299)]),
        ([("owner", 300, 350)], [(250, 299), (351, 400)]),
        ([("other", 300, None)], [(250, 400)]),
    ],
    ids=["always heard", "unheard since", "unheard for a while", "another service"],
)
def test_a_binding_is_stale_only_while_all_that_its_owner_bound_was_told(
    unheard: list[tuple[str, int, int | None]], stray: list[tuple[int, int]]
) -> None:
    asked = {**test_intended.candidate("b", 0), "first_ns": 250, "last_ns": 400}
    rows = [{"service": s, "from_ns": a, "to_ns": b} for s, a, b in unheard]
    said = [*test_intended.OLD, *test_intended.NEW]
    found = strays([asked], said, rows)
    covered = [(row["from_ns"], row["to_ns"]) for row in found]
    merged: list[tuple[int, int]] = []
    for a, b in covered:
        merged[-1:] = [(merged[-1][0], b)] if merged and merged[-1][1] + 1 == a else [*merged[-1:], (a, b)]  # fmt: skip
    assert merged == stray


Life = tuple[str, int, int, int | None]
"""A process, from and until when it was heard (s), and how many spans its last census says it dropped."""


@pytest.mark.parametrize(
    ("lives", "expected"),
    [
        pytest.param([("a", 0, 900, 0)], [], id="it lost nothing"),
        pytest.param([("a", 0, 900, 3)], [(100, None)], id="it lost some"),
        pytest.param([("a", 0, 900, None)], [(100, None)], id="it does not say"),
        pytest.param([("a", 0, 90, 0)], [(100, None)], id="not heard since"),
        pytest.param([("a", 0, 90, 0), ("b", 300, 900, 0)], [(100, 300)], id="restarted after"),
        pytest.param([("a", 0, 400, 3), ("b", 300, 900, 0)], [(100, 400)], id="rolled out after"),
        pytest.param([("a", 0, 900, 0), ("b", 150, 900, 2)], [(100, None)], id="a second one that lost some"),
        pytest.param([("a", 0, 90, 0), ("b", 250, 900, 2)], [(100, None)], id="restarted and lost some"),
        pytest.param([("a", 0, 900, 0), ("b", 300, 900, 0)], [], id="two that lost nothing"),
    ],
)  # fmt: skip
def test_whose_declarations_may_have_gone_unheard(
    store: DuckDBStore, lives: list[Life], expected: list[tuple[int, int | None]]
) -> None:
    bound = {**binding("x", "work", "k"), "service": "owner"}
    rows = rows_of([], {}, topology=[exchange("x", "topic"), bound])
    rows["processes"] = [
        {"process": p, "service": "owner", "host": "h", "first_event_ns": a * S, "last_event_ns": b * S, "heard_ns": b * S}
        for p, a, b, _ in lives
    ]  # fmt: skip
    rows["census"] = [
        {"batch": 1, "service": "owner", "instance": p, "epoch": p * 16, "at_ns": b * S,
         "census": "{}" if lost is None else f'{{"spans_dropped": {lost}}}'}
        for p, _, b, lost in lives
    ]  # fmt: skip
    put(store, rows)
    away(store, 100, 200)
    runner = Runner(store, detectors=())
    runner.settle()
    with store.read() as session:
        register_unheard(session)
        found: list[dict[str, Any]] = session.rows("SELECT * FROM unheard_services")
    assert [
        (r["from_ns"] // S, None if r["to_ns"] is None else r["to_ns"] // S) for r in found
    ] == expected
