"""Findings and their life."""

from __future__ import annotations

from typing import Any

from strayline_collector.query.wire.words import (
    Confidence,
    FindingStatus,
    Severity,
    Triage,
    TypedDict,
)


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


class Findings(TypedDict):
    items: list[Finding]
    next_cursor: str | None
