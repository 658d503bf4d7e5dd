"""Ways that messages take against what the contract says of them.

A pure function of one way (who sent what where, which queue it came into, who took it), prepared
for the SQL that joins the messages which went that way. Three values throughout: what the record
does not tell convicts nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

import pyarrow as pa

from strayline_collector.contract.model import (
    Contract,
    Document,
    KeyChannel,
    Message,
    QueueChannel,
)
from strayline_collector.detect.detector import Detector
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

_WAY: Final = (
    "key",
    "environment",
    "broker",
    "vhost",
    "queue",
    "exchange",
    "routing_key",
    "type",
    "operation",
    "source",
    "producer_service",
    "consumer_service",
)
BREACHES_SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name in (*_WAY, "rule", "contract_message", "nearest")),
        *(
            (name, pa.list_(pa.string()))
            for name in ("expected_queues", "expected_keys", "expected_services", "queue_messages")
        ),
    ]
)


@dataclass(frozen=True, slots=True)
class Breach:
    """What a way breaks, and what the contract says instead."""

    rule: str
    """``queue``: the queue does not list the message. ``place``: it may not be sent to that exchange
    and key. ``sender``, ``receiver``: another service may."""
    message: str | None
    """The contract's name of the message; None: it lists no such message."""
    expected_queues: tuple[str, ...] = ()
    expected_keys: tuple[str, ...] = ()
    expected_services: tuple[str, ...] = ()
    queue_messages: tuple[str, ...] = ()
    nearest: str | None = None
    """The exchange and key of the contract that come nearest to those used."""


def contract_detector(contract: Contract) -> Detector:
    """Judges by ``contract``; by an empty one nothing."""

    def register(session: Session) -> None:
        ways = session.rows(load("detect/contract_ways")) if contract else []
        rows = breaches(contract, ways, _services(session) if ways else frozenset())
        session.register("breaches", pa.Table.from_pylist(rows, BREACHES_SCHEMA))

    return Detector(
        "contract",
        touched=load("detect/contract_touched"),
        judge=load("detect/contract"),
        prepare=register,
        version=lambda session: version(contract, _services(session)),
    )


def version(contract: Contract, services: frozenset[str]) -> str:
    """Changes with the contract, and when a service is seen that one of its titles names."""
    return json.dumps([contract.digest, [d.binds(services) for d in contract.documents]])


def _services(session: Session) -> frozenset[str]:
    return frozenset(row["service"] for row in session.rows(load("detect/contract_services")))


def breaches(contract: Contract, ways: Iterable[Row], services: frozenset[str]) -> list[Row]:
    """The ways that break the contract, each with how. ``services`` are those ever seen."""
    found: list[Row] = []
    for way in ways:
        breach = judge(contract, way, services)
        if breach is not None:
            found.append(
                {
                    **{name: way[name] for name in _WAY},
                    "rule": breach.rule,
                    "contract_message": breach.message,
                    "nearest": breach.nearest,
                    "expected_queues": list(breach.expected_queues),
                    "expected_keys": list(breach.expected_keys),
                    "expected_services": list(breach.expected_services),
                    "queue_messages": list(breach.queue_messages),
                }
            )
    return found


def judge(contract: Contract, way: Row, services: frozenset[str]) -> Breach | None:
    """The first rule that a way breaks; None: none, or the record does not tell."""
    message, settled = recognise(contract, way)
    here = [c for _, c in contract.queues if c.names(way["queue"], way["vhost"])]
    listed = tuple(sorted({m.name for c in here for m in c.messages}))
    keys = tuple(c.shown for _, c in contract.key_channels(message)) if message else ()
    nearest = _nearest(contract, way, message, here)
    name = None if message is None else message.name
    expected = contract.expected_queues(message) if message else ()
    if _misplaced(contract, way, message, settled, here, services):
        return Breach("queue", name, expected, keys, (), listed, nearest)
    if _sent_astray(contract, way, message, settled, services):
        return Breach("place", name, expected, keys, (), listed, nearest)
    senders = _senders(contract, way, message, services)
    if senders and way["producer_service"] not in (None, *senders):
        return Breach("sender", name, expected, keys, senders, listed, nearest)
    receivers = _receivers(contract, way, services)
    if receivers and way["consumer_service"] not in (None, *receivers):
        return Breach("receiver", name, expected, keys, receivers, listed, nearest)
    return None


def recognise(contract: Contract, way: Row) -> tuple[Message | None, bool]:
    """(the message of the contract, True), (None, True) when it is none of them for certain, (None,
    False) when the record does not tell."""
    messages = {
        m.identity: m
        for _, c in (*contract.keys, *contract.queues)
        for m in sorted(c.messages, key=lambda m: m.name)
    }
    answers = {identity: is_message(contract, way, m) for identity, m in messages.items()}
    sure = [messages[identity] for identity, answer in answers.items() if answer]
    if len(sure) == 1:
        return sure[0], True
    return None, not sure and None not in answers.values()


