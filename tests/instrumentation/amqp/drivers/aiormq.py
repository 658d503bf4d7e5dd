"""Bare aiormq."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import aiormq
import aiormq.exceptions

from tests.instrumentation.amqp.client import Handler, Received, Work

T = TypeVar("T")


def received(message: Any) -> Received:
    """What aiormq delivers, as the suite wants it."""
    properties = message.header.properties
    return Received(
        message.body,
        properties.headers or {},
        message.delivery_tag,
        bool(message.redelivered),
        properties.reply_to,
        properties.correlation_id,
        message,
    )


class AiormqChannel:
    def __init__(self, connection: Any, raw: aiormq.abc.AbstractChannel) -> None:
        self.connection = connection
        self.raw = raw

    async def declare_exchange(
        self, name: str, kind: str = "direct", *, durable: bool = False
    ) -> None:
        await self.raw.exchange_declare(name, exchange_type=kind, durable=durable)

    async def declare_queue(
        self,
        name: str = "",
        *,
        durable: bool = False,
        exclusive: bool = False,
        arguments: dict[str, Any] | None = None,
    ) -> str:
        declared = await self.raw.queue_declare(
            name, durable=durable, exclusive=exclusive, arguments=arguments
        )
        return declared.queue or ""

    async def bind(self, queue: str, exchange: str, key: str = "") -> None:
        await self.raw.queue_bind(queue, exchange, key)

    async def unbind(self, queue: str, exchange: str, key: str = "") -> None:
        await self.raw.queue_unbind(queue, exchange, key)

    async def bind_exchange(self, destination: str, source: str, key: str = "") -> None:
        await self.raw.exchange_bind(destination, source, key)

    async def unbind_exchange(self, destination: str, source: str, key: str = "") -> None:
        await self.raw.exchange_unbind(destination, source, key)

    async def delete_queue(self, name: str) -> None:
        await self.raw.queue_delete(name)

    async def delete_exchange(self, name: str) -> None:
        await self.raw.exchange_delete(name)

    async def publish(
        self, message: Any, exchange: str, key: str, *, mandatory: bool = False
    ) -> None:
        body, properties = message
        try:
            await self.raw.basic_publish(
                body, exchange=exchange, routing_key=key, properties=properties, mandatory=mandatory
            )
        except (aiormq.exceptions.PublishError, aiormq.exceptions.DeliveryError):
            pass

    async def get(self, queue: str, *, no_ack: bool = False) -> Received | None:
        message = await self.raw.basic_get(queue, no_ack=no_ack)
        return received(message) if message.delivery_tag is not None else None

    async def consume(self, queue: str, handler: Handler, *, no_ack: bool = False) -> str:
        async def callback(message: Any) -> None:
            await handler(received(message))

        consumed = await self.raw.basic_consume(queue, callback, no_ack=no_ack)
        return consumed.consumer_tag or ""

    def iterate(self, queue: str, *, no_ack: bool = False) -> AsyncIterator[Received]:
        raise NotImplementedError

    async def cancel(self, consumer_tag: str) -> None:
        await self.raw.basic_cancel(consumer_tag)

    async def ack(self, message: Received, *, multiple: bool = False) -> None:
        await self.raw.basic_ack(message.delivery_tag, multiple=multiple)

    async def ack_all(self) -> None:
        await self.raw.basic_ack(0, multiple=True)

    async def nack(self, message: Received, *, requeue: bool, multiple: bool = False) -> None:
        await self.raw.basic_nack(message.delivery_tag, multiple=multiple, requeue=requeue)

    async def reject(self, message: Received, *, requeue: bool) -> None:
        await self.raw.basic_reject(message.delivery_tag, requeue=requeue)

    async def tx_select(self) -> None:
        await self.raw.tx_select()

    async def tx_commit(self) -> None:
        await self.raw.tx_commit()

    async def tx_rollback(self) -> None:
        await self.raw.tx_rollback()

    async def until(self, condition: Callable[[], Any]) -> None:
        await holds(condition)

    async def close(self) -> None:
        await self.raw.close()


class AiormqConnection:
    def __init__(self, raw: aiormq.abc.AbstractConnection) -> None:
        self.raw = raw
        self.failures: list[BaseException] = []

    async def channel(self, *, confirms: bool = True) -> AiormqChannel:
        return AiormqChannel(self, await self.raw.channel(publisher_confirms=confirms))


class Aiormq:
    name = "aiormq"
    lacks: Mapping[str, str] = MappingProxyType(
        {
            "iterator": "aiormq has callbacks alone",
            "handler_errors": "aiormq logs what a callback raises",
        }
    )

    def run(self, url: str, work: Work[T]) -> T:
        async def main() -> T:
            connection = await aiormq.connect(url)
            try:
                return await asyncio.wait_for(work(AiormqConnection(connection)), 30)
            finally:
                await connection.close()

        return asyncio.run(main())

    def message(self, body: bytes = b"x", **properties: Any) -> Any:
        given = dict(properties)
        if "type" in given:
            given["message_type"] = given.pop("type")
        if "expiration_ms" in given:
            given["expiration"] = str(given.pop("expiration_ms"))
        given.setdefault("message_id", "m")
        return body, aiormq.spec.Basic.Properties(**given)

    def contents(self, message: Any) -> Any:
        body, properties = message
        return body, copy.deepcopy(dict(properties))

    def owners(self) -> list[Any]:
        return [aiormq.Channel]


async def holds(condition: Callable[[], Any]) -> None:
    """Waits, looking often, for a condition to hold; at most 10 s."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the condition is any fact at all
            await asyncio.sleep(0.002)
