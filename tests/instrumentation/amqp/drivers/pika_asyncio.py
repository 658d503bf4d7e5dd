"""pika's AsyncioConnection; its callbacks are plain functions, as in all its asynchronous adapters."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import pika
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.callback import CallbackManager
from pika.channel import Channel as PikaChannel

from tests.instrumentation.amqp.client import Handler, Received, Work, driven
from tests.instrumentation.amqp.drivers.aiormq import holds
from tests.instrumentation.amqp.drivers.pika_blocking import message, received

T = TypeVar("T")


class AsyncioPikaChannel:
    def __init__(self, connection: AsyncioPikaConnection, raw: PikaChannel) -> None:
        self.connection = connection
        self.raw: Any = raw
        self._asked: set[asyncio.Future[Any]] = set()
        self._unconfirmed: dict[int, asyncio.Future[Any]] | None = None
        self._published = 0
        self._handles = False
        raw.add_on_close_callback(self._on_closed)

    async def confirm(self) -> None:
        def on_confirm(frame: Any) -> None:
            up_to = frame.method.delivery_tag
            for tag in list(self._unconfirmed or ()):
                if tag == up_to or (frame.method.multiple and (tag < up_to or not up_to)):
                    (self._unconfirmed or {}).pop(tag).set_result(None)

        await self._answer(
            lambda callback: self.raw.confirm_delivery(on_confirm, callback=callback)
        )
        self._unconfirmed = {}

    async def declare_exchange(
        self, name: str, kind: str = "direct", *, durable: bool = False
    ) -> None:
        await self._answer(
            lambda callback: self.raw.exchange_declare(
                name, kind, durable=durable, callback=callback
            )
        )

    async def declare_queue(
        self,
        name: str = "",
        *,
        durable: bool = False,
        exclusive: bool = False,
        arguments: dict[str, Any] | None = None,
    ) -> str:
        declared = await self._answer(
            lambda callback: self.raw.queue_declare(
                name, durable=durable, exclusive=exclusive, arguments=arguments, callback=callback
            )
        )
        return declared.method.queue

    async def bind(self, queue: str, exchange: str, key: str = "") -> None:
        await self._answer(
            lambda callback: self.raw.queue_bind(queue, exchange, key, callback=callback)
        )

    async def unbind(self, queue: str, exchange: str, key: str = "") -> None:
        await self._answer(
            lambda callback: self.raw.queue_unbind(queue, exchange, key, callback=callback)
        )

    async def bind_exchange(self, destination: str, source: str, key: str = "") -> None:
        await self._answer(
            lambda callback: self.raw.exchange_bind(destination, source, key, callback=callback)
        )

    async def unbind_exchange(self, destination: str, source: str, key: str = "") -> None:
        await self._answer(
            lambda callback: self.raw.exchange_unbind(destination, source, key, callback=callback)
        )

    async def delete_queue(self, name: str) -> None:
        await self._answer(lambda callback: self.raw.queue_delete(name, callback=callback))

    async def delete_exchange(self, name: str) -> None:
        await self._answer(lambda callback: self.raw.exchange_delete(name, callback=callback))

    async def publish(
        self, message: Any, exchange: str, key: str, *, mandatory: bool = False
    ) -> None:
        body, properties = message
        self.raw.basic_publish(exchange, key, body, properties, mandatory)
        if self._unconfirmed is not None:
            self._published += 1
            waiting = asyncio.get_running_loop().create_future()
            self._unconfirmed[self._published] = waiting
            if not self._handles:  # a callback cannot wait
                await waiting

    async def get(self, queue: str, *, no_ack: bool = False) -> Received | None:
        waiting = self._future()

        def on_message(channel: Any, method: Any, properties: Any, body: bytes) -> None:
            waiting.set_result(received(method, properties, body))

        def on_empty(frame: Any) -> None:
            if not waiting.done():
                waiting.set_result(None)

        self.raw.add_callback(on_empty, [pika.spec.Basic.GetEmpty], one_shot=True)
        self.raw.basic_get(queue, on_message, auto_ack=no_ack)
        return await waiting

    async def consume(self, queue: str, handler: Handler, *, no_ack: bool = False) -> str:
        def callback(channel: Any, method: Any, properties: Any, body: bytes) -> None:
            self._handles = True
            try:
                driven(handler(received(method, properties, body)))  # type: ignore[arg-type]
            finally:
                self._handles = False

        consuming = await self._answer(
            lambda agreed: self.raw.basic_consume(queue, callback, auto_ack=no_ack, callback=agreed)
        )
        return consuming.method.consumer_tag

    def iterate(self, queue: str, *, no_ack: bool = False) -> AsyncIterator[Received]:
        raise NotImplementedError

    async def cancel(self, consumer_tag: str) -> None:
        await self._answer(lambda callback: self.raw.basic_cancel(consumer_tag, callback=callback))

    async def ack(self, message: Received, *, multiple: bool = False) -> None:
        self.raw.basic_ack(message.delivery_tag, multiple)

    async def ack_all(self) -> None:
        self.raw.basic_ack(0, multiple=True)

    async def nack(self, message: Received, *, requeue: bool, multiple: bool = False) -> None:
        self.raw.basic_nack(message.delivery_tag, multiple, requeue)

    async def reject(self, message: Received, *, requeue: bool) -> None:
        self.raw.basic_reject(message.delivery_tag, requeue)

    async def tx_select(self) -> None:
        await self._answer(self.raw.tx_select)

    async def tx_commit(self) -> None:
        await self._answer(self.raw.tx_commit)

    async def tx_rollback(self) -> None:
        await self._answer(self.raw.tx_rollback)

    async def until(self, condition: Callable[[], Any]) -> None:
        await holds(condition)

    async def close(self) -> None:
        self.raw.close()
        await holds(lambda: self.raw.is_closed)

    async def _answer(self, ask: Callable[[Callable[[Any], None]], Any]) -> Any:
        """The frame that answers a method; fails when the channel is closed instead."""
        waiting = self._future()
        ask(waiting.set_result)
        return await waiting

    def _future(self) -> asyncio.Future[Any]:
        waiting = asyncio.get_running_loop().create_future()
        self._asked.add(waiting)
        waiting.add_done_callback(self._asked.discard)
        return waiting

    def _on_closed(self, channel: Any, reason: Exception) -> None:
        for waiting in list(self._asked):
            waiting.set_exception(reason)
        for waiting in (self._unconfirmed or {}).values():  # nobody will know
            waiting.set_result(None)


class AsyncioPikaConnection:
    def __init__(self, raw: AsyncioConnection) -> None:
        self.raw: Any = raw
        self.failures: list[BaseException] = []

    async def channel(self, *, confirms: bool = True) -> AsyncioPikaChannel:
        opened = asyncio.get_running_loop().create_future()
        self.raw.channel(on_open_callback=opened.set_result)
        channel = AsyncioPikaChannel(self, await opened)
        if confirms:
            await channel.confirm()
        return channel


class AsyncioPika:
    name = "pika's AsyncioConnection"
    lacks: Mapping[str, str] = MappingProxyType(
        {
            "iterator": "pika's asynchronous adapters have callbacks alone",
            "handler_errors": "pika aborts the connection over a callback's exception and tells its text",
        }
    )

    def run(self, url: str, work: Work[T]) -> T:
        async def main() -> T:
            opened = asyncio.get_running_loop().create_future()
            closed = asyncio.Event()
            raw = AsyncioConnection(
                pika.URLParameters(url),
                on_open_callback=opened.set_result,
                on_open_error_callback=lambda _, error: opened.set_exception(error),
                on_close_callback=lambda *_: closed.set(),
            )
            connection = AsyncioPikaConnection(raw)
            await opened
            try:
                return await asyncio.wait_for(work(connection), 30)
            finally:
                if raw.is_open:
                    raw.close()
                await closed.wait()

        return asyncio.run(main())

    def message(self, body: bytes = b"x", **properties: Any) -> Any:
        return message(body, **properties)

    def contents(self, message: Any) -> Any:
        body, properties = message
        return body, copy.deepcopy(vars(properties))

    def owners(self) -> list[Any]:
        return [PikaChannel, CallbackManager]
