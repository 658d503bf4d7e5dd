"""Traces: found, whole, drawn, guessed at."""

from __future__ import annotations

from typing import Any, Literal

from strayline_collector.query.wire.findings import FindingChange
from strayline_collector.query.wire.words import (
    ClockMode,
    Protocol,
    SegmentKind,
    SpanKind,
    TypedDict,
)


class TraceSummary(TypedDict):
    trace_id: str
    root_service: str
    root_name: str
    start_unix_nano: int
    duration_ms: float
    spans: int
    errors: int
    services: list[str]
    queue_wait_ms: float | None
    findings: int


class Traces(TypedDict):
    items: list[TraceSummary]
    next_cursor: str | None


class SpanEvent(TypedDict):
    name: str
    time_unix_nano: int
    attributes: dict[str, Any]


class SpanLink(TypedDict):
    trace_id: str
    span_id: str
    attributes: dict[str, Any]


class Span(TypedDict):
    trace_id: str
    span_id: str
    parent_span_id: str | None
    service: str
    name: str
    kind: SpanKind
    start_unix_nano: int
    end_unix_nano: int
    status: Literal["unset", "ok", "error"]
    status_message: str | None
    protocol: Protocol | None
    scope: str | None
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: list[SpanEvent]
    links: list[SpanLink]
    queue: str | None
    """The queue a consumer's span took its message from."""
    queue_wait_ns: int | None
    """From the end of the publish to the start of the handling; null unless both are known."""
    self_ns: int
    """In which none of its children ran."""
    display_parent: str | None
    """``trace_id-span_id`` to draw this span under: what caused it; the parent, else (stitched) a
    link's target, a consumer's publish before its parent."""
    context_bleed: bool
    """Its parent is only the request in which the consumer or server was started."""
    ends_before_start: bool
    """It was told with an end before its start, and is kept so; drawn it is of no length."""
    findings: list[str]


class CriticalSegment(TypedDict):
    trace_id: str
    span_id: str
    kind: SegmentKind
    start_unix_nano: int
    end_unix_nano: int


class ClockBound(TypedDict):
    """What causality says of two clocks: each the host's whose spans it timed, else the process's,
    else the service's. The offset is what ``host_b`` reads less what ``host_a`` reads at once."""

    host_a: str
    host_b: str
    min_offset_ns: int | None
    max_offset_ns: int | None
    """Null: nothing went between them that bounds it on this side."""
    consistent: bool
    """False: the least exceeds the most; a clock drifted or was set, and nothing is corrected."""
    correction_ns: int | None
    """The offset that ``clock=corrected`` takes, 0 where none is needed; null where none fits."""


class MissingSpan(TypedDict):
    """A span that others name and nobody has told of: a placeholder for what was there."""

    trace_id: str
    span_id: str
    children: list[str]
    """``trace_id-span_id`` of those whose parent it is, by start; at most 100."""
    linked: list[str]
    """Of those that link to it; at most 100."""
    named: int
    """How many name it."""


class InferredEnd(TypedDict):
    """A span, which need not be among the answer's."""

    trace_id: str
    span_id: str
    service: str
    name: str
    start_unix_nano: int


class InferredReason(TypedDict):
    """``time``: how the two lie in time; ``same``: what both say of the call; ``shared``: an
    attribute value that few have; ``seen``: such calls are known between the two services;
    ``rivals``: who else it may have been."""

    kind: Literal["time", "same", "shared", "seen", "rivals"]
    text: str


class Inferred(TypedDict):
    """A guess: ``parent`` probably caused ``child``, whose context was lost on the way."""

    child: InferredEnd
    parent: InferredEnd
    probability: float
    """0.2 to 1."""
    evidence: list[InferredReason]


class Trace(TypedDict):
    trace_id: str
    stitched_trace_ids: list[str]
    spans: list[Span]
    """In drawing order: depth first, children by start."""
    critical_path: list[CriticalSegment]
    clock: list[ClockBound]
    clock_mode: ClockMode
    missing: list[MissingSpan]
    """By the earliest that names them; at most 1,000."""
    inferred: list[Inferred]
    """Guesses, the likeliest first; empty unless asked for. Nothing else rests on them."""
    truncated: bool
    truncated_by: list[Literal["spans", "traces", "links"]]
    """Of what there was more than the answer holds: 100,000 spans (the earliest are here), 1,000
    traces, 100,000 links."""


