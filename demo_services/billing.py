"""Bills orders: follows their events one at a time, asks the gateway who the customer is, and
says when an order is paid."""

from __future__ import annotations

import asyncio
import os
from typing import Final

import aio_pika
import httpx

import strayline.auto  # noqa: F401 - first, so that everything below is instrumented
from demo_services.common import Service, order_of, ready, run
from demo_services.names import BILLING, EVENTS

KEYS: Final = ("order.created", "order.updated", "order.confirmed")


async def main(service: Service) -> None:
    # What is given back comes again after whatever the client had already fetched.
    await service.channel.set_qos(prefetch_count=16 if service.faults.kinds else 1)
    events = await service.channel.declare_exchange(
        EVENTS, aio_pika.ExchangeType.TOPIC, durable=True
    )
    queue = await service.channel.declare_queue(BILLING, durable=True)
    for key in KEYS:
        await queue.bind(events, key)
    ready()
    async with (
        httpx.AsyncClient(base_url=os.environ["GATEWAY_URL"]) as gateway,
        queue.iterator() as messages,
    ):
        async for message in messages:
            service.handling(BILLING, message)
            number, kind = order_of(message), message.type or ""
            if service.faults.requeued(number, kind, redelivered=bool(message.redelivered)):
                await asyncio.sleep(0.02)
                await service.requeue(BILLING, message)
                continue
            if kind == "order.confirmed":
                (await gateway.get(f"/customers/{number % 50}")).raise_for_status()
                await service.publish(events, "order.paid", "order.paid", number)
            await service.ack(BILLING, message)


if __name__ == "__main__":
    run("billing", main)
