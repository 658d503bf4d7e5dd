"""The shapes that travel between the API and its clients.

Standard library only (and ``typing_extensions``, which the OpenTelemetry SDK brings): the
dashboard imports this module and nothing else of the collector. Names carry their unit;
``*_unix_nano`` are integers, other times RFC 3339 UTC with nanoseconds; ids are lower-case hex.
"""

from __future__ import annotations

import sys
from typing import Any, Literal, NotRequired

if sys.version_info >= (3, 12):
    from typing import TypedDict
else:  # pydantic reads field requirements only from this one before 3.12
    from typing_extensions import TypedDict

Severity = Literal["info", "warning", "error"]
Confidence = Literal["proven", "inferred"]
FindingStatus = Literal["provisional", "open", "retracted"]
Triage = Literal["new", "acknowledged", "muted"]
NodeKind = Literal["service", "exchange", "queue", "external"]
Protocol = Literal["http", "grpc", "amqp", "other"]
SpanKind = Literal["unspecified", "internal", "server", "client", "producer", "consumer"]


class StoreStatus(TypedDict):
    kind: str
    size_bytes: int


class IngestStatus(TypedDict):
    accepted_spans: int
    rejected_spans: int
    spans_per_s: float
    journal_lag_bytes: int
    """Acknowledged and not visible to queries yet."""
    journal_lag_s: float
    journal_lost_bytes: int
    """Acknowledged, and given back damaged by the disk."""
    batch_rows: int
    """Spans of the last load."""
    linger_ms: float
    """How long the last load waited for more."""
    memory_in_flight_bytes: int
    problem: str | None
    """Why nothing is accepted or loaded right now."""


class DetectionStatus(TypedDict):
    watermark: str | None
    lag_s: float
    runs: int


class Status(TypedDict):
    version: str
    spans: int
    traces: int
    started_at: str
    decoder: Literal["native", "python"]
    store: StoreStatus
    ingest: IngestStatus
    detection: DetectionStatus


class MemoryParts(TypedDict):
    limit_bytes: int
    store_bytes: int
    requests_bytes: int
    """Of bodies that arrive or wait for their answer."""
    journal_bytes: int
    """Of acknowledged bodies kept for the loader."""


class Threshold(TypedDict):
    name: str
    value: float
    default: float
    means: str


class Configured(TypedDict):
    """How the collector was started. Of files the name is told, of URLs host and port."""

    store: str
    otlp_http: str
    otlp_grpc: str
    retention_s: int | None
    """Telemetry is kept so long after its arrival; null: for ever."""
    max_db_size_bytes: int | None
    lateness_s: float
    memory: MemoryParts
    contracts: list[str]
    topology_from: list[str]
    """Management APIs that are polled; what services declare is known without."""
    forward_to: str | None
    webhooks: list[str]
    token_wanted: bool
    tls: bool
    thresholds: list[Threshold]


class Settled(TypedDict):
    findings: int
    provisional: int


class Service(TypedDict):
    name: str
    spans: int
    traces: int
    errors: int


class Node(TypedDict):
    id: str
    """``service:<name>``, ``exchange:<broker>|<vhost>|<name>``, ``queue:…``, ``external:<name>``."""
    kind: NodeKind
    name: str
    broker: str | None
    vhost: str | None
    calls: int
    """Requests served or messages handled; for an exchange messages published to it."""
    errors: int
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
    findings: list[str]


SegmentKind = Literal["self", "queue_wait", "network", "gap"]
"""``network``: in a client's span outside its server's, or after a span's end until what it caused
elsewhere; ``queue_wait``: before a consumer; ``gap``: after a span's end until what it caused in its
own process."""


class CriticalSegment(TypedDict):
    trace_id: str
    span_id: str
    kind: SegmentKind
    start_unix_nano: int
    end_unix_nano: int


ClockMode = Literal["raw", "corrected"]


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
    kind: str
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


Through = Literal["story", "response"]


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


RangeChange = Literal["new", "gone", "slower", "faster", "same"]
"""Slower, faster: by half at p95 and at least 1 ms, of at least ten calls in each range."""


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


