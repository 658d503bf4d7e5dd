"""The graph of calls, and one range beside another."""

from __future__ import annotations

from typing import NotRequired

from strayline_collector.query.wire.words import (
    NodeKind,
    Protocol,
    RangeChange,
    Severity,
    TypedDict,
)


class Node(TypedDict):
    id: str
    """``service:<name>``, ``exchange:<broker>|<vhost>|<name>``, ``queue:…``, ``external:<name>``."""
    kind: NodeKind
    name: str
    broker: str | None
    vhost: str | None
    calls: int
    """Of a service: requests served, messages handled, and its messages that the broker gave back;
    of an exchange messages published to it, of a queue deliveries."""
    errors: int
    """Those of them that failed: handled with an error, or given back (returned or refused)."""
    rate_per_s: float
    p95_ms: float | None
    findings: int
    worst_severity: Severity | None
    sparkline: list[int]
    """Calls in 24 equal steps of the asked range."""


class Edge(TypedDict):
    source: str
    target: str
    protocol: Protocol
    calls: int
    rate_per_s: float
    """Calls a second between the first and the last span of the range."""
    messages: int | None
    """Distinct messages; null for calls that are none."""
    errors: int
    p50_ms: float | None
    p95_ms: float | None
    queue_wait_p95_ms: float | None
    findings: int


class Graph(TypedDict):
    nodes: list[Node]
    edges: list[Edge]
    compared: NotRequired[GraphChange]
    """With ``compare_start`` or ``compare_end``: every node and edge of either range."""


class GraphNodeChange(TypedDict):
    """A node now and ``before``; new and gone by being there, a service may serve no calls."""

    id: str
    kind: NodeKind
    name: str
    change: RangeChange
    calls: int
    before_calls: int
    errors: int
    before_errors: int
    p95_ms: float | None
    before_p95_ms: float | None


class GraphEdgeChange(TypedDict):
    source: str
    target: str
    protocol: Protocol
    change: RangeChange
    calls: int
    before_calls: int
    errors: int
    before_errors: int
    p95_ms: float | None
    before_p95_ms: float | None
    queue_wait_p95_ms: float | None
    before_queue_wait_p95_ms: float | None


class GraphChange(TypedDict):
    nodes: list[GraphNodeChange]
    edges: list[GraphEdgeChange]
