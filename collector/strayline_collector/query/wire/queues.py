"""Queues: figures, order, routes."""

from __future__ import annotations

from typing import Literal

from strayline_collector.query.wire.messages import FindingRef
from strayline_collector.query.wire.words import Severity, TypedDict


class OrderPoint(TypedDict):
    position: int
    """Place of the final delivery in the queue, from 0."""
    sequence: int
    """Place of the publish among the same messages, from 0."""
    extent: int
    """RFC 4737 reordering extent: places late, 0 when in order."""
    late: bool
    overtook: int
    """How many places early: a negative displacement, 0 when in order or late."""
    cause: str | None
    trace_id: str | None
    producer_span_id: str | None
    message_id: str | None
    routing_key: str | None
    producer_service: str | None
    consumer_service: str
    consumer_trace_id: str
    consumer_span_id: str
    redelivered: bool | None
    published_unix_nano: int | None
    delivered_unix_nano: int
    settled: str | None


class EnvelopeStep(TypedDict):
    """Some neighbouring positions of the window together."""

    position: int
    """Their first."""
    displacement_min: int
    displacement_max: int
    """Position less sequence: positive is late."""
    sequence_min: int
    sequence_max: int
    messages: int
    late: int
    extent_max: int
    at_ns: int
    """When the first of them was delivered, or completed."""


class LateBy(TypedDict):
    """Late messages of the queue by what they came late in; ``either`` is what findings count."""

    delivery: int
    completion: int
    either: int


class QueueOrder(TypedDict):
    queue: str
    broker: str | None
    vhost: str | None
    basis: Literal["delivery", "completion"]
    messages: int
    judged: int
    late: int
    """On the basis that was asked for."""
    late_by: LateBy
    late_ratio: float
    worst_extent: int
    redelivered: int
    first: int
    last: int
    """The window of positions that ``points`` and ``envelope`` are of."""
    window_late: int
    consumers: list[str]
    bindings: list[str]
    """Readable: ``orders.events — order.paid``."""
    points: list[OrderPoint]
    """All messages of the window up to ``limit``; beyond it the late ones, worst first, then a
    sample. By position."""
    envelope: list[EnvelopeStep]
    truncated: bool
    findings: list[FindingRef]


class KeyWord(TypedDict):
    """A word of a binding's key against one of the message's; null: there is none."""

    pattern: str | None
    word: str | None
    same: bool


class NearestBinding(TypedDict):
    routing_key: str
    destination: str
    words: list[KeyWord]


class RouteEnd(TypedDict):
    queue: str
    messages: int


class RouteWay(TypedDict):
    """Messages of one exchange and key, as far as they concern a queue."""

    exchange: str
    routing_key: str
    published: int
    returned: int
    last_unix_nano: int
    """When one was last published; what is expected is of that time."""
    expected_queues: list[str]
    unknown: str | None
    """Why what is expected may be incomplete."""
    actual: list[RouteEnd]
    into_queue: bool
    meant_for_queue: bool
    binding: str | None
    """Of the binding straight into the queue that they match, whoever told of it."""
    nearest: NearestBinding | None
    """Where they are not meant for the queue: the binding that is, and comes nearest."""


class RouteBinding(TypedDict):
    exchange: str
    routing_key: str
    roles: list[str]
    """``intended``: declared, or in a reference; ``actual``: the broker has, or had it."""


class QueueRoutes(TypedDict):
    queue: str
    broker: str | None
    vhost: str | None
    bindings: list[RouteBinding]
    items: list[RouteWay]
    truncated: bool
    next_cursor: str | None


class Flow(TypedDict):
    """Of the messages whose delivery was seen, in 24 equal steps of the time in which any queue's
    were published and delivered."""

    step_s: float
    rate_per_s: float
    """Messages delivered, over all of that time."""
    delivered_steps: list[int]
    depth_steps: list[int]
    """Published and not delivered yet, at each step's end."""
    depth_max: int


class Queue(Flow):
    name: str
    broker: str | None
    vhost: str | None
    messages: int
    deliveries: int
    errors: int
    """Deliveries whose handling ended in error."""
    redelivered: int
    """Messages that were given out again, or given back."""
    late: int
    """In the range, by delivery, completion or ordering key."""
    wait_p50_ms: float | None
    wait_p95_ms: float | None
    handle_p95_ms: float | None
    consumers: list[str]
    producers: list[str]
    findings: int
    worst_severity: Severity | None
    """Of its findings."""


class Queues(TypedDict):
    items: list[Queue]
    next_cursor: str | None
