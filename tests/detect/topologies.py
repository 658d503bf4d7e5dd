"""Random topologies, and messages for them, to hold the routing oracle against a broker.

Everything that decides a route is drawn: types, bindings between exchanges in circles, alternate
exchanges and dead-lettering by argument and by policy, CC and BCC, header values of every type.
Some queues kill what they get at once (a time to live or a length of nothing), one rejects.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from strayline_collector.detect.route import (
    Binding,
    Exchange,
    Message,
    Policy,
    Queue,
    Topology,
    dead_letter,
    route,
)

TYPES: Final = ("topic", "topic", "direct", "fanout", "headers", "headers")
WORDS: Final = ("a", "b", "")
VALUES: Final = (
    1, 0, 1.0, 0.5, True, False, None, "1", "a", "", bytearray(b"a"), Decimal("1"), [1, "a"], {"a": 1},
    datetime.fromtimestamp(1, UTC),
)  # fmt: skip
NAMES: Final = ("n", "m", "x-n", "CC", "BCC", "x-death", "x-first-death-reason")
KILLS: Final = {"expired": {"x-message-ttl": 0}, "maxlen": {"x-max-length": 0}}


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to publish."""

    exchange: str
    key: str
    headers: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class World:
    """A topology as declared, whose names all begin with ``prefix``, and messages for it."""

    prefix: str
    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]
    policies: tuple[Policy, ...]
    kills: Mapping[str, str]
    """Queue → the reason for which everything in it dies: ``expired``, ``maxlen``, ``rejected``."""
    messages: tuple[Sent, ...]

    @property
    def topology(self) -> Topology:
        return Topology.of(self.exchanges, self.queues, self.bindings, self.policies, complete=True)

    def rests(self, sent: Sent) -> Counter[str]:
        """In which queues a message must come to rest, and how often in each."""
        known = self.topology
        found: Counter[str] = Counter()
        first = route(known, sent.exchange, sent.key, sent.headers)
        assert first.unknown is None
        work = [(Message.of(sent.exchange, sent.key, sent.headers), q) for q in first.queues]
        while work:
            message, queue = work.pop()
            reason = self.kills.get(queue)
            if reason is None or (
                reason == "rejected" and any(d.queue == queue for d in message.deaths)
            ):
                found[queue] += 1
                continue
            after = dead_letter(known, queue, reason, message)
            if after is not None:
                assert after.route.unknown is None
                work += [(after.message, q) for q in after.route.queues]
        return found


def world(rng: random.Random, prefix: str, messages: int) -> World:
    """Draws a world."""
    exchange_names = [f"{prefix}.e{i}" for i in range(rng.randint(2, 6))]
    queue_names = [f"{prefix}.q{i}" for i in range(rng.randint(2, 6))]
    missing = f"{prefix}.missing"
    policies: list[Policy] = []

    def policy(name: str, definition: dict[str, Any]) -> None:
        apply_to = rng.choice(("all", "exchanges", "queues"))
        pattern = f"^{name.replace('.', chr(92) + '.')}$"
        policies.append(
            Policy(f"{prefix}-p{len(policies)}", pattern, apply_to, len(policies), definition)
        )

    exchanges: list[Exchange] = []
    for name in exchange_names:
        arguments: dict[str, Any] = {}
        alternate = rng.choice([*exchange_names, *exchange_names, missing, ""])
        if rng.random() < 0.4:
            arguments["alternate-exchange"] = alternate
        if rng.random() < 0.2:
            policy(name, {"alternate-exchange": rng.choice(exchange_names)})
        exchanges.append(
            Exchange(name, rng.choice(TYPES), arguments=arguments, internal=rng.random() < 0.1)
        )

    kills: dict[str, str] = {}
    queues: list[Queue] = []
    for name in queue_names:
        arguments = {}
        dies = rng.choice((None, None, "expired", "maxlen", "rejected"))
        if dies is not None:
            kills[name] = dies
            arguments.update(KILLS.get(dies, {}))
        if rng.random() < 0.5:
            arguments["x-dead-letter-exchange"] = rng.choice([*exchange_names, "", missing])
            if rng.random() < 0.5:
                arguments["x-dead-letter-routing-key"] = rng.choice((_key(rng), *queue_names))
        if rng.random() < 0.3:
            definition = {"dead-letter-exchange": rng.choice([*exchange_names, ""])}
            if rng.random() < 0.5:
                definition["dead-letter-routing-key"] = rng.choice((_key(rng), *queue_names))
            policy(name, definition)
        queues.append(Queue(name, arguments=arguments))

    bindings: list[Binding] = []
    for _ in range(rng.randint(4, 20)):
        source = rng.choice(exchanges)
        to_exchange = rng.random() < 0.3
        arguments = _wanted(rng) if source.type == "headers" else {}
        key = _pattern(rng) if source.type == "topic" else _key(rng)
        target = rng.choice(exchange_names if to_exchange else queue_names)
        bindings.append(
            Binding(source.name, target, "exchange" if to_exchange else "queue", key, arguments)
        )
    open_ones = [e.name for e in exchanges if not e.internal]
    sent = tuple(
        Sent(rng.choice([*open_ones, *open_ones, ""]), "", _headers(rng, queue_names))
        for _ in range(messages)
    )
    sent = tuple(
        Sent(s.exchange, rng.choice((*queue_names, missing)) if not s.exchange else _key(rng), s.headers)
        for s in sent
    )  # fmt: skip
    return World(
        prefix,
        tuple(exchanges),
        tuple(queues),
        tuple(bindings),
        tuple(policies),
        kills,
        sent,
    )


def _key(rng: random.Random) -> str:
    return ".".join(rng.choice(WORDS) for _ in range(rng.randint(1, 3)))


def _pattern(rng: random.Random) -> str:
    return ".".join(rng.choice((*WORDS, "*", "#")) for _ in range(rng.randint(1, 3)))


def _wanted(rng: random.Random) -> dict[str, Any]:
    names = rng.sample(NAMES, rng.randint(0, 3))
    found = {name: rng.choice(VALUES) for name in names}
    if rng.random() < 0.8:
        found["x-match"] = rng.choice(("all", "any", "all-with-x", "any-with-x"))
    return found


def _headers(rng: random.Random, queues: list[str]) -> dict[str, Any]:
    found = {name: rng.choice(VALUES) for name in rng.sample(NAMES[:3], rng.randint(0, 3))}
    for name in ("CC", "BCC"):
        if rng.random() < 0.2:
            found[name] = [
                rng.choice((_key(rng), rng.choice(queues), 1)) for _ in range(rng.randint(0, 2))
            ]
    return found
