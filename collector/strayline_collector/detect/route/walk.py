"""From an exchange along bindings to queues: AMQP's rules with RabbitMQ's extensions.

Bindings between exchanges are followed, each exchange once, so that circles end. An alternate
exchange takes what matched none of its exchange's own bindings; one that matched a binding to an
exchange which leads nowhere is matched. The default exchange reaches the queue that each key names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from strayline_collector.detect.route.match import CHANCE, matches
from strayline_collector.detect.route.message import Message
from strayline_collector.detect.route.topology import Binding, Exchange, Topology

MAX_OUTCOMES: Final = 64
"""More ways than these by chance are not told apart."""
REPLY_TO: Final = "amq.rabbitmq.reply-to"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a message goes."""

    queues: frozenset[str]
    """Every queue that it may reach."""
    matched: tuple[Binding, ...] = ()
    alternate: bool = False
    """Only an alternate exchange took it."""
    outcomes: frozenset[frozenset[str]] = frozenset()
    """What may come of it: one set of queues, or several of which chance picks one."""
    delayed: bool = False
    """A delayed exchange may hold it back; then it goes by the bindings of that later time."""
    reply: bool = False
    """It is an answer over direct reply-to, which reaches its requester without a queue."""
    refused: str | None = None
    """Why the broker closes the channel instead of routing; None when it routes."""
    unknown: str | None = None
    """Why the answer may be incomplete; None when the topology decides it."""

    @property
    def one_of(self) -> bool:
        """Whether chance decides among several."""
        return len(self.outcomes) > 1

    @property
    def certain(self) -> frozenset[str]:
        """The queues that it reaches whatever chance decides."""
        return frozenset.intersection(*self.outcomes) if self.outcomes else frozenset()


@dataclass(slots=True)
class _Walk:
    """One way through the exchanges: what is still to visit, and what was found."""

    work: list[str]
    later: list[str] = field(default_factory=list[str])
    """Alternate exchanges, visited when everything reached without them is known."""
    seen: set[str] = field(default_factory=set[str])
    queues: set[str] = field(default_factory=set[str])
    first: set[str] | None = None
    """The queues that were reached without any alternate exchange."""
    matched: list[Binding] = field(default_factory=list[Binding])
    delayed: bool = False
    unknown: str | None = None

    def next(self) -> str | None:
        while self.work or self.later:
            if not self.work and self.first is None:
                self.first = set(self.queues)
            name = (self.work or self.later).pop()
            if name not in self.seen:
                self.seen.add(name)
                return name
        return None

    def along(self, binding: Binding) -> None:
        self.matched.append(binding)
        if binding.destination_kind == "exchange":
            self.work.append(binding.destination)
        else:
            self.queues.add(binding.destination)

    def fork(self) -> _Walk:
        return replace(
            self,
            work=list(self.work),
            later=list(self.later),
            seen=set(self.seen),
            queues=set(self.queues),
            matched=list(self.matched),
        )

    def doubt(self, reason: str) -> None:
        self.unknown = self.unknown or reason


def route(
    topology: Topology,
    exchange: str,
    routing_key: str,
    headers: Mapping[str, Any] | None = None,
) -> Route:
    """Routes a message as it is published. ``headers`` None means that they were not recorded: a
    headers exchange on the way then makes the answer unknown; ``{}`` means that there were none.
    """
    known = topology.exchanges.get(exchange)
    if known is not None and known.internal:
        return Route(frozenset(), refused=f"exchange {exchange!r} is internal")
    if topology.has_exchange(exchange) is False:
        return Route(frozenset(), refused=f"there is no exchange {exchange!r}")
    return route_message(topology, Message.of(exchange, routing_key, headers))


def route_message(topology: Topology, message: Message) -> Route:
    """Routes a message that is in ``message.exchange``, however it came there."""
    if message.exchange == "":
        return _by_name(topology, message)
    walks: list[_Walk] = []
    open_ones = [_Walk([message.exchange])]
    while open_ones:
        if len(walks) + len(open_ones) > MAX_OUTCOMES:
            for walk in open_ones:
                walk.doubt(f"chance decides among more than {MAX_OUTCOMES} ways")
            walks += open_ones
            break
        walk = open_ones.pop()
        while (name := walk.next()) is not None:
            hits, choose = _visit(topology, message, walk, name)
            if choose and len(hits) > 1:
                for hit in hits:
                    other = walk.fork()
                    other.along(hit)
                    open_ones.append(other)
                break
            for hit in hits:
                walk.along(hit)
        else:
            walks.append(walk)
    return _route(walks)


def _route(walks: list[_Walk]) -> Route:
    queues = frozenset(name for walk in walks for name in walk.queues)
    unique: list[Binding] = []
    for walk in walks:
        unique += [b for b in walk.matched if b not in unique]
    return Route(
        queues,
        tuple(unique),
        alternate=bool(queues) and all(w.first is not None and not w.first for w in walks),
        outcomes=frozenset(frozenset(w.queues) for w in walks),
        delayed=any(w.delayed for w in walks),
        unknown=next((w.unknown for w in walks if w.unknown is not None), None),
    )


def _visit(
    topology: Topology, message: Message, walk: _Walk, name: str
) -> tuple[list[Binding], bool]:
    """The bindings that an exchange sends the message along, and whether it picks one of them."""
    if topology.has_exchange(name) is False:
        return [], False  # a name in an argument or a policy; the broker passes over it
    if name == "":
        return [], False  # as an alternate exchange the default one reaches nothing
    kind = topology.exchange_type(name)
    if kind is None:
        walk.doubt(f"the type of exchange {name!r} is not known")
        return [], False
    declared = topology.exchanges.get(name)
    hits: list[Binding] = []
    undecided = False
    for binding in topology.bindings.get(name, ()):
        verdict = matches(kind, binding, message.keys, message.headers)
        if verdict is None:
            undecided = True
            walk.doubt(_why(kind, name))
        elif verdict:
            hits.append(binding)
    if declared is not None:
        _alternate(declared, walk, taken=bool(hits) or undecided)
    return hits, kind in CHANCE


def _alternate(declared: Exchange, walk: _Walk, *, taken: bool) -> None:
    walk.delayed = walk.delayed or declared.delayed
    if taken and not declared.delayed:
        return
    if declared.unknown is not None:
        walk.doubt(declared.unknown)
    elif declared.alternate is not None and declared.delayed:
        walk.doubt(f"exchange {declared.name!r} holds messages back and has an alternate exchange")
    elif declared.alternate is not None:
        walk.later.append(declared.alternate)


def _why(kind: str, name: str) -> str:
    if kind == "headers":
        return f"exchange {name!r} matches headers that were not recorded"
    return f"how exchange {name!r} of type {kind!r} matches is not known"


def _by_name(topology: Topology, message: Message) -> Route:
    reply = any(key.startswith(REPLY_TO) for key in message.keys)
    keys = [key for key in message.keys if not key.startswith(REPLY_TO)]
    found = frozenset(key for key in keys if key in topology.queues)
    missing = [key for key in keys if key not in topology.queues]
    unknown = f"queue {missing[0]!r} was not seen" if missing and not topology.complete else None
    return Route(found, outcomes=frozenset({found}), reply=reply, unknown=unknown)
