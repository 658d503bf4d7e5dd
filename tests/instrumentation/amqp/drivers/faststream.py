"""FastStream's RabbitBroker: publishing and subscribing its way, all else by aio-pika beneath."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import aio_pika
import aiormq
import aiormq.exceptions
from faststream.rabbit import Channel, RabbitBroker, RabbitExchange, RabbitMessage, RabbitQueue

from tests.instrumentation.amqp.client import Handler, Work
from tests.instrumentation.amqp.drivers.aio_pika import AioPikaChannel, received

try:
    from faststream import AckPolicy
    from faststream._internal.endpoint.subscriber import SubscriberUsecase
except ImportError:  # 0.5, which never lets the broker acknowledge by itself
    from faststream.broker.subscriber.usecase import SubscriberUsecase

    AckPolicy = None

T = TypeVar("T")


class FastStreamChannel(AioPikaChannel):
    def __init__(self, connection: Any, raw: Any, broker: RabbitBroker) -> None:
        super().__init__(connection, raw)
        self.broker = broker
        self.consuming: Any = None

    async def publish(
        self, message: Any, exchange: str, key: str, *, mandatory: bool = False
    ) -> None:
        target = RabbitExchange(exchange, declare=False) if exchange else None
        try:
            await self.broker.publish(
                exchange=target, routing_key=key, mandatory=mandatory, **message
            )
        except aiormq.exceptions.DeliveryError:
            pass

    async def consume(self, queue: str, handler: Handler, *, no_ack: bool = False) -> str:
        if AckPolicy is None:
            how: dict[str, Any] = {"no_ack": True}  # its name for settling by the handler
        else:
            how = {"ack_policy": AckPolicy.ACK_FIRST if no_ack else AckPolicy.MANUAL}
        subscriber = self.broker.subscriber(RabbitQueue(queue, declare=False), **how)

        @subscriber
        async def handle(body: Any, message: RabbitMessage) -> None:
            self.consuming = message.raw_message.channel
            await handler(received(message.raw_message))

        if AckPolicy is None:
            self.broker.setup_subscriber(subscriber)
        await subscriber.start()
        return ""

    async def ack_all(self) -> None:
        await self.consuming.basic_ack(0, multiple=True)


class FastStreamConnection:
    def __init__(self, url: str, middlewares: Sequence[Any]) -> None:
        self.url = url
        self.middlewares = middlewares
        self.failures: list[BaseException] = []
        self.brokers: list[RabbitBroker] = []

    async def channel(self, *, confirms: bool = True) -> FastStreamChannel:
        broker = RabbitBroker(
            self.url,
            default_channel=Channel(publisher_confirms=confirms),
            middlewares=self.middlewares,
            logger=None,
        )
        connection: Any = await broker.connect()
        await broker.start()
        self.brokers.append(broker)
        return FastStreamChannel(
            self, await connection.channel(publisher_confirms=confirms), broker
        )

    async def close(self) -> None:
        for broker in self.brokers:
            await broker.stop()


class FastStream:
    name = "faststream"
    lacks: Mapping[str, str] = MappingProxyType(
        {
            "get": "FastStream polls by aio-pika's get",
            "iterator": "FastStream iterates by aio-pika's iterator",
            "transactions": "FastStream has none",
            "exchange_binds": "FastStream declares by aio-pika",
            "topology": "FastStream declares by aio-pika",
            "direct_reply_to": "FastStream answers by the reply_to of a message itself",
            "handler_errors": "FastStream logs what a handler raises",
        }
    )

    def __init__(self, middlewares: Sequence[Any] = ()) -> None:
        self.middlewares = middlewares

    def run(self, url: str, work: Work[T]) -> T:
        async def main() -> T:
            connection = FastStreamConnection(url, self.middlewares)
            try:
                return await asyncio.wait_for(work(connection), 30)
            finally:
                await connection.close()

        return asyncio.run(main())

    def message(self, body: bytes = b"x", **properties: Any) -> Any:
        given = {"message": body, "message_id": "m", **properties}
        if "expiration_ms" in given:
            given["expiration"] = given.pop("expiration_ms") / 1000
        if "type" in given:
            given["message_type"] = given.pop("type")
        return given

    def contents(self, message: Any) -> Any:
        return copy.deepcopy(message)

    def owners(self) -> list[Any]:
        return [aiormq.Channel, aio_pika.queue.QueueIterator, SubscriberUsecase]