class Delivery(TypedDict):
    queue: str | None
    consumer_service: str
    consumer_instance: str | None
    trace_id: str
    consumer_span_id: str
    channel: int | None
    consumer_tag: str | None
    delivery_tag: int | None
    redelivered: bool | None
    received_unix_nano: int
    handled_start_unix_nano: int | None
    handled_end_unix_nano: int | None
    failed: bool
    settled: str | None
    settled_unix_nano: int | None
    death: list[str]


class FindingRef(TypedDict):
    id: str
    kind: str
    role: str
    severity: Severity


class Message(TypedDict):
    id: str
    """``trace_id-producer_span_id`` when the publish was seen, else the stamp's identity."""
    trace_id: str | None
    producer_span_id: str | None
    message_id: str | None
    type: str | None
    broker: str | None
    vhost: str | None
    exchange: str | None
    routing_key: str | None
    producer_service: str | None
    published_unix_nano: int | None
    outcome: str | None
    stamp: str | None
    ordering_key: str | None
    queues: list[str]
    deliveries: list[Delivery]
    findings: list[FindingRef]


class Messages(TypedDict):
    items: list[Message]
    next_cursor: str | None


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


class QueueOrder(TypedDict):
    queue: str
    broker: str | None
    vhost: str | None
    basis: Literal["delivery", "completion"]
    messages: int
    judged: int
    late: int
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
    redelivered: int
    late: int
    wait_p50_ms: float | None
    wait_p95_ms: float | None
    handle_p95_ms: float | None
    consumers: list[str]
    producers: list[str]
    findings: int


class Queues(TypedDict):
    items: list[Queue]
    next_cursor: str | None


class Subject(TypedDict):
    environment: str | None
    broker: str | None
    vhost: str | None
    queue: str | None
    exchange: str | None
    routing_key: str | None
    producer_service: str | None
    consumer_service: str | None


class FindingDelivery(TypedDict):
    consumer_span_id: str
    trace_id: str
    delivery_tag: int | None
    redelivered: bool | None
    settled: str | None
    time: str


class FindingMessage(TypedDict):
    trace_id: str | None
    producer_span_id: str | None
    message_id: str | None
    queue: str | None
    role: str
    cause: str | None
    confidence: Confidence
    late_by: list[str]
    sequence: int | None
    extent: int | None
    expected_queues: list[str]
    actual_queues: list[str]
    deliveries: list[FindingDelivery]
    evidence: dict[str, Any]
    """What else the detector rests on: its own keys, explained on the detector's page."""


class Episode(TypedDict("EpisodeFrom", {"from": str})):
    to: str
    count: int


class Finding(TypedDict):
    id: str
    kind: str
    verdict: str | None
    cause: str | None
    severity: Severity
    confidence: Confidence
    status: FindingStatus
    triage: Triage
    muted_until: str | None
    note: str | None
    title: str
    explanation: str
    remedy: str
    subject: Subject
    first_seen: str
    last_seen: str
    updated_at: str
    count: int
    episodes: list[Episode]
    messages: list[FindingMessage]
    messages_truncated: bool
    sql: str


class FindingChange(TypedDict):
    """A finding as the stream tells of it: without its messages, words of explanation and SQL."""

    id: str
    kind: str
    verdict: str | None
    cause: str | None
    severity: Severity
    confidence: Confidence
    status: FindingStatus
    triage: Triage
    title: str
    count: int
    subject: Subject
    first_seen: str
    last_seen: str
    updated_unix_nano: int


class LiveRates(TypedDict):
    """What the stream tells every two seconds."""

    spans: int
    traces: int
    accepted_spans: int
    spans_per_s: float
    watermark: str | None


class Findings(TypedDict):
    items: list[Finding]
    next_cursor: str | None


class CoveredVerdict(TypedDict):
    """Whether one verdict about a queue can be trusted to be there when it should."""

    kind: str
    verdict: str | None
    state: Literal["judged", "inferred", "unknown"]
    """By what was recorded; only by habit or spans; not at all."""
    reason: str | None
    """What is missing; null: nothing."""


class QueueCoverage(TypedDict):
    """What is known of a queue, and which verdicts rest on it. Shares are of its deliveries; null
    without any."""

    environment: str | None
    broker: str | None
    vhost: str | None
    queue: str
    deliveries: int
    messages: int
    stamped_share: float | None
    publish_known_share: float | None
    settled_share: float | None
    processes: int
    """Consuming processes that Strayline instruments."""
    processes_with_census: int
    declared: bool
    verdicts: list[CoveredVerdict]


