"""A service in one file that declares, publishes and handles as JSON tells it, well or badly."""

import strayline.auto  # noqa: F401, I001 - first, as users do it
import asyncio
import contextlib
import json
import os
import sys
import uuid
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import aio_pika
from aio_pika.abc import AbstractIncomingMessage


class Wire:
    """Stands between a client and its broker: once ``mute`` nothing that the client says gets through."""

    def __init__(self) -> None:
        self.mute = False
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> str:
        """The URL of the broker by this way."""
        self._broker = urlsplit(os.environ["AMQP_URL"])
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        login = f"{self._broker.username}:{self._broker.password}"
        return f"amqp://{login}@127.0.0.1:{port}{self._broker.path}"

    async def __aexit__(self, *error: object) -> None:
        self.cut()
        self._server.close()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(self._broker.hostname, self._broker.port)
        self._writers += [writer, there[1]]
        await asyncio.gather(
            self._pass(reader, there[1], True), self._pass(there[0], writer, False)
        )

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mutable: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if not (mutable and self.mute):
                    writer.write(data)


async def main(plan: dict[str, Any]) -> dict[str, Any]:
    if "forget" in plan:
        wire = Wire()
        async with wire as url:
            connection = await aio_pika.connect(url)
            handled = await consume(connection, **plan["forget"], wire=wire)
            with contextlib.suppress(Exception):
                await connection.close()
        return {"handled": handled}
    connection = await aio_pika.connect(os.environ["AMQP_URL"])
    told: dict[str, Any] = {"sent": {}, "handled": []}
    async with connection:
        channel = await connection.channel()
        await declare(channel, plan)
        for exchange, key, count in plan.get("publish", []):
            for _ in range(count):
                told["sent"].setdefault(key, []).append(await publish(channel, exchange, key, plan))
        if "consume" in plan:
            told["handled"] = await consume(connection, **plan["consume"])
    return told


async def declare(channel: Any, plan: dict[str, Any]) -> None:
    for name, (kind, arguments) in plan.get("exchanges", {}).items():
        await channel.declare_exchange(name, kind, durable=True, arguments=arguments)
    for name, (arguments, bindings) in plan.get("queues", {}).items():
        queue = await channel.declare_queue(name, durable=True, arguments=arguments)
        for exchange, key in bindings:
            await queue.bind(exchange, key)


async def publish(channel: Any, name: str, key: str, plan: dict[str, Any]) -> str:
    """The message's id. ``impatient``: gives a publish up before its confirm came, and repeats it."""
    exchange = await channel.get_exchange(name, ensure=False) if name else channel.default_exchange
    message = aio_pika.Message(b"{}" + uuid.uuid4().bytes, message_id=str(uuid.uuid4()))
    if plan.get("impatient"):
        first = asyncio.create_task(exchange.publish(message, key))
        for _ in range(3):
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        if first.cancelled():
            await exchange.publish(message, key)
    else:
        await exchange.publish(message, key)
    return str(message.message_id)


async def consume(
    connection: Any,
    queue: str,
    deliveries: int | None = None,
    outcomes: dict[str, list[str]] | None = None,
    wire: Wire | None = None,
) -> list[list[str]]:
    """Handles so many deliveries (all that wait there), each try of a message by the next of its key's ``outcomes`` (the
    last one from then on; ``ack`` where none are told). ``wire``: is mute from the first
    delivery on and cut after the last, so that the broker never hears of what was acknowledged."""
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=0 if wire else 1)
    if deliveries is None:
        there = await channel.declare_queue(queue, passive=True)
        deliveries = there.declaration_result.message_count
    handled: list[list[str]] = []
    tries: Counter[str] = Counter()
    done = asyncio.Event()

    async def handle(message: AbstractIncomingMessage) -> None:
        if done.is_set():
            return
        if wire is not None:
            wire.mute = True
        name = str(message.message_id)
        told = (outcomes or {}).get(message.routing_key or "", ["ack"])
        outcome = told[min(tries[name], len(told) - 1)]
        tries[name] += 1
        handled.append([name, outcome])
        if outcome == "requeue":
            await message.nack(requeue=True)
        elif outcome == "reject":
            await message.reject(requeue=False)
        elif outcome == "ack":
            await message.ack()
        if len(handled) == deliveries:
            done.set()

    await (await channel.get_queue(queue, ensure=False)).consume(handle)
    await asyncio.wait_for(done.wait(), 20)
    if wire is not None:
        wire.cut()
    return handled


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
