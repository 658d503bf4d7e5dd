"""Two traces, two ranges, the two ends of a call."""

from __future__ import annotations

from typing import Literal

from strayline_collector.query.wire.words import Protocol, RangeChange, SpanKind, TypedDict


class ComparedSide(TypedDict):
    trace_id: str
    start_unix_nano: int
    duration_ms: float
    spans: int
    errors: int
    messages: int
    """Deliveries handled."""
    queue_wait_ms: float | None
    """The longest."""


class ComparedCall(TypedDict):
    """One call as both traces have it; what one lacks is null."""

    change: Literal["same", "added", "missing", "reordered"]
    """``added``: only in ``b``; ``missing``: only in ``a``; ``reordered``: one of its siblings had
    ended before it began and now begins after its end, or the other way round."""
    service: str
    operation: str
    kind: SpanKind
    depth: int
    a: str | None
    """``trace_id-span_id``."""
    b: str | None
    a_ms: float | None
    b_ms: float | None
    delta_ms: float | None
    a_queue_wait_ms: float | None
    b_queue_wait_ms: float | None


class ComparedOperation(TypedDict):
    service: str
    operation: str
    kind: SpanKind
    a_calls: int
    b_calls: int
    a_total_ms: float
    b_total_ms: float


class ComparedQueue(TypedDict):
    queue: str
    a_deliveries: int
    b_deliveries: int


class TraceComparison(TypedDict):
    a: ComparedSide
    b: ComparedSide
    added: int
    missing: int
    reordered: int
    calls: list[ComparedCall]
    """Depth first, in the order of ``b``."""
    operations: list[ComparedOperation]
    """The largest difference of time first."""
    queues: list[ComparedQueue]
    truncated: bool


class ComparedFigures(TypedDict):
    service: str
    operation: str
    kind: SpanKind
    a_calls: int
    b_calls: int
    a_errors: int
    b_errors: int
    a_p50_ms: float | None
    b_p50_ms: float | None
    a_p95_ms: float | None
    b_p95_ms: float | None
    change: RangeChange


class ComparedEdge(TypedDict):
    """An edge of the graph at level ``messaging``."""

    source: str
    target: str
    protocol: Protocol
    a_calls: int
    b_calls: int
    a_errors: int
    b_errors: int
    a_p95_ms: float | None
    b_p95_ms: float | None
    a_queue_wait_p95_ms: float | None
    b_queue_wait_p95_ms: float | None
    change: RangeChange


class RangeComparison(TypedDict):
    operations: list[ComparedFigures]
    """The most called first; at most 5,000."""
    edges: list[ComparedEdge]


class Latency(TypedDict):
    """Calls over HTTP or gRPC from one service to another: client's time = server's + network's +
    unexplained."""

    client: str
    server: str | None
    """Null: nobody who answers sends spans."""
    peer: str | None
    """The name or address that was called, where the server is unknown."""
    protocol: Protocol
    calls: int
    explained_calls: int
    """Of those whose server's span is here."""
    outlasting_calls: int
    """Whose server went on after the client had ended; it counts until then."""
    errors: int
    total_ms: float
    server_total_ms: float
    network_total_ms: float
    """Network and queueing: what the client waited for that was not its server's."""
    unexplained_total_ms: float
    """Of calls whose server's span is not here."""
    client_p50_ms: float
    client_p95_ms: float
    server_p50_ms: float | None
    server_p95_ms: float | None
    network_p50_ms: float | None
    network_p95_ms: float | None


class Latencies(TypedDict):
    items: list[Latency]
    """The most time first; at most 1,000."""
    next_cursor: str | None
