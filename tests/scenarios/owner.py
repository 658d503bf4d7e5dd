"""A service that declares, binds and consumes when it starts, and at a word on standard input publishes: by a key
that it means and by one that it does not."""

import strayline.auto  # noqa: F401, I001 - first, as users do it
import asyncio
import os
import sys

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from strayline.lifecycle import leave

KEYS = ("order.created", "order.legacy")


async def main(url: str) -> None:
    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    events = await channel.declare_exchange("events", "topic", durable=True)
    queue = await channel.declare_queue("billing", durable=True)
    await queue.bind(events, KEYS[0])
    handled: asyncio.Queue[str] = asyncio.Queue()

    async def handle(message: AbstractIncomingMessage) -> None:
        await message.ack()
        handled.put_nowait(str(message.routing_key))

    await queue.consume(handle)
    print("ready", flush=True)
    while (await asyncio.to_thread(sys.stdin.readline)).strip() == "publish":
        for key in KEYS:
            await events.publish(aio_pika.Message(b"{}"), key)
        for _ in KEYS:
            await handled.get()
        print("handled", flush=True)
    await connection.close()
    await asyncio.to_thread(leave)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
