"""Words with a fixed set of values."""

from __future__ import annotations

import sys
from typing import Literal

if sys.version_info >= (3, 12):
    from typing import TypedDict
else:  # pydantic reads field requirements only from this one before 3.12
    from typing_extensions import TypedDict

__all__ = [
    "ClockMode",
    "Confidence",
    "FindingKind",
    "FindingStatus",
    "NodeKind",
    "Protocol",
    "RangeChange",
    "SegmentKind",
    "Severity",
    "SpanKind",
    "Through",
    "Triage",
    "TypedDict",
]

Severity = Literal["info", "warning", "error"]
Confidence = Literal["proven", "inferred"]
FindingStatus = Literal["provisional", "open", "retracted"]
FindingKind = Literal[
    "reordered",
    "misrouted",
    "unroutable",
    "lost",
    "stalled",
    "duplicated",
    "redelivery_loop",
    "dead_lettered",
    "context_lost",
    "uninstrumented",
]
Triage = Literal["new", "acknowledged", "muted"]
NodeKind = Literal["service", "exchange", "queue", "external"]
Protocol = Literal["http", "grpc", "amqp", "other"]
SpanKind = Literal["unspecified", "internal", "server", "client", "producer", "consumer"]
SegmentKind = Literal["self", "queue_wait", "network", "gap"]
"""``network``: in a client's span outside its server's, or after a span's end until what it caused
elsewhere; ``queue_wait``: before a consumer; ``gap``: after a span's end until what it caused in its
own process."""
ClockMode = Literal["raw", "corrected"]
Through = Literal["story", "response"]
RangeChange = Literal["new", "gone", "slower", "faster", "same"]
"""Slower, faster: by half at p95 and at least 1 ms, of at least ten calls in each range."""
