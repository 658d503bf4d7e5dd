"""What a scenario's program has in hand: connections of real clients, and its log."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import httpx
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractRobustChannel

import strayline
from tests.scenarios.log import Fact, Log

PATIENCE_S = 60.0
Handler = Callable[["Got"], Awaitable[None]]


class Got:
    """A delivery in a handler. What is done with it goes to the log first."""

    def __init__(self, play: Play, raw: AbstractIncomingMessage, lane: str, queue: str) -> None:
        self._play, self.raw = play, raw
        self.id = str(raw.message_id)
        self._facts = {
            "lane": lane, "place": queue, "tag": raw.delivery_tag or 0, "redelivered": bool(raw.redelivered),
        }  # fmt: skip

    def note(self, event: str) -> None:
        self._play.log.write(event, self.id, **self._facts)

    async def ack(self) -> None:
        self.note("ack")
        await self.raw.ack()
        self._play.written["ack"] += 1

    async def requeue(self) -> None:
        self.note("requeue")
        await self.raw.nack(requeue=True)
        self._play.written["requeue"] += 1

    async def drop(self) -> None:
        self.note("drop")
        await self.raw.reject(requeue=False)
        self._play.written["drop"] += 1


class Play:
    """One run of one scenario in a vhost of its own."""

    def __init__(self, url: str, management: str, log: Log, stack: AsyncExitStack) -> None:
        self.url, self.log = url, log
        self._management, self._stack = management, stack
        self._lanes: dict[int, str] = {}
        self._open: list[AbstractChannel] = []
        self.written: Counter[str] = Counter()
        """Settlements that the client has written; the log has each a moment before."""

    @property
    def facts(self) -> list[Fact]:
        return self.log.facts

    async def channel(self, prefetch: int = 0, *, url: str = "", **options: Any) -> AbstractChannel:
        """A channel of a connection of its own."""
        connection = await aio_pika.connect(url or self.url)
        self._stack.push_async_callback(connection.close)
        channel = await connection.channel(**options)
        return await self._known(channel, prefetch)

    async def robust(self, url: str, prefetch: int = 0) -> AbstractChannel:
        """A channel of a connection that comes back when it broke."""
        connection = await aio_pika.connect_robust(url, reconnect_interval=0.1)
        self._stack.push_async_callback(connection.close)
        return await self._known(await connection.channel(), prefetch)

    async def breaks(self, relay: Relay, *channels: AbstractChannel) -> None:
        """The relay's connections break; returns when those of ``channels`` are there again."""
        back = [asyncio.Event() for _ in channels]
        for channel, event in zip(channels, back, strict=True):
            connection: Any = channel._connection  # type: ignore[attr-defined]
            connection.reconnect_callbacks.add(lambda *_, event=event: event.set())
        relay.cut()
        for event in back:
            await asyncio.wait_for(event.wait(), PATIENCE_S)

    async def another(self, channel: AbstractChannel, prefetch: int = 0) -> AbstractChannel:
        """One more channel of the same connection."""
        connection: Any = channel.channel and channel._connection  # type: ignore[attr-defined]
        return await self._known(await connection.channel(), prefetch)

    async def _known(self, channel: AbstractChannel, prefetch: int) -> AbstractChannel:
        if prefetch:
            await channel.set_qos(prefetch_count=prefetch)
        self._open.append(channel)
        self._lanes[id(channel)] = f"c{len(self._open)}"
        return channel

    async def close(self, channel: AbstractChannel) -> None:
        """Closes the channel's connection; what it held goes back to its queue."""
        self.log.write("closed", lane=self._lanes[id(channel)])
        await channel._connection.close()  # type: ignore[attr-defined]

    async def publish(
        self, channel: AbstractChannel, key: str, *names: str, exchange: str = "",
        ordering_key: str | None = None, type: str | None = None, priority: int | None = None,  # noqa: A002 - AMQP's word
        patience: float | None = None, headers: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Publishes a message of each name and waits for the broker's word; ``patience`` seconds at
        most, where given."""
        place = (
            await channel.get_exchange(exchange, ensure=False)
            if exchange
            else channel.default_exchange
        )
        for name in names:
            where = {"lane": self._lanes[id(channel)], "place": f"{exchange}/{key}"}
            message = aio_pika.Message(
                name.encode(), message_id=name, type=type, priority=priority or None, headers=dict(headers or {}),
            )  # fmt: skip
            self.log.write("publish", name, **where)
            with strayline.ordering_key(ordering_key or name):
                try:
                    answer = await asyncio.wait_for(place.publish(message, key), patience)
                except TimeoutError:
                    self.log.write("unknown", name, **where)
                else:
                    if hasattr(answer, "delivery"):
                        self.log.write("returned", name, **where)

    async def consume(
        self, channel: AbstractChannel, queue: str, handler: Handler, *, no_ack: bool = False
    ) -> str:
        """``handler`` is called for each delivery; the log has it before."""
        lane = self._lanes[id(channel)]

        async def handle(raw: AbstractIncomingMessage) -> None:
            got = Got(self, raw, lane, queue)
            got.note("handle")
            if no_ack:
                got.note("auto")
            await handler(got)

        # one that comes back by itself consumes again what it knows of
        robust = isinstance(channel, AbstractRobustChannel)
        source = await (
            channel.declare_queue(queue, passive=True)
            if robust
            else channel.get_queue(queue, ensure=False)
        )
        return str(await source.consume(handle, no_ack=no_ack))

    async def got(self, channel: AbstractChannel, queue: str) -> Got:
        """The next message by ``basic.get``, once there is one."""
        source = await channel.get_queue(queue, ensure=False)
        async with asyncio.timeout(PATIENCE_S):
            while (raw := await source.get(fail=False)) is None:
                pass
        found = Got(self, raw, self._lanes[id(channel)], queue)
        found.note("handle")
        return found

    async def until(self, condition: Callable[[], Any]) -> None:
        """Waits until the condition holds; fails after a minute."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - what others log, in other processes too
                await asyncio.sleep(0.005)

    def count(self, event: str, **wanted: Any) -> int:
        return sum(
            fact.event == event and all(getattr(fact, n) == v for n, v in wanted.items())
            for fact in self.facts
        )

    async def times(self, event: str, count: int) -> None:
        """Waits until the log has this event so often; a settlement, until it was written."""
        told = self.written if event in ("ack", "requeue", "drop") else None
        await self.until(lambda: (told[event] if told is not None else self.count(event)) >= count)

    async def broker(self, method: str, path: str, json: Any) -> None:
        """A call of the management API: what a program without instrumentation does. ``{vhost}`` in
        ``path`` is this run's."""
        vhost = urlsplit(self.url).path[1:]
        parts = urlsplit(self._management)
        async with httpx.AsyncClient(auth=(parts.username or "", parts.password or "")) as client:
            base = f"{parts.scheme}://{parts.hostname}:{parts.port}"
            answer = await client.request(
                method, f"{base}/api{path.format(vhost=vhost)}", json=json
            )
            answer.raise_for_status()

    @asynccontextmanager
    async def holder(
        self, queue: str, prefetch: int, settles: int = 0, **environment: str
    ) -> AsyncGenerator[Callable[..., Awaitable[None]]]:
        """A process that settles ``settles`` messages, sends what it has of telemetry, and then holds
        ``prefetch`` more; yields what ends it by a signal, SIGKILL when none is named."""
        path = self.log.path.with_suffix(".holder")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.scenarios.holder",
            self.url, queue, str(prefetch), str(settles), str(path), env={**os.environ, **environment},
        )  # fmt: skip

        async def end(number: signal.Signals = signal.SIGKILL) -> None:
            process.send_signal(number)
            await process.wait()

        def holds() -> bool:
            told = path.read_text() if path.exists() else ""
            return told.count('"handle"') == prefetch + settles and '"flushed"' in told

        try:
            await self.until(holds)
            yield end
        finally:
            if process.returncode is None:
                await end()

    @asynccontextmanager
    async def taker(
        self, queue: str, handles: int
    ) -> AsyncGenerator[Callable[[signal.Signals], Awaitable[None]]]:
        """A process to which all of the queue is sent as acknowledged, of which it handles so many; yields
        what ends it by a signal."""
        path = self.log.path.with_suffix(".taker")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.scenarios.taker", self.url, queue, str(handles), str(path)
        )

        async def end(number: signal.Signals) -> None:
            process.send_signal(number)
            await process.wait()

        try:
            await self.until(lambda: path.exists() and '"flushed"' in path.read_text())
            yield end
        finally:
            if process.returncode is None:
                await end(signal.SIGKILL)


