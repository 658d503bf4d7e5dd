"""A consumer that acknowledges automatically, handles its first messages and then no more. SIGTERM ends it,
with a last word; SIGKILL without."""

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


async def main(url: str, queue: str, handles: int, path: str) -> None:
    log = Log(Path(path))
    loop, done, ended = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    left = handles

    async def handle(message: AbstractIncomingMessage) -> None:
        nonlocal left
        if not left:
            await asyncio.Event().wait()
        left -= 1
        log.write("handle", str(message.message_id), lane="taker", place=queue)
        log.write("auto", str(message.message_id), lane="taker", place=queue)
        if not left:
            done.set()

    source = await channel.get_queue(queue)
    await source.consume(handle, no_ack=True)
    await done.wait()
    while (await source.declare()).message_count:  # noqa: ASYNC110 - until all are on their way
        await asyncio.sleep(0.01)
    provider: Any = trace.get_tracer_provider()
    await asyncio.to_thread(provider.force_flush)
    log.write("flushed")
    await ended.wait()
    leave()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
