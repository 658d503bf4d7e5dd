"""Traces: search results, and one trace with everything drawn about it."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from typing import Any, Final

import pyarrow as pa

from strayline_collector.errors import BadInput
from strayline_collector.query.search import Search
from strayline_collector.query.story import never_seen, read_story
from strayline_collector.query.times import END
from strayline_collector.query.wire import (
    ClockBound,
    ClockMode,
    CriticalSegment,
    MissingSpan,
    Protocol,
    Span,
    SpanEvent,
    SpanLink,
    Trace,
    Traces,
    TraceSummary,
)
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session
from strayline_collector.trace.clock import Bound, Correction, bounds, corrected, correction, orders
from strayline_collector.trace.critical_path import critical_path, self_times
from strayline_collector.trace.stitch import SpanKey
from strayline_collector.trace.tree import (
    Missing,
    TreeSpan,
    bled_spans,
    children_of,
    display_parents,
    drawing_order,
    missing_spans,
    story_root,
)

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


def read_trace(
    session: Session, trace_id: str, *, stitched: bool, clock: ClockMode = "raw"
) -> Trace:
    """One trace, alone or stitched. Times are as they were told unless ``clock`` is
    ``corrected``. Raises ``NotFound``."""
    story = read_story(session, trace_id, stitched=stitched)
    found = orders(story.tree)
    by_key = {span.key: span for span in story.tree}
    root = by_key[story_root(by_key, display_parents(story.tree))]
    change = correction(found, root.clock or "")
    offsets = change.offsets if clock == "corrected" else {}
    tree = story.tree
    if any(offsets.values()):
        tree = story.moved(corrected(tree, offsets), offsets)
    findings: dict[SpanKey, list[str]] = defaultdict(list)
    if session.rows("SELECT 1 AS one FROM findings WHERE status <> 'retracted' LIMIT 1"):
        for row in session.rows(load("query/trace_findings"), {"trace_ids": story.trace_ids}):
            findings[SpanKey(row["trace_id"], row["span_id"])].append(row["id"])
    parents = display_parents(tree)
    order = drawing_order(children_of({span.key: span for span in tree}, parents))
    place = {key: index for index, key in enumerate(order)}
    own = self_times(tree, parents)
    bled = bled_spans({span.key: span for span in tree})
    spans = [
        _span(row, span, story.deliveries, findings, parents, own, bled)
        for row, span in zip(story.rows, tree, strict=True)
    ]
    spans.sort(key=lambda span: place[SpanKey(span["trace_id"], span["span_id"])])
    missing = never_seen(session, missing_spans(tree)[:MAX_MISSING])
    return Trace(
        trace_id=trace_id,
        stitched_trace_ids=sorted({row["trace_id"] for row in story.rows} - {trace_id}),
        spans=spans,
        critical_path=[
            CriticalSegment(
                trace_id=segment.key.trace_id,
                span_id=segment.key.span_id,
                kind=segment.kind,
                start_unix_nano=segment.start_ns,
                end_unix_nano=segment.end_ns,
            )
            for segment in critical_path(tree, parents)
        ],
        clock=[_clock_bound(bound, change) for bound in bounds(found)],
        clock_mode=clock,
        missing=[_missing(named) for named in missing],
        truncated=bool(story.cut),
        truncated_by=sorted(story.cut),
    )


def _clock_bound(bound: Bound, change: Correction) -> ClockBound:
    offset_ns = change.offsets[bound.b] - change.offsets[bound.a] if change.possible else None
    return ClockBound(
        host_a=bound.a,
        host_b=bound.b,
        min_offset_ns=bound.least_ns,
        max_offset_ns=bound.most_ns,
        consistent=bound.consistent,
        correction_ns=offset_ns,
    )


def _span(
    row: Row,
    span: TreeSpan,
    deliveries: dict[SpanKey, Row],
    findings: dict[SpanKey, list[str]],
    parents: dict[SpanKey, SpanKey | None],
    own: dict[SpanKey, int],
    bled: set[SpanKey],
) -> Span:
    key = span.key
    delivery = deliveries.get(key)
    parent = parents[key]
    later_ns = span.start_ns - row["start_ns"]
    return Span(
        trace_id=row["trace_id"],
        span_id=row["span_id"],
        parent_span_id=row["parent_span_id"],
        service=row["service"],
        name=row["name"],
        kind=KINDS[row["kind"]],
        start_unix_nano=span.start_ns,
        end_unix_nano=row["end_ns"] + later_ns,
        status=STATUSES[row["status_code"]],
        status_message=row["status_message"],
        protocol=protocol_of(row),
        scope=row["scope_name"],
        attributes=_json(row["attributes"], {}),
        resource=_json(row["resource"], {}).get("attributes", {}),
        events=[
            SpanEvent(
                name=e["name"],
                time_unix_nano=e["time_unix_nano"] + later_ns,
                attributes=e["attributes"],
            )
            for e in _json(row["events"])
        ],
        links=[
            SpanLink(
                trace_id=link["trace_id"], span_id=link["span_id"], attributes=link["attributes"]
            )
            for link in _json(row["links"])
        ],
        queue=delivery["queue"] if delivery is not None else None,
        queue_wait_ns=span.wait_ns,
        self_ns=own[key],
        display_parent=f"{parent.trace_id}-{parent.span_id}" if parent is not None else None,
        context_bleed=key in bled,
        findings=sorted(findings.get(key, [])),
    )


def _missing(named: Missing) -> MissingSpan:
    def told(keys: tuple[SpanKey, ...]) -> list[str]:
        return [f"{key.trace_id}-{key.span_id}" for key in keys[:MAX_NAMED]]

    return MissingSpan(
        trace_id=named.key.trace_id,
        span_id=named.key.span_id,
        children=told(named.children),
        linked=told(named.linked),
        named=len(named.children) + len(named.linked),
    )


def protocol_of(row: Row) -> Protocol | None:
    """By the promoted attributes; None for what never left its process."""
    if row["messaging_system"] is not None:
        return "amqp" if row["messaging_system"] == "rabbitmq" else "other"
    if row["rpc_system"] is not None:
        return "grpc" if row["rpc_system"] == "grpc" else "other"
    if row["http_method"] is not None:
        return "http"
    return "other" if row["db_system"] is not None else None


def _json(text: str | None, default: Any = ()) -> Any:
    return json.loads(text) if text else default