class Relay:
    """Between a client and the broker: passes bytes on, until it is told to hold them back."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self.answers, self.requests = asyncio.Event(), asyncio.Event()
        self.answers.set()
        self.requests.set()
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[str]:
        """The URL by which it is reached."""
        server = await asyncio.start_server(self._met, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        host = f"{self._parts.username}:{self._parts.password}@127.0.0.1:{port}"
        try:
            yield self._parts._replace(netloc=host).geturl()
        finally:
            self.cut()
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Both ends lose their connection, at once."""
        for writer in self._writers:
            writer.transport.abort()

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_in, there_out = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        self._writers += [writer, there_out]
        for source, target, gate in (
            (reader, there_out, self.requests),
            (there_in, writer, self.answers),
        ):
            task = asyncio.ensure_future(_pass_on(source, target, gate))
            self._tasks.add(task)


async def _pass_on(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, gate: asyncio.Event
) -> None:
    try:
        while data := await source.read(65536):
            await gate.wait()
            target.write(data)
            await target.drain()
    except ConnectionError:
        pass
    finally:
        target.close()


def one_by_one(play: Play) -> Handler:
    """A handler that acknowledges."""

    async def handle(got: Got) -> None:
        await got.ack()

    return handle


def headers_of(raw: AbstractIncomingMessage) -> Mapping[str, Any]:
    return {name: str(value) for name, value in raw.headers.items()}
