"""Answers over AMQP whether there is enough in stock."""

from __future__ import annotations

import asyncio
import json

import aio_pika

import strayline.auto  # noqa: F401 - first, so that everything below is instrumented
from demo_services.common import Service, ready, run
from demo_services.names import INVENTORY


async def main(service: Service) -> None:
    await service.channel.set_qos(prefetch_count=1)
    queue = await service.channel.declare_queue(INVENTORY, durable=True)

    async def check(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        async with message.process():
            quantity = int(json.loads(message.body)["quantity"])
            reply = aio_pika.Message(
                json.dumps({"in_stock": quantity < 100}).encode(),
                correlation_id=message.correlation_id,
                type="inventory.answer",
            )
            await service.channel.default_exchange.publish(reply, message.reply_to or "")

    await queue.consume(check)
    ready()
    await asyncio.Event().wait()


if __name__ == "__main__":
    run("inventory", main)
