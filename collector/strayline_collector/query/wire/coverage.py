"""What is judged of each queue."""

from __future__ import annotations

from typing import Literal

from strayline_collector.query.wire.words import TypedDict


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


class UnnamedCoverage(TypedDict):
    """Messages that a service handled from a queue, or several, which no span names: by where they were
    published and who handled them. ``exchange`` is null where that is not known either."""

    environment: str | None
    broker: str | None
    vhost: str | None
    exchange: str | None
    consumer_service: str
    deliveries: int
    messages: int
    publish_known_share: float
    verdicts: list[CoveredVerdict]


class FailedDetector(TypedDict):
    """A detector whose last run failed: what it judges is unknown until it runs again."""

    detector: str
    reason: str


class Outage(TypedDict):
    """A time in which no collector listened: of what was not told then nothing is claimed."""

    start: str
    """When somebody was heard last before."""
    end: str
    """When a collector listened again."""


class Coverage(TypedDict):
    items: list[QueueCoverage]
    unnamed: list[UnnamedCoverage]
    outages: list[Outage]
    """Those that reach into the range that was asked for, the oldest first."""
    failed_detectors: list[FailedDetector]
    next_cursor: str | None
