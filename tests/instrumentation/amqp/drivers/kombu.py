"""kombu on py-amqp."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import amqp
import amqp.exceptions
import kombu
import kombu.common
import kombu.simple
from amqp.abstract_channel import AbstractChannel

from tests.instrumentation.amqp.client import Handler, Received, Work, driven
from tests.instrumentation.amqp.drivers.py_amqp import PyAmqpChannel, PyAmqpConnection

T = TypeVar("T")


@dataclass
class Outgoing:
    """What users of kombu hand to ``Producer.publish``."""

    body: bytes
    properties: dict[str, Any]


def received(message: Any) -> Received:
    """What kombu delivers, as the suite wants it."""
    return Received(
        message.body,
        message.headers,
        message.delivery_tag,
        bool(message.delivery_info["redelivered"]),
        message.properties.get("reply_to"),
        message.properties.get("correlation_id"),
        message,
    )


class KombuChannel(PyAmqpChannel):
    def __init__(self, connection: Any, raw: Any) -> None:
        super().__init__(connection, raw)
        self.producer = kombu.Producer(raw, auto_declare=False)
        self.consumers: dict[str, Any] = {}

    async def declare_exchange(
        self, name: str, kind: str = "direct", *, durable: bool = False
    ) -> None:
        kombu.Exchange(name, kind, channel=self.raw, durable=durable).declare()

    async def declare_queue(
        self,
        name: str = "",
        *,
        durable: bool = False,
        exclusive: bool = False,
        arguments: dict[str, Any] | None = None,
    ) -> str:
        queue = kombu.Queue(
            name,
            channel=self.raw,
            durable=durable,
            exclusive=exclusive,
            auto_delete=False,
            queue_arguments=arguments,
        )
        queue.queue_declare()
        return queue.name

    async def bind(self, queue: str, exchange: str, key: str = "") -> None:
        kombu.Queue(queue, channel=self.raw).bind_to(exchange, key)

    async def unbind(self, queue: str, exchange: str, key: str = "") -> None:
        kombu.Queue(queue, channel=self.raw).unbind_from(kombu.Exchange(exchange), key)

    async def bind_exchange(self, destination: str, source: str, key: str = "") -> None:
        kombu.Exchange(destination, channel=self.raw).bind_to(source, key)

    async def unbind_exchange(self, destination: str, source: str, key: str = "") -> None:
        kombu.Exchange(destination, channel=self.raw).unbind_from(source, key)

    async def delete_queue(self, name: str) -> None:
        kombu.Queue(name, channel=self.raw).delete()

    async def delete_exchange(self, name: str) -> None:
        kombu.Exchange(name, channel=self.raw).delete()

    async def publish(
        self, message: Any, exchange: str, key: str, *, mandatory: bool = False
    ) -> None:
        try:
            self.producer.publish(
                message.body,
                exchange=exchange,
                routing_key=key,
                mandatory=mandatory,
                content_encoding="binary",
                **{"content_type": "application/data", **message.properties},
            )
        except (amqp.ChannelError, amqp.exceptions.MessageNacked):
            pass
        except BaseException as error:
            if error not in self.connection.failures:
                raise

    async def get(self, queue: str, *, no_ack: bool = False) -> Received | None:
        message = kombu.Queue(queue, channel=self.raw).get(no_ack=no_ack)
        return None if message is None else received(message)

    async def consume(self, queue: str, handler: Handler, *, no_ack: bool = False) -> str:
        consumer = self._consumer(queue, no_ack)
        consumer.on_message = self.connection.heeding(
            lambda message: driven(handler(received(message)))
        )
        consumer.consume()
        (tag,) = consumer._active_tags.values()
        self.consumers[tag] = consumer
        return tag

    async def iterate(self, queue: str, *, no_ack: bool = False) -> AsyncIterator[Received]:
        messages = kombu.common.itermessages(
            self.connection.owner,
            self.raw,
            kombu.Queue(queue),
            limit=None,
            timeout=1,
            no_ack=no_ack,
            auto_declare=False,
        )
        try:
            for _, message in messages:
                yield received(message)
        finally:
            messages.close()

    async def cancel(self, consumer_tag: str) -> None:
        self.consumers.pop(consumer_tag).cancel()

    async def ack(self, message: Received, *, multiple: bool = False) -> None:
        message.raw.ack(multiple=multiple)

    async def reject(self, message: Received, *, requeue: bool) -> None:
        message.raw.requeue() if requeue else message.raw.reject()

    def _consumer(self, queue: str, no_ack: bool) -> Any:
        return kombu.Consumer(
            self.raw, [kombu.Queue(queue)], no_ack=no_ack, auto_declare=False, tag_prefix="suite"
        )


class KombuConnection(PyAmqpConnection):
    def __init__(self, owner: Any) -> None:
        super().__init__(owner.connection)
        self.owner = owner

    async def channel(self, *, confirms: bool = True) -> KombuChannel:
        channel = await super().channel(confirms=confirms)
        return KombuChannel(self, channel.raw)


class Kombu:
    name = "kombu"
    lacks: Mapping[str, str] = MappingProxyType({})

    def run(self, url: str, work: Work[T]) -> T:
        with kombu.Connection(url) as connection:
            return driven(work(KombuConnection(connection)))

    def message(self, body: bytes = b"x", **properties: Any) -> Any:
        given = dict(properties)
        if "expiration_ms" in given:
            given["expiration"] = given.pop("expiration_ms") / 1000
        return Outgoing(body, given)

    def contents(self, message: Any) -> Any:
        return copy.deepcopy(message)

    def owners(self) -> list[Any]:
        return [AbstractChannel, amqp.Channel, kombu.common, kombu.simple.SimpleBase]