class StorySpan(TypedDict):
    """A span without what it says: attributes, events and links are asked for one span at a time."""

    trace_id: str
    span_id: str
    display_parent: str | None
    """``trace_id-span_id`` of what caused it."""
    service: str
    name: str
    kind: SpanKind
    start_unix_nano: int
    end_unix_nano: int
    self_ns: int
    status: Literal["unset", "ok", "error"]
    protocol: Protocol | None
    events: int
    """How many."""
    queue: str | None
    queue_wait_ns: int | None
    findings: list[str]


class StorySpans(TypedDict):
    trace_id: str
    stitched_trace_ids: list[str]
    start_unix_nano: int
    """Of all its spans, as ``span_count`` is, whatever the page holds."""
    span_count: int
    truncated: bool
    """Whether there was more than 100,000 spans, 1,000 traces or 100,000 links."""
    items: list[StorySpan]
    """In drawing order: depth first, children by start."""
    next_cursor: str | None


class NamedSegment(CriticalSegment):
    service: str
    name: str


class PathSegments(TypedDict):
    """What the end of one story waited for."""

    trace_id: str
    start_unix_nano: int
    """Of the whole path, as ``total_ns`` and ``segment_count`` are."""
    total_ns: int
    segment_count: int
    items: list[NamedSegment]
    next_cursor: str | None


class OutlineColumns(TypedDict):
    """One value a span, in drawing order."""

    trace: list[int]
    """Place in ``traces``."""
    span_id: list[str]
    parent: list[int]
    """Place of the span to draw it under, -1 for none."""
    service: list[int]
    """Place in ``services``; ``name`` in ``names``; ``queue`` in ``queues``, -1 for none."""
    name: list[int]
    kind: list[int]
    """OTLP: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer."""
    start_ns: list[int]
    """After ``start_unix_nano``."""
    duration_ns: list[int]
    self_ns: list[int]
    status: list[int]
    """0 unset, 1 ok, 2 error."""
    protocol: list[int]
    """0 none, 1 http, 2 grpc, 3 amqp, 4 other."""
    events: list[int]
    """How many."""
    queue: list[int]
    queue_wait_ns: list[int | None]
    context_bleed: list[int]


class OutlineFinding(TypedDict):
    finding: FindingChange
    spans: list[int]
    """Places of the spans whose messages it is about."""


class Outline(TypedDict):
    """A trace without what its spans say: columns for a drawing. Times are in ns after
    ``start_unix_nano``; a place is a span's number in drawing order, from 0."""

    trace_id: str
    stitched_trace_ids: list[str]
    start_unix_nano: int
    duration_ns: int
    traces: list[str]
    services: list[str]
    names: list[str]
    queues: list[str]
    spans: OutlineColumns
    critical_path: list[list[int | str]]
    """Place, kind of segment, start, duration."""
    links: list[list[int | str]]
    """Place, trace id and span id of what it links to, and that one's place (-1: not here)."""
    findings: list[OutlineFinding]
    clock: list[ClockBound]
    clock_mode: ClockMode
    missing: list[MissingSpan]
    inferred: list[Inferred]
    truncated: bool
    truncated_by: list[Literal["spans", "traces", "links"]]


class SpanSaid(TypedDict):
    """What one span says of itself; what is worked out about it stands in the outline."""

    trace_id: str
    span_id: str
    service: str
    name: str
    kind: SpanKind
    start_unix_nano: int
    end_unix_nano: int
    status: Literal["unset", "ok", "error"]
    status_message: str | None
    scope: str | None
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: list[SpanEvent]
    links: list[SpanLink]
    sql: str
    """What shows the same through ``POST /api/v1/sql``."""


class SpansSaid(TypedDict):
    items: list[SpanSaid]
    """Two where a client and a server share an id (Zipkin)."""


class FoundSpans(TypedDict):
    spans: list[str]
    """``trace_id-span_id``, at most 10,000."""
    truncated: bool
