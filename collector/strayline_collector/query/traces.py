"""Traces: search results, and one trace with everything drawn about it."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from strayline_collector.errors import BadInput, NotFound
from strayline_collector.query.search import Search
from strayline_collector.query.times import END
from strayline_collector.query.wire import (
    CriticalSegment,
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
from strayline_collector.trace.critical_path import critical_path
from strayline_collector.trace.stitch import MAX_SPANS, Known, Link, SpanKey, Story, stitch
from strayline_collector.trace.tree import TreeSpan, display_parents, drawing_order

KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES: Final = ("unset", "ok", "error")
FIRST_REACH_NS: Final = 2_000_000_000
"""How far before the newest span the first look of a newest-first search goes."""
REACH_GROWTH: Final = 8
_PARAMETER: Final = re.compile(r"\$(\w+)")


def search_traces(
    session: Session, search: Search, *, limit: int, cursor: str | None = None
) -> Traces:
    """A page of summaries; ``search`` is compiled to bound SQL. The cursor is the place of the
    last row: what is loaded meanwhile shifts nothing. Raises ``BadInput`` for a foreign cursor.

    Newest first, the newest times are searched alone, then more and more before them until the
    page is full: a trace that starts within a time has all its spans after that start.
    """
    if cursor is not None:
        search.after(*_place(cursor))
    bounds = {name: search.params[name] for name in ("start_ns", "end_ns")}
    newest = session.rows(load("query/newest_start"), bounds)
    if not newest:
        return Traces(items=[], next_cursor=None)
    reach_ns = FIRST_REACH_NS if search.newest_first else END
    rows: list[Row] = []
    while True:
        since_ns = max(search.params["start_ns"], int(newest[0]["start_ns"]) - reach_ns)
        rows = _page(session, search, since_ns, limit + 1)
        if len(rows) > limit or since_ns <= search.params["start_ns"]:
            break
        reach_ns *= REACH_GROWTH
    items = [_summary(row) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    return Traces(
        items=items,
        next_cursor=None if last is None else f"{last['sorted_by']!r}~{last['trace_id']}",
    )


def _page(session: Session, search: Search, since_ns: int, limit: int) -> list[Row]:
    params = {**search.params, "since_ns": since_ns}
    found = session.table(search.found, _used(search.found, params))
    session.register("found", found)
    loads = session.rows(load("query/trace_loads"))[0]
    if loads["first_batch"] is None:
        return []
    return session.rows(search.sql, _used(search.sql, {**params, **loads, "limit": limit}))


def _used(sql: str, params: dict[str, Any]) -> dict[str, Any]:
    names = set(_PARAMETER.findall(sql))
    return {name: value for name, value in params.items() if name in names}


def _place(cursor: str) -> tuple[float, str]:
    number, _, trace_id = cursor.partition("~")
    try:
        value = int(number) if number.lstrip("-").isdigit() else float(number)
    except ValueError:
        value = None
    if value is None or not trace_id:
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


def read_trace(session: Session, trace_id: str, *, stitched: bool) -> Trace:
    """One trace, alone or stitched. Raises ``NotFound``."""
    story = _story(session, trace_id, stitched=stitched)
    trace_ids = sorted({key.trace_id for key in story.spans} | {trace_id})
    loads = _loads(session, trace_ids)
    rows = session.rows(load("query/trace_spans"), {**loads, "limit": MAX_SPANS + 1})
    if not any(row["trace_id"] == trace_id for row in rows):
        raise NotFound(f"no trace {trace_id}: nothing stored bears that id")
    rows = [row for row in rows if SpanKey(row["trace_id"], row["span_id"]) in story.spans]
    waits = {
        SpanKey(row["trace_id"], row["span_id"]): row
        for row in session.rows(load("query/trace_waits"), loads)
    }
    findings: dict[SpanKey, list[str]] = defaultdict(list)
    for row in session.rows(load("query/trace_findings"), {"trace_ids": trace_ids}):
        findings[SpanKey(row["trace_id"], row["span_id"])].append(row["id"])
    tree = [_tree_span(row, waits) for row in rows]
    parents = display_parents(tree)
    place = {key: index for index, key in enumerate(drawing_order(tree, parents))}
    spans = [_span(row, waits, findings, parents) for row in rows]
    spans.sort(key=lambda span: place[SpanKey(span["trace_id"], span["span_id"])])
    return Trace(
        trace_id=trace_id,
        stitched_trace_ids=sorted({row["trace_id"] for row in rows} - {trace_id}),
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
        clock=[],
        truncated=story.truncated or len(rows) > MAX_SPANS,
    )


def _loads(session: Session, trace_ids: Sequence[str]) -> dict[str, int]:
    """Between which loads these traces came; they are ``found`` from here on."""
    session.register("found", pa.table({"trace_id": pa.array(trace_ids, pa.string())}))
    loads = session.rows(load("query/trace_loads"))[0]
    return {name: -1 if batch is None else batch for name, batch in loads.items()}


def _story(session: Session, trace_id: str, *, stitched: bool) -> Story:
    def lookup(trace_ids: Sequence[str]) -> Known:
        loads = _loads(session, trace_ids)
        parents: dict[SpanKey, SpanKey | None] = {}
        for row in session.rows(load("query/trace_parents"), loads):
            parent = row["parent_span_id"]
            parents[SpanKey(row["trace_id"], row["span_id"])] = (
                SpanKey(row["trace_id"], parent) if parent else None
            )
        links = [
            Link(
                SpanKey(row["trace_id"], row["span_id"]),
                SpanKey(row["to_trace_id"], row["to_span_id"]),
            )
            for rows in (
                session.rows(load("query/trace_links_out"), loads),
                session.rows(load("query/trace_links_in")),
            )
            for row in rows
        ]
        return Known(parents, links)

    if stitched:
        return stitch(trace_id, lookup)
    return Story(frozenset(lookup([trace_id]).parents), truncated=False)


def _tree_span(row: Row, waits: dict[SpanKey, Row]) -> TreeSpan:
    key = SpanKey(row["trace_id"], row["span_id"])
    parent = row["parent_span_id"]
    wait = waits.get(key)
    return TreeSpan(
        key,
        SpanKey(row["trace_id"], parent) if parent else None,
        tuple(SpanKey(link["trace_id"], link["span_id"]) for link in _json(row["links"])),
        row["start_ns"],
        max(row["start_ns"], row["end_ns"]),
        wait["wait_ns"] if wait is not None else None,
    )


def _span(
    row: Row,
    waits: dict[SpanKey, Row],
    findings: dict[SpanKey, list[str]],
    parents: dict[SpanKey, SpanKey | None],
) -> Span:
    key = SpanKey(row["trace_id"], row["span_id"])
    wait = waits.get(key)
    parent = parents[key]
    return Span(
        trace_id=row["trace_id"],
        span_id=row["span_id"],
        parent_span_id=row["parent_span_id"],
        service=row["service"],
        name=row["name"],
        kind=KINDS[row["kind"]],
        start_unix_nano=row["start_ns"],
        end_unix_nano=row["end_ns"],
        status=STATUSES[row["status_code"]],
        status_message=row["status_message"],
        protocol=protocol_of(row),
        scope=row["scope_name"],
        attributes=_json(row["attributes"], {}),
        resource=_json(row["resource"], {}).get("attributes", {}),
        events=[
            SpanEvent(
                name=e["name"], time_unix_nano=e["time_unix_nano"], attributes=e["attributes"]
            )
            for e in _json(row["events"])
        ],
        links=[
            SpanLink(
                trace_id=link["trace_id"], span_id=link["span_id"], attributes=link["attributes"]
            )
            for link in _json(row["links"])
        ],
        queue=wait["queue"] if wait is not None else None,
        queue_wait_ns=wait["wait_ns"] if wait is not None else None,
        display_parent=f"{parent.trace_id}-{parent.span_id}" if parent is not None else None,
        findings=sorted(findings.get(key, [])),
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