def is_message(contract: Contract, way: Row, message: Message) -> bool | None:
    """Whether what went that way is ``message``: by its type, else by exchange and key where only
    one message uses them, else by the span that sent it. None: the record does not tell."""
    if way["type"] is not None:
        if message.type is not None:
            return message.type == way["type"]
        if way["type"] in contract.types:
            return False
    # where no type was recorded, that is not to say that there is none
    hidden = way["type"] is None and message.type is not None and way["source"] != "shim"
    channels = contract.key_channels(message)
    spans = contract.spans_of(message)
    if not channels:
        return True if way["operation"] in spans else None
    there = [c for _, c in channels if _names(c, way)]
    if not there:
        return None if hidden else False
    others = {
        m.identity: m for _, c in contract.keys if _names(c, way) for m in c.messages
    }.keys() - {message.identity}
    rivals = [
        m
        for _, c in contract.keys
        for m in c.messages
        if m.identity in others and not (way["type"] is not None and m.type is not None)
    ]
    if not rivals:
        return True
    if way["operation"] in spans:
        return not any(way["operation"] in contract.spans_of(m) for m in rivals) or None
    if any(way["operation"] in contract.spans_of(m) for m in rivals):
        return False
    return None


def _names(channel: KeyChannel, way: Row) -> bool:
    return channel.names(way["exchange"] or "", way["routing_key"] or "", way["vhost"])


def _misplaced(
    contract: Contract,
    way: Row,
    message: Message | None,
    settled: bool,
    here: Sequence[QueueChannel],
    services: frozenset[str],
) -> bool:
    """Whether the queue does not list the message. A queue that no document names counts where the
    contract speaks for the sender and says which queues the message belongs into."""
    if way["queue"].startswith("*"):  # nobody told its name
        return False
    lists = [m for c in here for m in c.messages]
    if message is not None:
        if any(m.identity == message.identity for m in lists):
            return False
        if lists:
            return True
        speaks = bool(contract.expected_queues(message)) and not here
        return speaks and _covers(contract, way, message, services)
    if not lists:
        return False
    if settled:
        return True
    return all(is_message(contract, way, m) is False for m in lists)


def _covers(contract: Contract, way: Row, message: Message, services: frozenset[str]) -> bool:
    """Whether a document speaks for who sent this: one of a whole system, or the sender's own."""
    return any(
        _speaks_for(document, channel, way, services)
        for document, channel in contract.key_channels(message)
        if message.type is not None or _names(channel, way)
    )


def _speaks_for(
    document: Document, channel: KeyChannel, way: Row, services: frozenset[str]
) -> bool:
    bound = document.binds(services)
    if bound is None:
        return True
    return way["producer_service"] == bound and bool(document.sends(channel))


def _sent_astray(
    contract: Contract,
    way: Row,
    message: Message | None,
    settled: bool,
    services: frozenset[str],
) -> bool:
    """Whether it may not be sent to that exchange and key."""
    if message is not None:
        channels = contract.key_channels(message)
        if not channels or any(_names(c, way) for _, c in channels):
            return False
        return any(_speaks_for(d, c, way, services) for d, c in channels)
    if not settled:
        return False
    return any(
        _speaks_for(d, c, way, services) for d, c in contract.keys if _names(c, way) and c.messages
    )


def _senders(
    contract: Contract, way: Row, message: Message | None, services: frozenset[str]
) -> tuple[str, ...]:
    """The services that may send there; empty: any, or nobody knows."""
    found: set[str] = set()
    for document, channel in contract.keys:
        if not _names(channel, way):
            continue
        for operation in document.sends(channel):
            listed = {m.identity for m in operation.messages}
            if listed and message is not None and message.identity not in listed:
                continue
            bound = document.binds(services)
            if bound is None:
                return ()
            found.add(bound)
    return tuple(sorted(found))


def _receivers(contract: Contract, way: Row, services: frozenset[str]) -> tuple[str, ...]:
    """The services that may take from the queue; empty: any, or nobody knows."""
    found: set[str] = set()
    for document, channel in contract.queues:
        if not channel.names(way["queue"], way["vhost"]):
            continue
        if any(o.action == "receive" and o.channel == channel.name for o in document.operations):
            bound = document.binds(services)
            if bound is None:
                return ()
            found.add(bound)
    return tuple(sorted(found))


def _nearest(
    contract: Contract, way: Row, message: Message | None, here: Sequence[QueueChannel]
) -> str | None:
    """Of the places where the message, or one that the queue lists, may be sent the one that is
    written most like that used."""
    wanted = [message] if message is not None else [m for c in here for m in c.messages]
    shown = {c.shown for m in wanted for _, c in contract.key_channels(m)}
    shown = shown or {c.shown for _, c in contract.keys}
    used = f"{way['exchange'] or '(default)'} / {way['routing_key'] or ''}"
    return next(iter(get_close_matches(used, sorted(shown), 1, 0.0)), None)
