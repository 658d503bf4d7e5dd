"""Exchanges, queues, bindings and policies of one vhost at one time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from strayline_collector.detect.route.policy import Policy, policy_of

PREDECLARED: Final = {
    "amq.direct": "direct",
    "amq.fanout": "fanout",
    "amq.topic": "topic",
    "amq.headers": "headers",
    "amq.match": "headers",
    "amq.rabbitmq.trace": "topic",
    "amq.rabbitmq.log": "topic",
}
"""Exchanges that every vhost has without a declare."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange as declared; ``type`` None when nobody said it."""

    name: str
    type: str | None
    alternate: str | None = None
    """By argument or, where that is absent, by policy."""
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    internal: bool = False
    """Takes messages from exchanges alone; publishing to it closes the channel."""
    unknown: str | None = None
    """Why its alternate exchange is not known; None when it is."""

    @property
    def delayed(self) -> bool:
        """Whether it may hold messages back."""
        return self.type == "x-delayed-message"

    @property
    def routes_as(self) -> str | None:
        """The type that matches keys: a delayed exchange routes as its ``x-delayed-type``."""
        if self.delayed:
            delayed = self.arguments.get("x-delayed-type")
            return delayed if isinstance(delayed, str) else None
        return self.type


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue, and where what dies in it goes."""

    name: str
    dead_letter_exchange: str | None = None
    """By argument or policy; empty for the default exchange, None for none."""
    dead_letter_routing_key: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    unknown: str | None = None
    """Why the dead-letter exchange is not known; None when it is."""

    @property
    def type(self) -> str:
        """``classic``, ``quorum`` or ``stream``."""
        kind = self.arguments.get("x-queue-type")
        return kind if isinstance(kind, str) else "classic"


@dataclass(frozen=True, slots=True)
class Binding:
    """``source`` exchange to ``destination``, a queue or an exchange."""

    source: str
    destination: str
    destination_kind: str
    routing_key: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Topology:
    """What is known of one vhost at one time."""

    exchanges: Mapping[str, Exchange]
    queues: Mapping[str, Queue]
    bindings: Mapping[str, Sequence[Binding]]
    """By source exchange, each binding once."""
    complete: bool = False
    """What it lacks does not exist; otherwise what it lacks is not known."""

    @staticmethod
    def of(
        exchanges: Iterable[Exchange],
        queues: Iterable[Queue | str],
        bindings: Iterable[Binding],
        policies: Iterable[Policy] = (),
        *,
        complete: bool = False,
    ) -> Topology:
        """Collects parts into a topology; later exchanges and queues of one name win."""
        rules = list(policies)
        by_source: dict[str, list[Binding]] = {}
        for binding in bindings:
            there = by_source.setdefault(binding.source, [])
            if binding not in there:
                there.append(binding)
        named = [Queue(q) if isinstance(q, str) else q for q in queues]
        return Topology(
            {e.name: _with_alternate(e, rules) for e in exchanges},
            {q.name: _with_dead_lettering(q, rules) for q in named},
            by_source,
            complete,
        )

    def exchange_type(self, name: str) -> str | None:
        """How ``name`` matches keys; None when unknown."""
        known = self.exchanges.get(name)
        if known is not None and known.routes_as is not None:
            return known.routes_as
        return PREDECLARED.get(name)

    def has_exchange(self, name: str) -> bool | None:
        """Whether there is such an exchange; None: cannot be said."""
        if name in self.exchanges or name in PREDECLARED or name == "":
            return True
        return False if self.complete else None


def _with_alternate(exchange: Exchange, policies: Sequence[Policy]) -> Exchange:
    if exchange.alternate is not None:
        return exchange
    argument = exchange.arguments.get("alternate-exchange")
    if isinstance(argument, str):
        return replace(exchange, alternate=argument)
    policy = policy_of(policies, "exchange", exchange.name, "")
    if isinstance(policy, str):
        return replace(exchange, unknown=policy)
    given = None if policy is None else policy.definition.get("alternate-exchange")
    return replace(exchange, alternate=given) if isinstance(given, str) else exchange


def _with_dead_lettering(queue: Queue, policies: Sequence[Policy]) -> Queue:
    """Each setting by itself: the argument, else the policy's."""
    policy = policy_of(policies, "queue", queue.name, queue.type)
    definition: Mapping[str, Any] = policy.definition if isinstance(policy, Policy) else {}
    exchange, key = (
        told
        if told is not None
        else next(
            (
                value
                for value in (queue.arguments.get(f"x-{name}"), definition.get(name))
                if isinstance(value, str)
            ),
            None,
        )
        for told, name in (
            (queue.dead_letter_exchange, "dead-letter-exchange"),
            (queue.dead_letter_routing_key, "dead-letter-routing-key"),
        )
    )
    decided = exchange is not None and key is not None
    return replace(
        queue,
        dead_letter_exchange=exchange,
        dead_letter_routing_key=key,
        unknown=policy if isinstance(policy, str) and not decided else queue.unknown,
    )
