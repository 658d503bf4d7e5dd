"""A trace as a drawing needs it: columns instead of objects, and no attributes.

100,000 spans are 80 MB as objects and 8 MB as columns, which a browser reads in a tenth of the time;
what a span says is asked for one span at a time, and searched for here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute

from strayline_collector.errors import NotFound
from strayline_collector.query.findings import told_briefly
from strayline_collector.query.stored_spans import wait_ns
from strayline_collector.query.story import found_in
from strayline_collector.query.trace import Told, collecting_later, drawn, lines, tell
from strayline_collector.query.whole_texts import whole_rows
from strayline_collector.query.wire import (
    ClockMode,
    FoundSpans,
    OutlineFinding,
    SpanKind,
    SpanSaid,
    SpansSaid,
)
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session
from strayline_collector.trace.drawing import Drawing
from strayline_collector.trace.spans import number

compute: Final[Any] = pyarrow.compute  # makes its functions at run time, unknown to types

MAX_FOUND: Final = 10_000
MAX_FINDINGS: Final = 100
KINDS: Final[tuple[SpanKind, ...]] = (
    "unspecified",
    "internal",
    "server",
    "client",
    "producer",
    "consumer",
)


STATUSES: Final[tuple[Literal["unset", "ok", "error"], ...]] = ("unset", "ok", "error")


def outline_text(
    session: Session,
    trace_id: str,
    *,
    stitched: bool,
    clock: ClockMode = "raw",
    inferring: bool = False,
) -> bytes:
    """``wire.Outline`` as JSON. Raises ``NotFound``."""
    with collecting_later():
        outline = _outline(
            session,
            tell(
                session,
                trace_id,
                stitched=stitched,
                spans="query/trace_outline",
                clock=clock,
                inferring=inferring,
            ),
        )
        return json.dumps(outline, separators=(",", ":")).encode()


def _outline(session: Session, told: Told) -> dict[str, Any]:
    spans, picture = told.spans, drawn(told)
    line = [-1] * len(spans)
    for at in reversed(range(len(picture.places))):  # of those that share a key the first
        line[picture.places[at]] = at
    columns = lines(told, picture.rows, *_TOLD)
    start_ns, latest_ns = compute.min_max(columns["start_ns"]).as_py().values()
    end_ns = max(latest_ns, compute.max(columns["end_ns"]).as_py())
    traces = [told.trace_id, *told.stitched_trace_ids]
    return {
        "trace_id": told.trace_id,
        "stitched_trace_ids": told.stitched_trace_ids,
        **told.rest,
        "start_unix_nano": start_ns,
        "duration_ns": end_ns - start_ns,
        "traces": traces,
        **_columns(told, picture, columns, traces, start_ns),
        "critical_path": [
            [line[one.place], one.kind, one.start_ns - start_ns, one.end_ns - one.start_ns]
            for one in told.path
        ],
        "links": _links(told, picture, line),
        "findings": _findings(session, told, line),
    }


def _links(told: Told, picture: Drawing, line: Sequence[int]) -> list[list[Any]]:
    """``line``: of each span."""
    links = told.story.links
    place = told.spans.places(key for several in links.values() for key in several)
    return [
        [line[at], *key, line[place[key]] if key in place else -1]
        for at, row in zip(picture.places, picture.rows, strict=True)
        if row in links
        for key in links[row]
    ]


_TOLD: Final = ("trace_id", "span_id", "service", "name", "kind", "start_ns", "end_ns")


def _columns(
    told: Told, picture: Drawing, columns: pa.RecordBatch, traces: list[str], start_ns: int
) -> dict[str, Any]:
    """Each span's facts, in drawing order; texts as places in lists of texts."""
    trace = compute.index_in(columns["trace_id"], value_set=pa.array(traces, pa.string()))
    service, name = (columns[text].dictionary_encode() for text in ("service", "name"))
    texts = told.story.texts(picture.rows).to_pylist()
    said: list[list[int]] = json.loads(f"[{','.join(texts)}]")
    queues, queue, waited_ns = _waits(told, picture.rows)
    return {
        "spans": {
            "trace": trace.to_pylist(),
            "span_id": columns["span_id"].to_pylist(),
            "parent": picture.above,
            "service": service.indices.to_pylist(),
            "name": name.indices.to_pylist(),
            "kind": columns["kind"].to_pylist(),
            "start_ns": compute.subtract(columns["start_ns"], start_ns).to_pylist(),
            "duration_ns": compute.subtract(columns["end_ns"], columns["start_ns"]).to_pylist(),
            "self_ns": picture.own_ns,
            "status": [status for status, _, _ in said],
            "protocol": [protocol for _, protocol, _ in said],
            "events": [events for _, _, events in said],
            "queue": queue,
            "queue_wait_ns": waited_ns,
            "context_bleed": [int(place in told.bled) for place in picture.places],
        },
        "services": service.dictionary.to_pylist(),
        "names": name.dictionary.to_pylist(),
        "queues": queues,
    }


