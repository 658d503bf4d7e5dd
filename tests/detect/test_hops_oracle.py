"""``context_lost`` and ``uninstrumented`` against plain oracles of their definitions, in any order of arrival."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.detect import DETECTORS
from strayline_collector.detect.runner import Runner
from strayline_collector.detect.thresholds import Thresholds
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import Attempt, delivery_row, emptied, publish_row, put
from tests.support.rounds import rounds

FEW = 3
Rows = list[tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def reused() -> Iterator[DuckDBStore]:
    found = DuckDBStore.open(":memory:")
    yield found
    found.close()


def judged(store: DuckDBStore, rows: Rows, loads: int, seed: int) -> list[dict[str, Any]]:
    """Shuffled, split over loads and judged after each; what stands in the end."""
    emptied(store)
    mixed = list(rows)
    Random(seed).shuffle(mixed)
    hops = [d for d in DETECTORS if d.name in ("context_lost", "uninstrumented")]
    runner = Runner(store, detectors=hops, thresholds=Thresholds(uninstrumented_messages=FEW))
    for batch in range(1, loads + 1):
        tables: dict[str, list[dict[str, Any]]] = {}
        for table, row in mixed[batch - 1 :: loads]:
            tables.setdefault(table, []).append({**row, "batch": batch, "first_batch": batch})
        put(store, tables, batch)
        runner.run()
    runner.settle()
    assert not runner.failures
    with store.read() as session:
        return session.rows(
            "SELECT kind, queue, exchange, routing_key, message, CAST(evidence->>'$.unseen' AS BIGINT) AS unseen"
            " FROM verdicts ORDER BY ALL"
        )


@st.composite
def orphanages(draw: st.DrawFn) -> tuple[Rows, set[tuple[str, str]]]:
    """Deliveries with and without context, of publishes seen and unseen, stamps that fit and do
    not; (queue, message) of those that lost their context."""
    rows: Rows = []
    lost: set[tuple[str, str]] = set()
    for n in range(1, draw(st.integers(1, 8)) + 1):
        seen = draw(st.booleans())
        if seen:
            rows.append(("publish_facts", publish_row(n)))
        for number in range(draw(st.integers(0, 2))):
            continues, fits = draw(st.booleans()), draw(st.booleans())
            where = draw(st.sampled_from(["work", "audit"]))
            attempt = Attempt(n, 1, 10 * n + number, 10 * n, 10 * n + 5, queue=where, fits=fits)
            row = delivery_row(10 * n + number, attempt)
            row.update(context_trace_id="c" * 32 if continues else None)
            row.update(context_span_id="c" * 16 if continues else None)
            rows.append(("delivery_facts", row))
            if seen and fits and not continues:
                lost.add((where, publish_row(n)["message"]))
    return rows, lost


@settings(max_examples=rounds(8), deadline=None)
@given(history=orphanages(), loads=st.integers(1, 2), seed=st.integers(0, 99))
def test_exactly_stamped_deliveries_of_seen_publishes_without_context_are_orphans(
    reused: DuckDBStore, history: tuple[Rows, set[tuple[str, str]]], loads: int, seed: int
) -> None:
    rows, lost = history
    found = judged(reused, rows, loads, seed)
    assert {(v["queue"], v["message"]) for v in found if v["kind"] == "context_lost"} == lost


@st.composite
def silences(draw: st.DrawFn) -> tuple[Rows, dict[tuple[str, str], int]]:
    """Publishes to some exchanges and keys, of which some are delivered; the hops that stay silent
    with their messages. What is told of a place by one delivery is told of all its messages."""
    rows: Rows = []
    sent: Counter[tuple[str, str]] = Counter()
    heard: set[tuple[str, str]] = set()
    places = st.tuples(st.sampled_from(["x", "y"]), st.sampled_from(["k", "l"]))
    for n in range(1, draw(st.integers(1, 16)) + 1):
        place = draw(places)
        outcome = draw(st.sampled_from(["confirmed", "confirmed", "confirmed", "returned"]))
        way = {"exchange": place[0], "routing_key": place[1]}
        rows.append(("publish_facts", publish_row(n, **way, outcome=outcome)))
        sent[place] += outcome == "confirmed"
        if draw(st.integers(0, 7)) == 0:
            row = {**delivery_row(n, Attempt(n, 1, n, 10 * n, 10 * n + 5)), **way}
            rows.append(
                ("delivery_facts", {**row, "context_trace_id": "c" * 32, "context_span_id": None})
            )
            heard.add(place)
    return rows, {p: count for p, count in sent.items() if count >= FEW and p not in heard}


@settings(max_examples=rounds(8), deadline=None)
@given(history=silences(), loads=st.integers(1, 2), seed=st.integers(0, 99))
def test_exactly_the_hops_of_which_nothing_ever_arrives_are_silent(
    reused: DuckDBStore, history: tuple[Rows, dict[tuple[str, str], int]], loads: int, seed: int
) -> None:
    rows, silent = history
    found = judged(reused, rows, loads, seed)
    hops = [v for v in found if v["kind"] == "uninstrumented"]
    assert {(v["exchange"], v["routing_key"]): v["unseen"] for v in hops} == silent
    assert len(hops) == len(silent)