class FailedDetector(TypedDict):
    """A detector whose last run failed: what it judges is unknown until it runs again."""

    detector: str
    reason: str


class Coverage(TypedDict):
    items: list[QueueCoverage]
    failed_detectors: list[FailedDetector]
    next_cursor: str | None


class Said(TypedDict):
    """Who said so, and when it held: surely between first and last sight, possibly from the look
    before to the look after; null: open."""

    role: str
    told_by: Literal["shim", "document", "management"]
    complete: bool
    service: str | None
    possibly_from: str | None
    surely_from: str
    surely_to: str
    possibly_to: str | None
    broker: str | None
    vhost: str | None


class ExchangeInfo(Said):
    name: str
    type: str | None
    durable: bool | None
    internal: bool | None
    arguments: dict[str, Any]


class QueueInfo(Said):
    name: str
    arguments: dict[str, Any]
    durable: bool | None


class BindingInfo(Said):
    source: str
    destination: str
    destination_kind: Literal["queue", "exchange"]
    routing_key: str
    arguments: dict[str, Any]


class PolicyInfo(Said):
    name: str
    apply_to: str
    pattern: str
    priority: int
    definition: dict[str, Any]


class Topology(TypedDict):
    exchanges: list[ExchangeInfo]
    queues: list[QueueInfo]
    bindings: list[BindingInfo]
    policies: list[PolicyInfo]


class RatePoint(TypedDict):
    start_unix_nano: int
    spans: int
    requests: int
    """Server and consumer spans that started in the step."""
    errors: int
    p95_ms: float | None


class Rates(TypedDict):
    step_s: float
    points: list[RatePoint]


class Problem(TypedDict):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    position: NotRequired[int]
    """Of a query line: the character, from 1, that cannot be understood."""
    expected: NotRequired[str]


class Completion(TypedDict):
    kind: Literal["field", "attribute", "has", "value"]
    text: str
    insert: str
    """What to put in place: values in quotes where they need them, names with ``=``."""
    spans: int | None
    """How often it was found among the newest spans or messages; null for what is fixed."""


class Completions(TypedDict):
    """``GET /api/v1/search/complete``: each item replaces the characters ``replace_from`` up to
    ``replace_to`` of ``q``, counted from 0."""

    replace_from: int
    replace_to: int
    items: list[Completion]


class Spread(TypedDict):
    """How the newest traces of a search lie in time and duration."""

    traces: int
    """At most 5,000; ``truncated``: more match."""
    truncated: bool
    start_unix_nano: int
    end_unix_nano: int
    least_ns: int
    most_ns: int
    """The rows divide the logarithm between them."""
    columns: int
    rows: int
    cells: list[list[int]]
    """Column, row (from the shortest), traces, of those with errors."""


class Difference(TypedDict):
    """A value that more, or fewer, of the picked traces have than of the rest."""

    field: str
    value: str
    picked: int
    others: int
    picked_share: float
    """Of those read, 0 to 1."""
    other_share: float


class Distinction(TypedDict):
    picked: int
    others: int
    picked_read: int
    """Of each side at most 400, evenly chosen, are read."""
    others_read: int
    items: list[Difference]
    """The largest difference first."""


class SqlRelation(TypedDict):
    name: str
    means: str
    """What a row is."""
    columns: list[SqlColumn]


class SqlLimits(TypedDict):
    seconds: float
    rows: int
    answer_bytes: int
    statement_bytes: int
    at_a_time: int


class SqlSchema(TypedDict):
    """``GET /api/v1/sql/schema``: what can be read, and within which limits."""

    relations: list[SqlRelation]
    limits: SqlLimits


class SqlColumn(TypedDict):
    """A column of an answer to SQL: its name and DuckDB's type."""

    name: str
    type: str


class SqlAnswer(TypedDict):
    """``POST /api/v1/sql``: rows hold their values in the columns' order."""

    columns: list[SqlColumn]
    rows: list[list[Any]]
    truncated: bool
    elapsed_ms: float
