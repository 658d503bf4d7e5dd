"""Traces: search results, and one trace with everything drawn about it."""

from __future__ import annotations

import math
import re
from typing import Any, Final

import pyarrow as pa

from strayline_collector.errors import BadInput
from strayline_collector.query.search import Search
from strayline_collector.query.times import END
from strayline_collector.query.wire import (
    Traces,
    TraceSummary,
)
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES: Final = ("unset", "ok", "error")
FIRST_REACH_NS: Final = 10_000_000_000
"""How far before the newest span the first look of a newest-first search goes: at 2,000 spans a
second 20,000 of them, which take some 20 ms."""
REACH_GROWTH: Final = 8
_NOTHING_FOUND: Final = pa.table({"trace_id": pa.array([], pa.string())})
MAX_MISSING: Final = 1_000
MAX_NAMED: Final = 100
"""Of those that name a missing span."""
_PARAMETER: Final = re.compile(r"\$(\w+)")


def search_traces(
    session: Session, search: Search, *, limit: int, cursor: str | None = None
) -> Traces:
    """A page of summaries; ``search`` is compiled to bound SQL. The cursor is the place of the
    last row: what is loaded meanwhile shifts nothing. Raises ``BadInput`` for a foreign cursor.

    Newest first, the newest times are searched alone, then more and more before them until the
    page is full: a trace that starts within a time has all its spans after that start.
    """
    place = None
    if cursor is not None:
        place = _place(cursor, search)
        search.after(*place)
    bounds = {name: search.params[name] for name in ("start_ns", "end_ns")}
    ends = session.rows(load("query/ends"), bounds)[0]
    if ends["newest_ns"] is None:
        return Traces(items=[], next_cursor=None)
    oldest_ns, until_ns = int(ends["oldest_ns"]), int(ends["newest_ns"])
    newest_ns = until_ns
    if place is not None and search.newest_first:
        # a page further on reaches back from its own place; later spans of its traces count too
        newest_ns = min(newest_ns, int(place[0]))
    search.left_out = _in_no_resource(session, search)
    reach_ns = FIRST_REACH_NS if search.newest_first else END
    found = _NOTHING_FOUND
    rows: list[Row] = []
    while until_ns >= oldest_ns:
        since_ns = max(oldest_ns, newest_ns - reach_ns)
        stretch = {**search.params, "since_ns": since_ns, "until_ns": until_ns}
        new = session.table(search.found, _used(search.found, stretch))
        found = pa.concat_tables([found, new])
        last = since_ns <= oldest_ns
        if found.num_rows and (last or (new.num_rows and found.num_rows > limit)):
            rows = _page(session, search, found, since_ns, limit + 1)
            if len(rows) > limit:
                break
        until_ns = since_ns - 1
        reach_ns *= REACH_GROWTH
    items = [_summary(row) for row in rows[:limit]]
    edge = rows[limit - 1] if len(rows) > limit else None
    return Traces(
        items=items,
        next_cursor=None
        if edge is None
        else f"{search.order}~{edge['sorted_by']!r}~{edge['trace_id']}",
    )


def _in_no_resource(session: Session, search: Search) -> list[str]:
    """Resources are a third of what a search for a value reads, and there are few different ones."""
    return [
        part
        for name, part in search.in_resources.items()
        if not session.rows(load("query/resources_say"), {"text": search.params[name]})[0]["may"]
    ]


def _page(
    session: Session, search: Search, found: pa.Table, since_ns: int, limit: int
) -> list[Row]:
    session.register("found", found)
    loads = session.rows(load("query/trace_loads"))[0]
    params = {**search.params, **loads, "since_ns": since_ns, "limit": limit}
    return session.rows(search.sql, _used(search.sql, params))


def _used(sql: str, params: dict[str, Any]) -> dict[str, Any]:
    names = set(_PARAMETER.findall(sql))
    return {name: value for name, value in params.items() if name in names}


def _place(cursor: str, search: Search) -> tuple[float, str]:
    order, _, rest = cursor.partition("~")
    number, _, trace_id = rest.partition("~")
    if order != search.order:
        raise BadInput(f"cursor={cursor}: expected what next_cursor said under sort={search.order}")
    try:
        value = int(number) if number.lstrip("-").isdigit() else float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or abs(value) >= 2**63 or not trace_id:
        raise BadInput(f"cursor={cursor}: expected what next_cursor said")
    return value, trace_id


def _summary(row: Row) -> TraceSummary:
    return TraceSummary(
        trace_id=row["trace_id"],
        root_service=row["root"]["service"],
        root_name=row["root"]["name"],
        start_unix_nano=row["start_ns"],
        duration_ms=(row["end_ns"] - row["start_ns"]) / 1e6,
        spans=row["spans"],
        errors=row["errors"],
        services=row["services"],
        queue_wait_ms=row["queue_wait_ms"],
        findings=row["findings"],
    )
