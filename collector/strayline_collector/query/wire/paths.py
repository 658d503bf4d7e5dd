"""The critical path of many traces."""

from __future__ import annotations

from strayline_collector.query.wire.words import SegmentKind, Through, TypedDict


class PathPart(TypedDict):
    """All that critical paths spent in spans of one name, in one way."""

    service: str
    operation: str
    kind: SegmentKind
    peer: str | None
    """Of ``network`` the server's service, of ``queue_wait`` the producer's."""
    queue: str | None
    total_ms: float
    share: float
    """Of the whole, 0 to 1; all parts add up to 1."""
    mean_ms: float
    """Over all stories, those without it too."""
    p95_ms: float
    """Of the stories that have it."""
    traces: int
    """Stories that have it."""
    worst_trace_id: str


class CriticalPath(TypedDict):
    service: str
    operation: str | None
    through: Through
    matching: int
    """Calls of the operation in the range."""
    traces: int
    """Of those added up here, the newest."""
    mean_ms: float
    p50_ms: float
    p95_ms: float
    items: list[PathPart]
    """The largest first."""
    truncated: bool
    """Some stories were longer than what is read of them."""
