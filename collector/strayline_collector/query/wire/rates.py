"""Services, and what flows."""

from __future__ import annotations

from strayline_collector.query.wire.words import SpanKind, TypedDict


class Service(TypedDict):
    name: str
    spans: int
    traces: int
    errors: int


class LiveRates(TypedDict):
    """What the stream tells every two seconds."""

    spans: int
    traces: int
    accepted_spans: int
    spans_per_s: float
    watermark: str | None
    problem: str | None
    """Why nothing is accepted or loaded right now."""


class RatePoint(TypedDict):
    start_unix_nano: int
    spans: int
    requests: int
    """Calls and messages, each once: server and consumer spans that started in the step, and
    messages that the broker gave back (returned or refused)."""
    errors: int
    """Those of them that failed: a span in error, a message given back."""
    p95_ms: float | None


class Rates(TypedDict):
    step_s: float
    points: list[RatePoint]


class ServiceSeen(TypedDict):
    name: str
    first_seen_unix_nano: int
    """Of what it told of itself: event time."""


class ServicesSeen(TypedDict):
    items: list[ServiceSeen]
    next_cursor: str | None


class Services(TypedDict):
    items: list[Service]
    next_cursor: str | None


class Operation(TypedDict):
    name: str
    kind: SpanKind
    spans: int
    errors: int


class Operations(TypedDict):
    items: list[Operation]
    next_cursor: str | None
