"""What a broker has and had."""

from __future__ import annotations

from typing import Any, Literal

from strayline_collector.query.wire.words import TypedDict


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
