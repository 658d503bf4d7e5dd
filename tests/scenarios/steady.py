"""A service that goes on until SIGTERM: ``sends`` publishes to ``work`` and waits for each confirmation, ``takes``
handles what comes there."""

import strayline.auto  # noqa: F401, I001 - first, as users do it
import asyncio
import itertools
import os
import signal
import sys
from pathlib import Path

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from strayline.lifecycle import leave
from tests.scenarios.log import Log

PAUSE_S = 0.01


async def main(role: str, url: str, path: str) -> None:
    log, leaves = Log(Path(path)), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaves.set)
    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    queue = await channel.declare_queue("work", durable=True)
    if role == "takes":
        await channel.set_qos(prefetch_count=10)

        async def handle(message: AbstractIncomingMessage) -> None:
            await message.ack()
            log.write("ack", str(message.message_id), lane=str(os.getpid()), place="work")

        tag = await queue.consume(handle)
        await leaves.wait()
        await queue.cancel(tag)
    else:
        for number in itertools.count():
            name = f"m{number}"
            log.write("publish", name, lane=str(os.getpid()), place="/work")
            body = aio_pika.Message(name.encode(), message_id=name)
            await channel.default_exchange.publish(body, "work")
            await asyncio.sleep(PAUSE_S)
            if leaves.is_set():
                break
    await connection.close()
    await asyncio.to_thread(leave)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3]))