def _waits(told: Told, rows: Sequence[int]) -> tuple[list[str], list[int], list[int | None]]:
    """Names of queues; of each row the place there of its message's, -1: it has none, and how long it waited."""
    places: dict[str, int] = {}
    queue, waited_ns = [-1] * len(rows), list[int | None]([None]) * len(rows)
    deliveries = told.story.by_row(told.story.deliveries)
    for at, row in enumerate(rows) if deliveries else ():
        if row in deliveries:
            waited_ns[at] = wait_ns(deliveries[row], told.offsets)
            if deliveries[row]["queue"]:
                queue[at] = number(places, deliveries[row]["queue"])
    return list(places), queue, waited_ns


def _findings(session: Session, told: Told, line: Sequence[int]) -> list[OutlineFinding]:
    spans: dict[str, list[int]] = defaultdict(list)
    for key, place in told.spans.places(told.findings).items():
        for name in told.findings[key]:
            spans[name].append(line[place])
    if not spans:
        return []
    ids = sorted(spans)[:MAX_FINDINGS]
    rows = session.rows(load("query/trace_finding_heads"), {"ids": ids})
    return [{"finding": told_briefly(row), "spans": sorted(spans[row["id"]])} for row in rows]


def read_span(session: Session, trace_id: str, span_id: str) -> SpansSaid:
    """What the spans of that id say. Raises ``NotFound``."""
    loads = found_in(session, [trace_id])
    key = {"trace_id": trace_id, "span_id": span_id}
    rows = whole_rows(session, session.rows(load("query/trace_span"), {**loads, **key}))
    if not rows:
        raise NotFound(f"no span {span_id} in trace {trace_id}")
    return SpansSaid(items=[_said(row, trace_id, span_id) for row in rows])


def _said(row: Row, trace_id: str, span_id: str) -> SpanSaid:
    return SpanSaid(
        trace_id=trace_id,
        span_id=span_id,
        service=row["service"],
        name=row["name"],
        kind=KINDS[row["kind"]],
        start_unix_nano=row["start_ns"],
        end_unix_nano=row["end_ns"],
        status=STATUSES[row["status_code"]],
        status_message=row["status_message"],
        scope=row["scope_name"],
        attributes=json.loads(row["attributes"]),
        resource=json.loads(row["resource"]).get("attributes", {}),
        events=json.loads(row["events"]),
        links=json.loads(row["links"]),
        sql=f"SELECT * FROM spans WHERE trace_id = '{trace_id}' AND span_id = '{span_id}'",  # noqa: S608 - told, not run
    )


def find_spans(session: Session, trace_ids: Sequence[str], text: str) -> FoundSpans:
    """Spans of these traces that say ``text``, whatever its case, in anything that they tell."""
    loads = found_in(session, trace_ids)
    lower = text.lower()
    # attributes are stored as JSON: a quote or backslash stands there escaped
    written = json.dumps(lower, ensure_ascii=False)[1:-1]
    params = {**loads, "text": lower, "json": written, "limit": MAX_FOUND + 1}
    rows = session.rows(load("query/trace_find"), params)
    keys = sorted(f"{row['trace_id']}-{row['span_id']}" for row in rows[:MAX_FOUND])
    return FoundSpans(spans=keys, truncated=len(rows) > MAX_FOUND)
