"""py-amqp, which blocks."""

from __future__ import annotations

import copy
import time
from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import amqp
import amqp.exceptions
from amqp import spec
from amqp.abstract_channel import AbstractChannel

from tests.instrumentation.amqp.client import Handler, Received, Work, driven

T = TypeVar("T")


def received(message: Any) -> Received:
    """What py-amqp delivers, as the suite wants it."""
    return Received(
        message.body,
        message.properties.get("application_headers") or {},
        message.delivery_tag,
        bool(message.delivery_info["redelivered"]),
        message.properties.get("reply_to"),
        message.properties.get("correlation_id"),
        message,
    )


class PyAmqpChannel:
    """``raw`` is the channel of py-amqp, for kombu too, whose channels are such."""

    def __init__(self, connection: Any, raw: Any) -> None:
        self.connection = connection
        self.raw = raw

    async def declare_exchange(
        self, name: str, kind: str = "direct", *, durable: bool = False
    ) -> None:
        self.raw.exchange_declare(name, kind, durable=durable, auto_delete=False)

    async def declare_queue(
        self,
        name: str = "",
        *,
        durable: bool = False,
        exclusive: bool = False,
        arguments: dict[str, Any] | None = None,
    ) -> str:
        return self.raw.queue_declare(
            name, durable=durable, exclusive=exclusive, auto_delete=False, arguments=arguments
        ).queue

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
        try:
            self.raw.basic_publish(message, exchange, key, mandatory=mandatory)
        except (amqp.ChannelError, amqp.exceptions.MessageNacked):
            pass  # what a return is raised as where nobody listens for it; a nack
        except BaseException as error:  # a handler's: waiting for a confirm drains events too
            if error not in self.connection.failures:
                raise

    async def get(self, queue: str, *, no_ack: bool = False) -> Received | None:
        message = self.raw.basic_get(queue, no_ack=no_ack)
        return None if message is None else received(message)

    async def consume(self, queue: str, handler: Handler, *, no_ack: bool = False) -> str:
        return self.raw.basic_consume(
            queue,
            no_ack=no_ack,
            callback=self.connection.heeding(lambda message: driven(handler(received(message)))),
        )

    def iterate(self, queue: str, *, no_ack: bool = False) -> AsyncIterator[Received]:
        raise NotImplementedError

    async def cancel(self, consumer_tag: str) -> None:
        self.raw.basic_cancel(consumer_tag)

    async def ack(self, message: Received, *, multiple: bool = False) -> None:
        self.raw.basic_ack(message.delivery_tag, multiple=multiple)

    async def ack_all(self) -> None:
        self.raw.basic_ack(0, multiple=True)

    async def nack(self, message: Received, *, requeue: bool, multiple: bool = False) -> None:
        # it has no method for this
        self.raw.send_method(spec.Basic.Nack, "Lbb", (message.delivery_tag, multiple, requeue))

    async def reject(self, message: Received, *, requeue: bool) -> None:
        self.raw.basic_reject(message.delivery_tag, requeue=requeue)

    async def tx_select(self) -> None:
        self.raw.tx_select()

    async def tx_commit(self) -> None:
        self.raw.tx_commit()

    async def tx_rollback(self) -> None:
        self.raw.tx_rollback()

    async def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "not within 10 s"
            try:
                self.raw.connection.drain_events(timeout=0.05)
            except TimeoutError:
                pass
            except BaseException as error:
                if error not in self.connection.failures:
                    raise

    async def close(self) -> None:
        self.raw.close()


class PyAmqpConnection:
    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.failures: list[BaseException] = []

    async def channel(self, *, confirms: bool = True) -> PyAmqpChannel:
        self.raw.confirm_publish = confirms  # what each new channel asks for
        channel = self.raw.channel()
        if not confirms:
            channel.events["basic_return"].add(lambda *returned: None)
        return PyAmqpChannel(self, channel)

    def heeding(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        """The callback, its failures noted on their way out of ``drain_events``."""

        def heeded(message: Any) -> None:
            try:
                callback(message)
            except BaseException as error:
                self.failures.append(error)
                raise

        return heeded


class PyAmqp:
    name = "py_amqp"
    lacks: Mapping[str, str] = MappingProxyType(
        {"iterator": "it has callbacks and drain_events, no loop over a queue"}
    )

    def run(self, url: str, work: Work[T]) -> T:
        place = urlsplit(url)
        with amqp.Connection(
            f"{place.hostname}:{place.port}",
            place.username or "guest",
            place.password or "guest",
            virtual_host=unquote(place.path[1:]) or "/",
        ) as connection:
            return driven(work(PyAmqpConnection(connection)))

    def message(self, body: bytes = b"x", **properties: Any) -> Any:
        given = dict(properties)
        if "headers" in given:
            given["application_headers"] = given.pop("headers")
        if "expiration_ms" in given:
            given["expiration"] = str(given.pop("expiration_ms"))
        return amqp.Message(body, **given)

    def contents(self, message: Any) -> Any:
        return message.body, copy.deepcopy(message.properties)

    def owners(self) -> list[Any]:
        return [AbstractChannel, amqp.Channel]
