"""A small shop of one queue, told by JSON what befalls it; prints what the application knows."""

import strayline.auto  # noqa: F401, I001 - first, as users do it
import asyncio
import json
import os
import sys
import uuid
from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from strayline.lifecycle import leave


async def main(plan: dict[str, Any]) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {"sent": [], "handled": []}
    connection = await aio_pika.connect(os.environ["AMQP_URL"])
    async with connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange("shop", "direct", durable=True)
        queue = await channel.declare_queue("work", durable=True, arguments=plan.get("arguments"))
        await queue.bind(exchange, "order")
        for step, value in plan["steps"]:
            if step == "publish":
                for _ in range(value):
                    name = str(uuid.uuid4())
                    message = aio_pika.Message(
                        b"{}", message_id=name, expiration=plan.get("expiration")
                    )
                    await exchange.publish(message, "order")
                    told["sent"].append(name)
            elif step == "purge":
                await queue.purge()
            elif step == "delete":
                await queue.delete(if_unused=False, if_empty=False)
            elif step == "wait":
                await asyncio.sleep(value)
            elif step == "consume":
                await consume(connection, value, plan, told)
            elif step == "buffer":
                await buffer(connection, value, told)
    return told


async def consume(connection: Any, count: int, plan: dict[str, Any], told: Any) -> None:
    """Takes so many, one by one, and acks or rejects."""
    channel = await connection.channel()
    queue = await channel.get_queue("work", ensure=False)
    for _ in range(count):
        message = await queue.get(timeout=20)
        if plan.get("reject"):
            await message.reject(requeue=False)
        else:
            await message.ack()
        told["handled"].append(str(message.message_id))
    await channel.close()


async def buffer(connection: Any, count: int, told: Any) -> None:
    """Has all of them delivered as acknowledged, and handles so many before it ends."""
    channel = await connection.channel()
    queue = await channel.get_queue("work", ensure=False)

    async def handle(message: AbstractIncomingMessage) -> None:
        if len(told["handled"]) >= count:
            await asyncio.Event().wait()
        told["handled"].append(str(message.message_id))

    await queue.consume(handle, no_ack=True)
    await asyncio.sleep(0.5)
    print(json.dumps(told), flush=True)
    leave()
    os._exit(0)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
