"""A consumer that settles its first messages, holds what comes after, and waits to be killed, or to be told to
leave by SIGTERM."""

import strayline.auto  # noqa: F401, I001 - first, as users do it
import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from opentelemetry import trace

from strayline.lifecycle import leave
from tests.scenarios.log import Log


async def main(url: str, queue: str, prefetch: int, settles: int, path: str) -> None:
    log = Log(Path(path))
    settled, leaves = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaves.set)
    left = settles
    if not left:
        settled.set()
    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=prefetch)

    async def handle(message: AbstractIncomingMessage) -> None:
        nonlocal left
        facts = {"lane": "holder", "place": queue}
        log.write("handle", str(message.message_id), **facts)
        if not left:
            await asyncio.Event().wait()
        left -= 1
        log.write("ack", str(message.message_id), **facts)
        await message.ack()
        if not left:
            settled.set()

    await (await channel.get_queue(queue, ensure=False)).consume(handle)
    await settled.wait()  # the handler's span has ended by the time that this goes on
    if settles:
        provider: Any = trace.get_tracer_provider()
        await asyncio.to_thread(provider.force_flush)
    log.write("flushed")
    await leaves.wait()
    leave()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))
