"""What a client library tells us, in the words of AMQP 0-9-1. Unknown parts are None."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from strayline import conventions as c
from strayline.settings import dup


def _never() -> bool:
    return False


@dataclass(slots=True)
class Broker:
    """The other end of a connection. ``name`` is the cluster's, from its server properties."""

    name: str | None = None
    vhost: str | None = None
    host: str | None = None
    port: int | None = None
    frame_max: int = 131_072
    is_gone: Callable[[], bool] = field(default=_never, compare=False, repr=False)
    """Whether the connection has ended; asked from any thread, holds no connection."""

    def known_as(self) -> str | None:
        """The name by which collectors know it: its cluster's, else its address and port."""
        if self.name is not None or self.host is None:
            return self.name
        return self.host if self.port is None else f"{self.host}:{self.port}"

    def attributes(self) -> dict[str, Any]:
        named = {
            c.BROKER: self.name,
            c.VHOST: self.vhost,
            c.SERVER_ADDRESS: self.host,
            c.SERVER_PORT: self.port,
        }
        if "messaging" in dup():
            named |= {"net.peer.name": self.host, "net.peer.port": self.port}
        return {name: value for name, value in named.items() if value is not None}


def ending(connection: Any, has_ended: Callable[[Any], Any]) -> Callable[[], bool]:
    """A ``Broker.is_gone`` that asks ``has_ended`` of the client library's connection while there is one."""
    found = weakref.ref(connection)

    def is_gone() -> bool:
        alive = found()
        return alive is None or bool(has_ended(alive))

    return is_gone


@dataclass(slots=True)
class Publish:
    """One message on its way out. ``properties`` is what the application's ordering rule is given;
    ``headers`` are the user's and never changed."""

    exchange: str
    routing_key: str
    body: bytes
    headers: Mapping[str, Any]
    properties: Any = None
    message_id: str | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    type: str | None = None
    priority: int | None = None
    expiration_ms: int | None = None
    mandatory: bool = False
    content_type: str | None = None


@dataclass(slots=True)
class Arrival:
    """One message that came in."""

    queue: str
    exchange: str
    routing_key: str
    headers: Mapping[str, Any]
    delivery_tag: int | None
    consumer_tag: str | None
    redelivered: bool | None
    no_ack: bool
    body: bytes = b""
    message_id: str | None = None
    correlation_id: str | None = None
    priority: int | None = None
    content_type: str | None = None
