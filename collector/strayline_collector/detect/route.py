"""Where RabbitMQ puts a message: exchange, key and headers through a topology, to a set of queues.

A pure function of a frozen topology. Rules are AMQP 0-9-1's with RabbitMQ's extensions:
direct, topic, fanout, headers (four match modes), the default exchange, exchange-to-exchange
bindings, alternate exchanges, CC/BCC, delayed-message; consistent-hash and random exchanges
give "one of". What the topology does not say is ``unknown``, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

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

_ONE_OF: Final = frozenset({"x-consistent-hash", "x-random", "x-modulus-hash"})


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange as declared; ``type`` None when nobody said it."""

    name: str
    type: str | None
    alternate: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def routes_as(self) -> str | None:
        """The type that matches keys: a delayed exchange routes as its ``x-delayed-type``."""
        if self.type == "x-delayed-message":
            delayed = self.arguments.get("x-delayed-type")
            return delayed if isinstance(delayed, str) else None
        return self.type


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
    queues: frozenset[str]
    bindings: Mapping[str, Sequence[Binding]]
    """By source exchange."""

    @staticmethod
    def of(
        exchanges: Iterable[Exchange], queues: Iterable[str], bindings: Iterable[Binding]
    ) -> Topology:
        """Collects parts into a topology; later exchanges of one name win."""
        by_source: dict[str, list[Binding]] = {}
        for binding in bindings:
            by_source.setdefault(binding.source, []).append(binding)
        return Topology({e.name: e for e in exchanges}, frozenset(queues), by_source)

    def exchange_type(self, name: str) -> str | None:
        """How ``name`` matches keys; None when unknown."""
        known = self.exchanges.get(name)
        if known is not None and known.routes_as is not None:
            return known.routes_as
        return PREDECLARED.get(name)


@dataclass(frozen=True, slots=True)
class Route:
    """The queues a message reaches. With ``one_of`` exactly one of them, and which is chance."""

    queues: frozenset[str]
    matched: tuple[Binding, ...] = ()
    alternate: bool = False
    """Only an alternate exchange took it."""
    one_of: bool = False
    unknown: str | None = None
    """Why the answer may be incomplete; None when the topology decides it."""


def route(
    topology: Topology,
    exchange: str,
    routing_key: str,
    headers: Mapping[str, Any] | None = None,
) -> Route:
    """Routes one message. ``headers`` None means that they were not recorded: a headers
    exchange on the way then makes the answer unknown; ``{}`` means that there were none.
    """
    keys = (routing_key, *_copies(headers))
    if exchange == "":
        found = frozenset(key for key in keys if key in topology.queues)
        return Route(found, unknown=None if found else _queue_unknown(topology, routing_key))
    queues: set[str] = set()
    matched: list[Binding] = []
    unknown: str | None = None
    alternate = one_of = False
    seen: set[str] = set()
    work = [exchange]
    while work:
        name = work.pop()
        if name in seen:
            continue
        seen.add(name)
        kind = topology.exchange_type(name)
        if kind is None:
            unknown = unknown or f"the type of exchange {name!r} is not known"
            continue
        one_of = one_of or kind in _ONE_OF
        hits: list[Binding] = []
        for binding in topology.bindings.get(name, ()):
            verdict = matches(kind, binding, keys, headers)
            if verdict is None:
                unknown = unknown or f"exchange {name!r} matches what was not recorded"
            elif verdict:
                hits.append(binding)
        if not hits:
            declared = topology.exchanges.get(name)
            if declared is not None and declared.alternate is not None:
                alternate = alternate or name == exchange
                work.append(declared.alternate)
        for binding in hits:
            matched.append(binding)
            if binding.destination_kind == "exchange":
                work.append(binding.destination)
            else:
                queues.add(binding.destination)
    return Route(frozenset(queues), tuple(matched), alternate and bool(queues), one_of, unknown)


def matches(
    kind: str, binding: Binding, keys: Sequence[str], headers: Mapping[str, Any] | None
) -> bool | None:
    """Whether an exchange of type ``kind`` sends a message along ``binding``; None: cannot be said."""
    if kind == "direct":
        return binding.routing_key in keys
    if kind == "fanout":
        return True
    if kind == "topic":
        pattern = binding.routing_key.split(".")
        return any(topic_matches(pattern, key.split(".")) for key in keys)
    if kind == "headers":
        return None if headers is None else _headers_match(binding.arguments, headers)
    if kind in _ONE_OF:
        return True
    return None


def topic_matches(pattern: Sequence[str], words: Sequence[str]) -> bool:
    """AMQP topic rules on words: ``*`` is one word, ``#`` none or more. Linear in the product."""
    row = [True, *([False] * len(words))]
    for part in pattern:
        if part == "#":
            for i in range(len(words)):
                row[i + 1] = row[i + 1] or row[i]
        else:
            row = [False, *(row[i] and part in ("*", word) for i, word in enumerate(words))]
    return row[-1]


def _copies(headers: Mapping[str, Any] | None) -> tuple[str, ...]:
    keys: list[str] = []
    for name in ("CC", "BCC"):
        values = (headers or {}).get(name)
        if isinstance(values, Sequence) and not isinstance(values, str):
            keys += [value for value in values if isinstance(value, str)]
    return tuple(keys)


def _headers_match(wanted: Mapping[str, Any], headers: Mapping[str, Any]) -> bool:
    mode = wanted.get("x-match", "all")
    with_x = mode in ("all-with-x", "any-with-x")
    checks = [
        name in headers and (value is None or _same(value, headers[name]))
        for name, value in wanted.items()
        if name != "x-match" and (with_x or not name.startswith("x-"))
    ]
    return any(checks) if mode in ("any", "any-with-x") else all(checks)


def _same(a: object, b: object) -> bool:
    """Type-strict: the broker compares type and value, true is not 1 and "1" is not 1."""
    return type(a) is type(b) and a == b


def _queue_unknown(topology: Topology, name: str) -> str | None:
    return None if name in topology.queues else f"queue {name!r} was not seen"
