"""A service in one file, told by JSON what to declare, publish and consume."""

import strayline.auto  # noqa: I001 - first, as users do it
import asyncio
import json
import os
import sys
import uuid
from typing import Any

import aio_pika
import strayline
from aio_pika.abc import AbstractIncomingMessage


async def main(plan: dict[str, Any]) -> dict[str, list[str]]:
    connection = await aio_pika.connect_robust(os.environ["AMQP_URL"])
    sent: dict[str, list[str]] = {}
    async with connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(plan["exchange"], "topic", durable=True)
        if "queue" in plan:
            queue = await channel.declare_queue(plan["queue"], durable=True)
            for key in plan["bind"]:
                await queue.bind(exchange, key)
        for place, pairs in (
            (exchange, plan.get("publish", [])),
            (channel.default_exchange, plan.get("direct", [])),
        ):
            for key, count in pairs:
                for _ in range(count):
                    message_id = str(uuid.uuid4())
                    sent.setdefault(key, []).append(message_id)
                    with strayline.ordering_key(plan.get("key", message_id)):
                        await place.publish(
                            aio_pika.Message(b"{}", message_id=message_id, type=plan.get("type")),
                            key,
                            mandatory=plan.get("mandatory", True),
                        )
        if plan.get("consume"):
            sent["(received)"] = await consume(connection, plan)
    return sent


async def consume(connection: Any, plan: dict[str, Any]) -> list[str]:
    received: list[str] = []
    left = plan["consume"]
    done = asyncio.Event()
    first = True

    async def handle(message: AbstractIncomingMessage) -> None:
        nonlocal left, first
        slow, first = first and plan.get("slow_first", False), False
        await asyncio.sleep(0.2 if slow else 0.005)
        await message.ack()
        received.append(str(message.message_id))
        left -= 1
        if not left:
            done.set()

    for _ in range(plan.get("channels", 1)):
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=1)
        await (await channel.get_queue(plan["queue"])).consume(handle)
    await asyncio.wait_for(done.wait(), 20)
    return received


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
