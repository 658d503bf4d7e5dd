"""Messages and what became of them."""

from __future__ import annotations

from strayline_collector.query.wire.words import Severity, TypedDict


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
