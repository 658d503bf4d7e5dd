"""The collector: its state, its settings, its errors."""

from __future__ import annotations

from typing import Literal, NotRequired

from strayline_collector.query.wire.words import TypedDict


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


class Problem(TypedDict):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    position: NotRequired[int]
    """Of a query line: the character, from 1, that cannot be understood."""
    expected: NotRequired[str]
