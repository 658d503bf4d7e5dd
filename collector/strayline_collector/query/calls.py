"""Calls between services and what each service did, over any range, without adding up every span.

Whole minutes that are rolled up come from their rows, what lies beside them from single calls (of what
each service did from its spans), and what came since the last roll as the roll would add it: counts are
exact, quantiles within the width of a bucket (9 %). Where nothing is rolled up yet both are exact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.duckdb.roll import changed_calls
from strayline_collector.store.ports import Row, Session

MINUTE_NS: Final = 60_000_000_000
Histogram = dict[int, int]
"""Number of durations by bucket (``bucket_of`` in the schema): ``b`` holds 2^(b/8) to 2^((b+1)/8) ns."""


def whole_minutes(range_ns: Mapping[str, int], ends: Mapping[str, Any]) -> tuple[int, int]:
    """The first and the last minute that lie in a range wholly: also those that it has a part of,
    where nothing stored lies beyond that end (``oldest_ns`` and ``newest_ns``, null without any)."""
    start, end = range_ns["start_ns"], range_ns["end_ns"]
    first, last = -(-start // MINUTE_NS), (end + 1) // MINUTE_NS - 1
    if ends["oldest_ns"] is not None and ends["oldest_ns"] >= start:
        first = start // MINUTE_NS
    if ends["newest_ns"] is not None and ends["newest_ns"] <= end:
        last = end // MINUTE_NS
    return first, last


@dataclass(frozen=True, slots=True)
class Minutes:
    """How a range is made of whole minutes (none where ``last`` lies before ``first``) and of what lies
    before and after them."""

    rolled: int
    """Loads up to this are rolled up."""
    waiting: bool
    """Whether there are later ones."""
    by_minute: int
    """Of loads up to this calls are known by the minute alone; 0: of none."""
    first: int
    last: int
    before: tuple[int, int]
    after: tuple[int, int]

    @classmethod
    def of(cls, session: Session, range_ns: Mapping[str, int]) -> Minutes | None:
        """None where nothing is rolled up. A minute that the range has a part of is whole where nothing
        stored lies beyond that end of the range: the last one of most ranges, which end now."""
        state = session.rows(load("roll/last"))
        if not state or not state[0]["rolled"]:
            return None
        rolled = int(state[0]["rolled"])
        waiting, by_minute = int(state[0]["newest"]) > rolled, int(state[0]["by_minute"])
        start, end = range_ns["start_ns"], range_ns["end_ns"]
        ends = session.rows(load("query/all_starts"))[0]
        first, last = whole_minutes(range_ns, ends)
        if last < first:
            # its spans alone: a join of everything stored took 12 s at ten million
            return cls(rolled, waiting, by_minute, 1, 0, before=(start, end), after=(end + 1, end))
        return cls(
            rolled=rolled,
            waiting=waiting,
            by_minute=by_minute,
            first=first,
            last=last,
            before=(start, first * MINUTE_NS - 1),
            after=((last + 1) * MINUTE_NS, end),
        )


def seen_range(session: Session, range_ns: Mapping[str, int]) -> dict[str, int] | None:
    """``start_ns`` and ``end_ns`` of the first and last span within the range; None without any."""
    first = session.rows(load("query/oldest_start"), range_ns)
    last = session.rows(load("query/newest_start"), range_ns)
    if first and last:
        return {"start_ns": int(first[0]["start_ns"]), "end_ns": int(last[0]["start_ns"])}
    # beside loads DuckDB 1.5.5 was seen to find no newest span where there were ten million
    found = session.rows(load("query/start_range"), range_ns)[0]
    return None if found["start_ns"] is None else dict(found)


def read_calls(session: Session, range_ns: Mapping[str, int]) -> list[Row]:
    """``source, target, external, protocol, calls, errors, p50_ms, p95_ms``, one row each."""
    minutes = Minutes.of(session, range_ns)
    if minutes is None:
        return session.rows(load("query/graph_calls"), range_ns)
    whole = {"first_minute": minutes.first, "last_minute": minutes.last}
    rows = session.rows(load("query/graph_minutes"), whole)
    for start_ns, end_ns in (minutes.before, minutes.after):
        if start_ns <= end_ns:
            part = {"start_ns": start_ns, "end_ns": end_ns}
            rows += session.rows(load("query/graph_starts"), part)
            if minutes.by_minute:
                rows += _of_spans(session, minutes.by_minute, part)
    if minutes.waiting:
        changed = changed_calls(session, rolled=minutes.rolled, until=2**62, range_ns=range_ns)
        rows += changed.to_pylist()
    return _added_up(rows)


def _of_spans(session: Session, until: int, part: Mapping[str, int]) -> list[Row]:
    """Calls that started in ``part`` by the spans of the loads up to ``until`` alone, whose calls are not known
    by their own times: of a file from before these were written down."""
    found = session.table(load("query/graph_traces_between"), {"rolled": until, **part})
    session.register("found", found)
    loads = session.rows(load("query/trace_loads"))[0]
    if loads["first_batch"] is None:
        return []
    last = min(until, int(loads["last_batch"]))
    between = {"first_batch": loads["first_batch"], "last_batch": last}
    return session.rows(load("query/graph_calls_between"), {**part, **between})


def _added_up(rows: Iterable[Row]) -> list[Row]:
    names = ("source", "target", "external", "protocol")
    totals: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    durations: dict[tuple[Any, ...], Histogram] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        key = tuple(row[name] for name in names)
        totals[key][0] += row["calls"]
        totals[key][1] += row["errors"]
        durations[key][row["bucket"]] += row["calls"]
    return [
        {
            **dict(zip(names, key, strict=True)),
            "calls": calls,
            "errors": errors,
            "p50_ms": quantile_ms(durations[key], 0.5),
            "p95_ms": quantile_ms(durations[key], 0.95),
        }
        for key, (calls, errors) in sorted(totals.items())
        if calls
    ]


def quantile_ms(durations: Histogram, share: float) -> float | None:
    """The quantile in milliseconds, durations taken as spread evenly in their buckets."""
    total = sum(durations.values())
    if total <= 0:
        return None
    rank, below = share * total, 0
    for bucket, count in sorted(durations.items()):
        if count > 0 and below + count >= rank:
            if bucket < 0:
                return 0.0
            low, high = 2 ** (bucket / 8), 2 ** ((bucket + 1) / 8)
            return (low + (high - low) * max(0.0, rank - below) / count) / 1e6
        below += count
    return None


def read_served(
    session: Session, range_ns: Mapping[str, int], step_ns: int, steps: int = 24
) -> list[Row]:
    """Of ``read_activity`` what each service served, added up: by ``step`` (``bucket`` null), and by
    ``bucket`` (``step`` null). Tens of thousands of rows stay in the store."""
    session.register("activity", _activity(session, range_ns, step_ns, steps))
    return session.rows(load("query/graph_served"))


def read_given_back(
    session: Session, range_ns: Mapping[str, int], step_ns: int, steps: int = 24
) -> list[Row]:
    """``service, step, messages``: what the broker returned or refused, in steps of ``step_ns``."""
    params = {**range_ns, "step_ns": step_ns, "last_step": steps - 1}
    return session.rows(load("query/given_back"), params)


def read_activity(
    session: Session, range_ns: Mapping[str, int], step_ns: int, steps: int = 24
) -> list[Row]:
    """``service, served, bucket, step, spans, errors`` of ``steps`` steps of ``step_ns``; a minute
    that is rolled up is wholly in the step that it starts in."""
    return _activity(session, range_ns, step_ns, steps).to_pylist()


def _activity(session: Session, range_ns: Mapping[str, int], step_ns: int, steps: int) -> pa.Table:
    minutes = Minutes.of(session, range_ns)
    end = range_ns["end_ns"]
    bounds = {
        "rolled": minutes.rolled if minutes else 0,
        "first_minute": minutes.first if minutes else 1,
        "last_minute": minutes.last if minutes else 0,
        "before_ns": minutes.before[1] if minutes else end,
        "after_ns": minutes.after[0] if minutes else end + 1,
    }
    return session.table(
        load("query/graph_activity"),
        {**range_ns, **bounds, "step_ns": step_ns, "last_step": steps - 1},
    )
