"""aio-pika 9 and 10, with its robust connections."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import aio_pika
import aiormq.exceptions
from aio_pika.abc import AbstractIncomingMessage

from tests.instrumentation.amqp.client import Handler, Received, Work
from tests.instrumentation.amqp.drivers.aiormq import holds

T = TypeVar("T")


def received(message: Any) -> Received:
    """What aio-pika delivers, as the suite wants it."""
    return Received(
        message.body,
        message.headers,
        message.delivery_tag,
        bool(message.redelivered),
        message.reply_to,
        message.correlation_id,
        message,
    )


class AioPikaChannel:
    def __init__(self, connection: Any, raw: Any) -> None:
        self.connection = connection
        self.raw = raw
        self.consumers: dict[str, Any] = {}

    async def declare_exchange(
        self, name: str, kind: str = "direct", *, durable: bool = False
    ) -> None:
        await self.raw.declare_exchange(name, kind, durable=durable)

    async def declare_queue(
        self,
        name: str = "",
        *,
        durable: bool = False,
        exclusive: bool = False,
        arguments: dict[str, Any] | None = None,
    ) -> str:
        queue = await self.raw.declare_queue(
            name or None, durable=durable, exclusive=exclusive, arguments=arguments
        )
        return queue.name

    async def bind(self, queue: str, exchange: str, key: str = "") -> None:
        await (await self._queue(queue)).bind(exchange, key)

    async def unbind(self, queue: str, exchange: str, key: str = "") -> None:
        await (await self._queue(queue)).unbind(exchange, key)

    async def bind_exchange(self, destination: str, source: str, key: str = "") -> None:
        await (await self.raw.get_exchange(destination, ensure=False)).bind(source, key)

    async def unbind_exchange(self, destination: str, source: str, key: str = "") -> None:
        await (await self.raw.get_exchange(destination, ensure=False)).unbind(source, key)

    async def delete_queue(self, name: str) -> None:
        await self.raw.queue_delete(name)

    async def delete_exchange(self, name: str) -> None:
        await self.raw.exchange_delete(name)

    async def publish(
        self, message: Any, exchange: str, key: str, *, mandatory: bool = False
    ) -> None:
        target = (
            await self.raw.get_exchange(exchange, ensure=False)
            if exchange
            else self.raw.default_exchange
        )
        try:
            await target.publish(message, key, mandatory=mandatory)
        except aiormq.exceptions.DeliveryError:
            pass

    async def get(self, queue: str, *, no_ack: bool = False) -> Received | None:
        message = await (await self._queue(queue)).get(no_ack=no_ack, fail=False)
        return None if message is None else received(message)

    async def consume(self, queue: str, handler: Handler, *, no_ack: bool = False) -> str:
        async def callback(message: AbstractIncomingMessage) -> None:
            await handler(received(message))

        raw = await self._queue(queue)
        tag = await raw.consume(callback, no_ack=no_ack)
        self.consumers[tag] = raw
        return tag

    async def iterate(self, queue: str, *, no_ack: bool = False) -> AsyncIterator[Received]:
        async with (await self._queue(queue)).iterator(no_ack=no_ack) as messages:
            async for message in messages:
                yield received(message)

    async def cancel(self, consumer_tag: str) -> None:
        await self.consumers.pop(consumer_tag).cancel(consumer_tag)

    async def ack(self, message: Received, *, multiple: bool = False) -> None:
        await message.raw.ack(multiple=multiple)

    async def ack_all(self) -> None:
        await (await self.raw.get_underlay_channel()).basic_ack(0, multiple=True)

    async def nack(self, message: Received, *, requeue: bool, multiple: bool = False) -> None:
        await message.raw.nack(requeue=requeue, multiple=multiple)

    async def reject(self, message: Received, *, requeue: bool) -> None:
        await message.raw.reject(requeue=requeue)

    async def tx_select(self) -> None:
        await (await self.raw.get_underlay_channel()).tx_select()

    async def tx_commit(self) -> None:
        await (await self.raw.get_underlay_channel()).tx_commit()

    async def tx_rollback(self) -> None:
        await (await self.raw.get_underlay_channel()).tx_rollback()

    async def until(self, condition: Callable[[], Any]) -> None:
        await holds(condition)

    async def close(self) -> None:
        await self.raw.close()

    async def _queue(self, name: str) -> Any:
        return await self.raw.get_queue(name, ensure=False)


class AioPikaConnection:
    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.failures: list[BaseException] = []
        asyncio.get_running_loop().set_exception_handler(self._failed)

    def _failed(self, loop: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
        if isinstance(told.get("exception"), BaseException):
            self.failures.append(told["exception"])

    async def channel(self, *, confirms: bool = True) -> AioPikaChannel:
        return AioPikaChannel(self, await self.raw.channel(publisher_confirms=confirms))


class AioPika:
    name = "aio_pika"
    lacks: Mapping[str, str] = MappingProxyType({})

    def run(self, url: str, work: Work[T]) -> T:
        async def main() -> T:
            connection = await aio_pika.connect_robust(url)
            async with connection:
                return await asyncio.wait_for(work(AioPikaConnection(connection)), 30)

        return asyncio.run(main())

    def message(self, body: bytes = b"x", **properties: Any) -> Any:
        given = dict(properties)
        if "expiration_ms" in given:
            given["expiration"] = given.pop("expiration_ms") / 1000
        given.setdefault("message_id", "m")
        return aio_pika.Message(body, **given)

    def contents(self, message: Any) -> Any:
        return message.body, copy.deepcopy(dict(message.properties))

    def owners(self) -> list[Any]:
        from aio_pika.queue import QueueIterator
        from aio_pika.robust_queue import RobustQueue

        return [aiormq.Channel, QueueIterator, *QueueIterator.__subclasses__(), RobustQueue]
