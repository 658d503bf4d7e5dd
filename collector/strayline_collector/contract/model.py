"""A contract: what documents say of channels, messages, operations and services, merged."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from strayline_collector.contract.address import matches_address

Ordered = Literal["queue", "key"]


@dataclass(frozen=True, slots=True)
class Message:
    """A kind of message. ``type`` is the AMQP property that tells it, None when none does."""

    name: str
    type: str | None

    @property
    def identity(self) -> tuple[str, str]:
        """What makes it the same message in several documents."""
        return ("name", self.name) if self.type is None else ("type", self.type)


@dataclass(frozen=True, slots=True)
class KeyChannel:
    """An exchange and a key, and the messages that may be sent there."""

    name: str
    exchange: str
    address: str | None
    """The key; ``{parameter}`` and topic patterns stand for several. None: every key."""
    vhost: str | None
    messages: frozenset[Message]

    def names(self, exchange: str, key: str, vhost: str | None) -> bool:
        """Whether what is published there is in this channel."""
        return (
            exchange == self.exchange
            and (self.vhost is None or vhost is None or vhost == self.vhost)
            and (self.address is None or matches_address(self.address, key))
        )

    @property
    def shown(self) -> str:
        """``exchange / key`` for people."""
        return f"{self.exchange or '(default)'} / {'any key' if self.address is None else self.address}"


@dataclass(frozen=True, slots=True)
class QueueChannel:
    """A queue, and the messages that may be in it; none listed: it says nothing of them."""

    name: str
    queue: str
    vhost: str | None
    messages: frozenset[Message]
    ordered: Ordered | None = None
    exactly_once: bool = False

    def names(self, queue: str, vhost: str | None) -> bool:
        """Whether this channel is that queue."""
        return queue == self.queue and (self.vhost is None or vhost is None or vhost == self.vhost)


@dataclass(frozen=True, slots=True)
class Operation:
    """What an application does on a channel of its document, by the channel's name."""

    name: str
    action: Literal["send", "receive"]
    channel: str
    messages: frozenset[Message]
    spans: frozenset[str] = frozenset()
    """``x-strayline-operation``: names of the spans in which it happens."""


@dataclass(frozen=True, slots=True)
class Document:
    """One AsyncAPI document."""

    file: str
    title: str
    service: str | None
    """``x-strayline-service``."""
    keys: tuple[KeyChannel, ...]
    queues: tuple[QueueChannel, ...]
    operations: tuple[Operation, ...]

    def binds(self, services: frozenset[str]) -> str | None:
        """The service that the document is about, of those that were seen; None: a whole system."""
        if self.service is not None:
            return self.service
        return self.title if self.title in services else None

    def sends(self, channel: KeyChannel) -> list[Operation]:
        """The operations that send to a channel of this document."""
        return [o for o in self.operations if o.action == "send" and o.channel == channel.name]


@dataclass(frozen=True)
class Contract:
    """All documents together."""

    documents: tuple[Document, ...] = ()
    digest: str = ""
    """Changes with the text of any document."""

    def __bool__(self) -> bool:
        return bool(self.documents)

    @cached_property
    def keys(self) -> tuple[tuple[Document, KeyChannel], ...]:
        return tuple((d, c) for d in self.documents for c in d.keys)

    @cached_property
    def queues(self) -> tuple[tuple[Document, QueueChannel], ...]:
        return tuple((d, c) for d in self.documents for c in d.queues)

    @cached_property
    def types(self) -> frozenset[str]:
        """Every AMQP type that tells a message."""
        channels = [*(c for _, c in self.keys), *(c for _, c in self.queues)]
        return frozenset(m.type for c in channels for m in c.messages if m.type is not None)

    def expected_queues(self, message: Message) -> tuple[str, ...]:
        """The queues that list a message."""
        found = {
            c.queue
            for _, c in self.queues
            if any(m.identity == message.identity for m in c.messages)
        }
        return tuple(sorted(found))

    def key_channels(self, message: Message) -> list[tuple[Document, KeyChannel]]:
        """The places that a message may be sent to."""
        return [
            (d, c) for d, c in self.keys if any(m.identity == message.identity for m in c.messages)
        ]

    def spans_of(self, message: Message) -> frozenset[str]:
        """The names of the spans that send a message."""
        return frozenset(
            span
            for d in self.documents
            for o in d.operations
            if o.action == "send" and any(m.identity == message.identity for m in o.messages)
            for span in o.spans
        )
