"""Tells customers by mail, and keeps an audit of everything told."""

from __future__ import annotations

import asyncio

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

import strayline.auto  # noqa: F401 - first, so that everything below is instrumented
from demo_services.common import Service, order_of, ready, run
from demo_services.names import AUDIT, EMAIL, NOTIFY


async def main(service: Service) -> None:
    channel = service.channel
    notify = await channel.declare_exchange(NOTIFY, aio_pika.ExchangeType.FANOUT, durable=True)
    # the prefetch of a channel holds for consumers that come after it
    await channel.set_qos(prefetch_count=1)
    email = await channel.declare_queue(EMAIL, durable=True)
    await email.bind(notify)

    async def mail(message: AbstractIncomingMessage) -> None:
        service.handling(EMAIL, message)
        if service.faults.discarded(order_of(message), message.type or ""):
            await service.reject(EMAIL, message)
            return
        await service.ack(EMAIL, message)

    await email.consume(mail)
    await channel.set_qos(prefetch_count=8 if service.faults.concurrent else 1)
    audit = await channel.declare_queue(AUDIT, durable=True)
    await audit.bind(notify)

    async def record(message: AbstractIncomingMessage) -> None:
        service.handling(AUDIT, message)
        if service.faults.concurrent:
            slow = message.type == "order.shipped" and order_of(message) % 9 == 4
            await asyncio.sleep(0.03 if slow else 0.001)
        await service.ack(AUDIT, message)

    await audit.consume(record)
    ready()
    await asyncio.Event().wait()


if __name__ == "__main__":
    run("notifications", main)
