"""pika's BlockingConnection."""

from __future__ import annotations

import copy
import time
from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel
from pika.callback import CallbackManager
from pika.channel import Channel as PikaChannel

from tests.instrumentation.amqp.client import Handler, Received, Work, driven

T = TypeVar("T")


def received(method: Any, properties: Any, body: bytes) -> Received:
    """What pika delivers, as the suite wants it."""
    return Received(
        body,
        properties.headers or {},
        method.delivery_tag,
        method.redelivered,
        properties.reply_to,
        properties.correlation_id,
        (method, properties),
    )


def message(body: bytes = b"x", **properties: Any) -> Any:
    """Body and properties, as users give them to ``basic_publish``."""
    given = dict(properties)
    if "expiration_ms" in given:
        given["expiration"] = str(given.pop("expiration_ms"))
    return body, pika.BasicProperties(**given)


class BlockingPikaChannel:
    def __init__(self, connection: BlockingPikaConnection, raw: BlockingChannel) -> None:
        self.connection = connection
        self.raw: Any = raw

    async def declare_exchange(
        self, name: str, kind: str = "direct", *, durable: bool = False
    ) -> None:
        self.raw.exchange_declare(name, kind, durable=durable)

    async def declare_queue(
        self,
        name: str = "",
        *,
        durable: bool = False,
        exclusive: bool = False,
        arguments: dict[str, Any] | None = None,
    ) -> str:
        declared = self.raw.queue_declare(
            name, durable=durable, exclusive=exclusive, arguments=arguments
        )
        return declared.method.queue

    async def bind(self, queue: str, exchange: str, key: str = "") -> None:
        self.raw.queue_bind(queue, exchange, key)

    async def unbind(self, queue: str, exchange: str, key: str = "") -> None:
        self.raw.queue_unbind(queue, exchange, key)

    async def bind_exchange(self, destination: str, source: str, key: str = "") -> None:
        self.raw.exchange_bind(destination, source, key)

    async def unbind_exchange(self, destination: str, source: str, key: str = "") -> None:
        self.raw.exchange_unbind(destination, source, key)

    async def delete_queue(self, name: str) -> None:
        self.raw.queue_delete(name)

    async def delete_exchange(self, name: str) -> None:
        self.raw.exchange_delete(name)

    async def publish(
        self, message: Any, exchange: str, key: str, *, mandatory: bool = False
    ) -> None:
        body, properties = message
        try:
            self.raw.basic_publish(exchange, key, body, properties, mandatory)
        except (pika.exceptions.UnroutableError, pika.exceptions.NackError):
            pass

    async def get(self, queue: str, *, no_ack: bool = False) -> Received | None:
        method, properties, body = self.raw.basic_get(queue, auto_ack=no_ack)
        return received(method, properties, body) if method is not None else None

    async def consume(self, queue: str, handler: Handler, *, no_ack: bool = False) -> str:
        def callback(channel: Any, method: Any, properties: Any, body: bytes) -> None:
            driven(handler(received(method, properties, body)))  # type: ignore[arg-type]

        return self.raw.basic_consume(queue, callback, auto_ack=no_ack)

    async def iterate(self, queue: str, *, no_ack: bool = False) -> AsyncIterator[Received]:
        try:
            for method, properties, body in self.raw.consume(queue, auto_ack=no_ack):
                yield received(method, properties, body)
        finally:
            self.raw.cancel()

    async def cancel(self, consumer_tag: str) -> None:
        self.raw.basic_cancel(consumer_tag)

    async def ack(self, message: Received, *, multiple: bool = False) -> None:
        self.raw.basic_ack(message.delivery_tag, multiple)

    async def ack_all(self) -> None:
        self.raw.basic_ack(0, multiple=True)

    async def nack(self, message: Received, *, requeue: bool, multiple: bool = False) -> None:
        self.raw.basic_nack(message.delivery_tag, multiple, requeue)

    async def reject(self, message: Received, *, requeue: bool) -> None:
        self.raw.basic_reject(message.delivery_tag, requeue)

    async def tx_select(self) -> None:
        self.raw.tx_select()

    async def tx_commit(self) -> None:
        self.raw.tx_commit()

    async def tx_rollback(self) -> None:
        self.raw.tx_rollback()

    async def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "the condition did not hold within 10 s"
            try:
                self.connection.raw.process_data_events(time_limit=0.002)
            except (AssertionError, pika.exceptions.AMQPError):
                raise
            except Exception as error:
                self.connection.failures.append(error)

    async def close(self) -> None:
        self.raw.close()


class BlockingPikaConnection:
    def __init__(self, raw: pika.BlockingConnection) -> None:
        self.raw: Any = raw
        self.failures: list[BaseException] = []

    async def channel(self, *, confirms: bool = True) -> BlockingPikaChannel:
        raw = self.raw.channel()
        if confirms:
            raw.confirm_delivery()
        return BlockingPikaChannel(self, raw)


class BlockingPika:
    name = "pika's BlockingConnection"
    lacks: Mapping[str, str] = MappingProxyType({})

    def run(self, url: str, work: Work[T]) -> T:
        connection = pika.BlockingConnection(pika.URLParameters(url))
        try:
            return driven(work(BlockingPikaConnection(connection)))
        finally:
            if connection.is_open:
                connection.close()

    def message(self, body: bytes = b"x", **properties: Any) -> Any:
        return message(body, **properties)

    def contents(self, message: Any) -> Any:
        body, properties = message
        return body, copy.deepcopy(vars(properties))

    def owners(self) -> list[Any]:
        return [PikaChannel, CallbackManager, BlockingChannel]
