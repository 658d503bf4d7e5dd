"""What is rolled up says what the spans say, whatever comes late, twice or in pieces."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pyarrow as pa
import pytest

from strayline_collector.query.calls import read_activity, read_calls
from strayline_collector.query.compare import compare_ranges
from strayline_collector.query.graph_change import read_graph_beside
from strayline_collector.query.overview import read_rates
from strayline_collector.query.status import Counts, SpanCounts
from strayline_collector.query.times import BEGINNING, END
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.duckdb.roll import roll
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.rounds import TIMES
from tests.support.synthetic import tables

ALWAYS = {"start_ns": BEGINNING, "end_ns": END}


def _loaded(seed: int, *, parts: int = 12, roll_each: int = 2, by_minute: int = 0) -> DuckDBStore:
    """Four minutes of traffic, shuffled to the last span, a quarter of it sent twice. Up to the load
    ``by_minute`` the file is of before calls were known by their own times."""
    whole = pa.concat_tables(tables(2_000, seed=seed, per_s=8))
    shuffle = random.Random(seed)
    order = [*range(whole.num_rows), *shuffle.sample(range(whole.num_rows), whole.num_rows // 4)]
    shuffle.shuffle(order)
    store = DuckDBStore.open(":memory:")
    size = -(-len(order) // parts)
    for number, start in enumerate(range(0, len(order), size), start=1):
        store.append(whole.take(order[start : start + size]), Position(1, number), number)
        if number % roll_each == 0:
            with store.write() as session:
                assert roll(session, spans=1)
                if number == by_minute:
                    session.execute("DELETE FROM call_starts")
                    session.execute("INSERT INTO calls_by_minute VALUES ($n)", {"n": number})
    return store


def _counted(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    names = ("source", "target", "external", "protocol", "calls", "errors")
    return sorted(tuple(row[name] for name in names) for row in rows)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_graph_has_the_calls_of_the_exact_one(seed: int) -> None:
    store = _loaded(seed, parts=13 if seed < 3 else 12)
    starts = 1_795_400_000_000_000_000
    with store.read() as session:
        for range_ns in (
            ALWAYS,
            {"start_ns": starts + 17_000_000_000, "end_ns": starts + 171_000_000_000},
            {"start_ns": starts, "end_ns": starts + 1_000_000_000},
            # within a minute, and over the ends of what is stored
            {"start_ns": starts + 65_000_000_000, "end_ns": starts + 70_000_000_000},
            {"start_ns": starts + 70_000_000_000, "end_ns": starts + 3_600_000_000_000},
            {"start_ns": starts - 1, "end_ns": starts + 70_000_000_000},
            {"start_ns": starts + 245_000_000_000, "end_ns": starts + 255_000_000_000},
        ):
            exact = session.rows(load("query/graph_calls"), range_ns)
            found = read_calls(session, range_ns)
            assert _counted(found) == _counted(exact)
            for one, other in zip(found, exact, strict=True):
                if one["calls"] > 20:
                    assert one["p50_ms"] == pytest.approx(other["p50_ms"], rel=0.1)
    store.close()


@pytest.mark.parametrize("by_minute", [0, 6, 12])
def test_parts_of_minutes_are_counted_by_each_call(by_minute: int) -> None:
    store = _loaded(5, parts=13, by_minute=by_minute)
    whole = 1_795_400_040_000_000_000
    seconds = (0, 10, 29, 30, 31, 50) if TIMES > 1 else (0, 29, 31)
    with store.read() as session:
        for first_s, last_s, minutes in itertools.product(seconds, seconds, (1, 2)):
            range_ns = {
                "start_ns": whole + first_s * 1_000_000_000,
                "end_ns": whole + (minutes * 60 + last_s) * 1_000_000_000,
            }
            exact = session.rows(load("query/graph_calls"), range_ns)
            assert _counted(read_calls(session, range_ns)) == _counted(exact)
    store.close()


def test_activity_counts_each_span_once() -> None:
    store = _loaded(4)
    with store.read() as session:
        starts = 1_795_400_017_000_000_000
        for range_ns in (
            ALWAYS,
            {"start_ns": starts, "end_ns": END},
            {"start_ns": starts, "end_ns": starts + 5_000_000_000},
            {"start_ns": 0, "end_ns": starts + 100_000_000_000},
        ):
            rows = read_activity(session, range_ns, 2**60)
            exact = session.rows(
                "SELECT service, kind IN (2, 5) AS served, count(*) AS spans FROM distinct_spans"
                " WHERE start_ns BETWEEN $start_ns AND $end_ns GROUP BY ALL",
                range_ns,
            )
            found: dict[tuple[str, bool], int] = {}
            for row in rows:
                key = (row["service"], row["served"])
                found[key] = found.get(key, 0) + row["spans"]
            assert found == {(row["service"], row["served"]): row["spans"] for row in exact}
    store.close()


@pytest.mark.parametrize("level", ["service", "messaging"])
def test_two_ranges_beside_one_another_are_what_the_spans_say(level: str) -> None:
    rolled, plain = _loaded(7), _loaded(7, roll_each=10_000)
    starts, second = 1_795_400_000_000_000_000, 1_000_000_000
    before = {"start_ns": starts + 3 * second, "end_ns": starts + 127 * second + 1}
    now = {"start_ns": starts + 127 * second + 2, "end_ns": starts + 241 * second}
    with rolled.read() as one, plain.read() as other:
        assert one.rows("SELECT count(*) AS n FROM rolled")[0]["n"] > 1
        assert other.rows("SELECT count(*) AS n FROM rolled")[0]["n"] <= 1
        found, exact = (read_graph_beside(s, now, before, level) for s in (one, other))
        ranges = [compare_ranges(s, before, now, service=None) for s in (one, other)]
    rolled.close()
    plain.close()
    assert "compared" in found
    assert "compared" in exact
    for kind in ("nodes", "edges"):
        for a, b in zip(found["compared"][kind], exact["compared"][kind], strict=True):
            assert _without_quantiles(a) == _without_quantiles(b)
    assert any(edge["before_calls"] and edge["calls"] for edge in found["compared"]["edges"])
    assert ranges[0]["operations"] == ranges[1]["operations"]
    for a, b in zip(ranges[0]["edges"], ranges[1]["edges"], strict=True):
        assert _without_quantiles(a) == _without_quantiles(b)


def _without_quantiles(part: Any) -> dict[str, Any]:
    """Counts are exact; quantiles lie within a bucket, and ``change`` follows them."""
    return {k: v for k, v in part.items() if not k.endswith("p95_ms") and k != "change"}


def test_counts_are_of_distinct_spans_and_traces() -> None:
    store = _loaded(5)
    assert SpanCounts(store).read() == Counts(2_000, 250)
    store.close()


def test_rates_count_each_span_once() -> None:
    store = _loaded(6)
    with store.read() as session:
        for service in (None, "billing"):
            rates = read_rates(session, ALWAYS, steps=2, service=service)
            exact = session.rows(
                "SELECT count(*) AS spans, count(*) FILTER (WHERE kind = 2) AS requests FROM distinct_spans"
                " WHERE $service IS NULL OR service = $service",
                {"service": service},
            )[0]
            assert rates["step_s"] > 60
            for name in ("spans", "requests"):
                assert sum(point[name] for point in rates["points"]) == exact[name]
    store.close()
