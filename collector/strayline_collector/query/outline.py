"""A trace as a drawing needs it: columns instead of objects, and no attributes.

100,000 spans are 80 MB as objects and 8 MB as columns, which a browser reads in a tenth of the time;
what a span says is asked for one span at a time, and searched for here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, Literal

from strayline_collector.errors import NotFound
from strayline_collector.query.findings import told_briefly
from strayline_collector.query.story import found_in
from strayline_collector.query.trace import Told, collecting_later, drawn, tell
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
from strayline_collector.trace.stitch import SpanKey
from strayline_collector.trace.tree import TreeSpan

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
    picture = drawn(told)
    spans = [told.tree[index] for index in picture.rows]
    # of those that share a key the first
    place = dict(
        zip([span.key for span in reversed(spans)], range(len(spans) - 1, -1, -1), strict=True)
    )
    rest = dict(told.rest)
    path = rest.pop("critical_path")
    start_ns = min(span.start_ns for span in told.tree)
    end_ns = max(span.end_ns for span in told.tree)
    traces = [rest["trace_id"], *rest["stitched_trace_ids"]]
    return {
        **rest,
        "start_unix_nano": start_ns,
        "duration_ns": end_ns - start_ns,
        "traces": traces,
        **_columns(told, picture, spans, traces, start_ns),
        "critical_path": [
            [
                place[SpanKey(segment["trace_id"], segment["span_id"])],
                segment["kind"],
                segment["start_unix_nano"] - start_ns,
                segment["end_unix_nano"] - segment["start_unix_nano"],
            ]
            for segment in path
        ],
        "links": [
            [place[span.key], link.trace_id, link.span_id, place.get(link, -1)]
            for span in spans
            for link in span.links
        ],
        "findings": _findings(session, told, place),
    }


def _columns(
    told: Told, picture: Drawing, spans: list[TreeSpan], traces: list[str], start_ns: int
) -> dict[str, Any]:
    """Each span's facts, in drawing order; texts as places in lists of texts."""
    story, order = told.story, picture.rows
    trace_at = {name: at for at, name in enumerate(traces)}
    services, names, queues = _Texts(), _Texts(), _Texts()
    keys = [span.key for span in spans]
    said: list[list[int]] = json.loads(f"[{','.join(story.texts(order).to_pylist())}]")
    delivered = {at: key for at, key in enumerate(keys) if key in story.deliveries}
    queue, wait_ns = [-1] * len(keys), list[int | None]([None]) * len(keys)
    for at, key in delivered.items():
        wait_ns[at] = spans[at].wait_ns
        if story.deliveries[key]["queue"]:
            queue[at] = queues.at(story.deliveries[key]["queue"])
    return {
        "spans": {
            "trace": [trace_at[key.trace_id] for key in keys],
            "span_id": [key.span_id for key in keys],
            "parent": picture.above,
            "service": [services.at(story.services[row]) for row in order],
            "name": [names.at(story.names[row]) for row in order],
            "kind": [span.kind for span in spans],
            "start_ns": [span.start_ns - start_ns for span in spans],
            "duration_ns": [story.ends_ns[i] - story.tree[i].start_ns for i in order],
            "self_ns": picture.own_ns,
            "status": [status for status, _, _ in said],
            "protocol": [protocol for _, protocol, _ in said],
            "events": [events for _, _, events in said],
            "queue": queue,
            "queue_wait_ns": wait_ns,
            "context_bleed": [1 if key in told.bled else 0 for key in keys]
            if told.bled
            else [0] * len(keys),
        },
        "services": services.texts,
        "names": names.texts,
        "queues": queues.texts,
    }


class _Texts:
    """Texts, each once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._at: dict[str, int] = {}

    def at(self, text: str) -> int:
        found = self._at.get(text)
        if found is None:
            found = self._at[text] = len(self.texts)
            self.texts.append(text)
        return found


def _findings(session: Session, told: Told, place: dict[SpanKey, int]) -> list[OutlineFinding]:
    spans: dict[str, list[int]] = defaultdict(list)
    for key, ids in told.findings.items():
        for name in ids:
            if key in place:
                spans[name].append(place[key])
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
