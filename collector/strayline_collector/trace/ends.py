"""The two ends of calls and messages, and by what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from strayline_collector.trace.spans import CONSUMER, TreeSpan
from strayline_collector.trace.stitch import SpanKey

DECIDING: Final[Mapping[str, tuple[str, ...]]] = {
    "http": ("path",),
    "grpc": ("rpc",),
    "amqp": ("exchange", "routing_key"),
}
"""What a call is known by; of other protocols the ``destination``."""


class End(NamedTuple):
    """One end of a call or message: a span as inferring needs it."""

    span: TreeSpan
    service: str
    protocol: str
    facts: Mapping[str, str]
    """What has to be the same at both ends where both say it."""
    lane: str = ""
    """Of a message handled: its queue."""
    shared: frozenset[str] = frozenset()
    """Attribute values as text that both ends may have."""


class Pair(NamedTuple):
    """Two ends that spans say belong together."""

    cause: End
    effect: End


Edge = tuple[str, str, str]
"""Who called whom, by which protocol."""


def by_start(end: End) -> tuple[int, SpanKey]:
    """The order of ends, the same however they came."""
    return end.span.start_ns, end.span.key


def came_ns(end: End) -> int:
    """When a request or message came, by its own clock."""
    return end.span.start_ns if end.span.received_ns is None else end.span.received_ns


def groups_of(end: End) -> list[tuple[str, ...]]:
    """By what a call is found: its protocol, and more and more of what it is known by, as far as
    the span says."""
    found: list[tuple[str, ...]] = [(end.protocol,)]
    for name in DECIDING.get(end.protocol, ("destination",)):
        if name not in end.facts:
            break
        found.append((*found[-1], end.facts[name]))
    return found


def lane_of(effect: End) -> str:
    """Where a message is handled once; empty for a call, which is answered once."""
    return f"{effect.service} {effect.lane}" if effect.span.kind == CONSUMER else ""


def place_of(cause: End, effect: End) -> tuple[SpanKey, str]:
    """What one effect can have: a call one answer, a publish one handling in each queue."""
    return cause.span.key, lane_of(effect)


def edge_of(cause: End, effect: End) -> Edge:
    """Between which services."""
    return cause.service, effect.service, effect.protocol
