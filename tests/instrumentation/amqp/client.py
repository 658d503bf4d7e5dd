"""What the suite asks of a client library: one thin driver a library, in ``drivers/``.

Every method is a coroutine. Asyncio clients wait in them; blocking clients block, never suspend,
and are run by ``driven``, so that one handler may publish and settle in every library.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Handler = Callable[["Received"], Awaitable[None]]
Work = Callable[["Connection"], Coroutine[Any, Any, T]]

CAPABILITIES = {
    "iterator": "a loop over a queue's messages, whose body is the handling",
    "get": "basic.get",
    "confirms": "publisher confirms",
    "unconfirmed": "channels without publisher confirms",
    "returns_unconfirmed": "learns of Basic.Return without confirms",
    "multiple": "settles several deliveries at once",
    "settle_late": "settles after the handler has ended",
    "transactions": "tx.select, commit, rollback",
    "exchange_binds": "binds exchanges to exchanges",
    "topology": "declares, binds and deletes by calls of its own",
    "direct_reply_to": "consumes amq.rabbitmq.reply-to",
    "handler_errors": "an exception of the handler reaches something that the driver can see",
    "properties": "publishes with every AMQP property",
}
"""What a client may lack: a driver names it in ``lacks`` with the reason."""


@dataclass(slots=True)
class Received:
    """A message that came in. ``raw`` is the library's own."""

    body: bytes
    headers: Mapping[str, Any]
    delivery_tag: int
    redelivered: bool
    reply_to: str | None
    correlation_id: str | None
    raw: Any


class Channel(Protocol):
    """One channel object of the library."""

    connection: Connection

    async def declare_exchange(
        self, name: str, kind: str = "direct", *, durable: bool = False
    ) -> None: ...

    async def declare_queue(
        self,
        name: str = "",
        *,
        durable: bool = False,
        exclusive: bool = False,
        arguments: dict[str, Any] | None = None,
    ) -> str:
        """Returns the name, the server's when none is given."""
        ...

    async def bind(self, queue: str, exchange: str, key: str = "") -> None: ...
    async def unbind(self, queue: str, exchange: str, key: str = "") -> None: ...
    async def bind_exchange(self, destination: str, source: str, key: str = "") -> None: ...
    async def unbind_exchange(self, destination: str, source: str, key: str = "") -> None: ...
    async def delete_queue(self, name: str) -> None: ...
    async def delete_exchange(self, name: str) -> None: ...

    async def publish(
        self, message: Any, exchange: str, key: str, *, mandatory: bool = False
    ) -> None:
        """Sends what ``Client.message`` made, and waits for its outcome where the channel confirms
        and it can. Messages refused or returned raise nothing here."""
        ...

    async def get(self, queue: str, *, no_ack: bool = False) -> Received | None: ...

    async def consume(self, queue: str, handler: Handler, *, no_ack: bool = False) -> str:
        """Begins to consume, returns the consumer tag. ``handler`` is the user's callback, in the
        way that the library wants it."""
        ...

    def iterate(self, queue: str, *, no_ack: bool = False) -> AsyncIterator[Received]:
        """The library's own loop over a queue; ``aclose()`` leaves it."""
        ...

    async def cancel(self, consumer_tag: str) -> None: ...
    async def ack(self, message: Received, *, multiple: bool = False) -> None: ...

    async def ack_all(self) -> None:
        """Ack of tag 0 with ``multiple``: everything delivered so far."""
        ...

    async def nack(self, message: Received, *, requeue: bool, multiple: bool = False) -> None: ...
    async def reject(self, message: Received, *, requeue: bool) -> None: ...
    async def tx_select(self) -> None: ...
    async def tx_commit(self) -> None: ...
    async def tx_rollback(self) -> None: ...

    async def until(self, condition: Callable[[], Any]) -> None:
        """Lets messages come in until the condition holds; fails after 10 s."""
        ...

    async def close(self) -> None: ...


class Connection(Protocol):
    """One connection of the library."""

    failures: list[BaseException]
    """What the library was handed by failing handlers."""

    async def channel(self, *, confirms: bool = True) -> Channel: ...


class Client(Protocol):
    """One client library."""

    name: str
    lacks: Mapping[str, str]
    """Capabilities (keys of ``CAPABILITIES``) that the library has not, each with the reason."""

    def run(self, url: str, work: Work[T]) -> T:
        """Runs ``work`` with an open connection, closed after; at most 30 s."""
        ...

    def message(self, body: bytes = b"x", **properties: Any) -> Any:
        """The object that users of the library publish. Properties: ``headers message_id
        correlation_id reply_to type priority expiration_ms content_type``; ``headers`` is passed
        on as it is."""
        ...

    def contents(self, message: Any) -> Any:
        """All that a message object holds, copied: equal before and after it is published."""
        ...

    def owners(self) -> list[Any]:
        """Classes and modules in which the shim replaces functions."""
        ...


def driven(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    work.close()
    raise AssertionError("a blocking client's coroutine suspended")
