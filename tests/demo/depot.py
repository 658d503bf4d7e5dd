"""The shop's depot: what a healthy hour has beside orders. ``python -m tests.demo.depot ROLE``:

``sends``: tasks of three priorities, twenty a second, over a connection that breaks now and then.
``packs``: takes up to fifty tasks at once. One in twenty fails and comes back by a queue in which it waits;
now and then its connection breaks, and whatever it has in hand comes again.
``loads``: fetches fifty ahead, and now and then begins anew with what it had fetched given back.
``checks``: one at a time; one in twenty is given back, and comes again at once.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustConnection

import strayline.auto  # noqa: F401 - first, so that everything below is instrumented
from demo_services.common import Service, order_of, ready, run
from tests.demo.depot_names import CHECKS, DEPOT, LOADS, RETRY, TASKS
from tests.scenarios.play import Relay

PREFETCH: Final = 50
PAUSE_S: Final = 0.05
BREAKS_EVERY: Final = 400
"""Tasks between two breaks of a connection."""


async def declared(service: Service) -> dict[str, Any]:
    """The depot's exchange and queues, as each of its services declares them."""
    channel = service.channel
    exchange = await channel.declare_exchange(DEPOT, durable=True)
    waits: dict[str, Any] = {
        "x-message-ttl": 500,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": TASKS,
    }
    await channel.declare_queue(RETRY, durable=True, arguments=waits)
    again: dict[str, Any] = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": RETRY}
    arguments: dict[str, dict[str, Any]] = {
        TASKS: {"x-max-priority": 9, **again},
        LOADS: {},
        CHECKS: {},
    }
    found: dict[str, Any] = {DEPOT: exchange}
    for name, own in arguments.items():
        found[name] = await channel.declare_queue(name, durable=True, arguments=own)
        await found[name].bind(exchange, "task")
    return found


@asynccontextmanager
async def breakable() -> AsyncGenerator[
    tuple[AbstractRobustConnection, Callable[[], Awaitable[None]]]
]:
    """A connection, and what breaks it and returns when it is there again."""
    relay = Relay(os.environ["AMQP_URL"])
    async with relay.serving() as url:
        connection = await aio_pika.connect_robust(url, reconnect_interval=0.2)
        back = asyncio.Event()
        connection.reconnect_callbacks.add(lambda *_: back.set())

        async def breaks() -> None:
            back.clear()
            relay.cut()
            await back.wait()

        async with connection:
            yield connection, breaks


async def sends(service: Service) -> None:
    await declared(service)
    number = 0

    async def send(exchange: Any) -> None:
        message_id = str(uuid.uuid4())
        service.truth.write(
            "publish", message_id=message_id, exchange=DEPOT, routing_key="task", type="task",
            order=number, ordering_key=None,
        )  # fmt: skip
        message = aio_pika.Message(
            json.dumps({"order": number}).encode(), message_id=message_id, type="task",
            priority=random.choice((0, 5, 9)), delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )  # fmt: skip
        await exchange.publish(message, "task")

    async with breakable() as (connection, breaks):
        channel = await connection.channel()
        exchange = await channel.get_exchange(DEPOT, ensure=False)
        ready()
        for number in itertools.count(1):
            sending = asyncio.ensure_future(send(exchange))
            try:
                await asyncio.shield(sending)
            except asyncio.CancelledError:
                await sending  # what is under way is sent to its end
                raise
            if number % BREAKS_EVERY == 0:
                await breaks()
            await asyncio.sleep(PAUSE_S)


async def packs(service: Service) -> None:
    await declared(service)
    acknowledges = asyncio.Event()
    acknowledges.set()
    handled = acknowledging = 0

    async def pack(message: AbstractIncomingMessage) -> None:
        nonlocal handled, acknowledging
        service.handling(TASKS, message)
        await asyncio.sleep(random.uniform(0.05, 1))
        await acknowledges.wait()
        acknowledging += 1
        try:
            if order_of(message) % 20 == 3 and not message.headers.get("x-death"):
                await message.reject(requeue=False)
                return
            await message.ack()
        finally:
            acknowledging -= 1
        handled += 1
        # only now: on a connection that broke the client could not write it
        service.truth.write("ack", queue=TASKS, message_id=message.message_id)

    async with breakable() as (connection, breaks):
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=PREFETCH)

        queue = await channel.declare_queue(TASKS, passive=True)
        consumer = await queue.consume(pack)

        async def acknowledged() -> None:
            """The queue has every acknowledgement before it answers, so that none is lost with the connection:
            a cancel stays behind them in its mailbox, where a declare and a connection's end overtake them."""
            acknowledges.clear()
            while acknowledging:  # noqa: ASYNC110 - counted by many handlers
                await asyncio.sleep(0.01)
            await queue.cancel(consumer)

        ready()
        try:
            while True:
                wanted = handled + BREAKS_EVERY
                while handled < wanted:  # noqa: ASYNC110 - counted by many handlers
                    await asyncio.sleep(0.1)
                await acknowledged()
                await breaks()
                acknowledges.set()
                consumer = await queue.consume(pack)
        finally:
            await acknowledged()


async def loads(service: Service) -> None:
    await declared(service)
    await service.channel.set_qos(prefetch_count=PREFETCH)
    queue = await service.channel.get_queue(LOADS, ensure=False)
    ready()
    while True:
        async with queue.iterator() as messages:
            left = BREAKS_EVERY
            async for message in messages:
                service.handling(LOADS, message)
                await service.ack(LOADS, message)
                left -= 1
                if not left:
                    break


async def checks(service: Service) -> None:
    await declared(service)
    await service.channel.set_qos(prefetch_count=1)
    queue = await service.channel.get_queue(CHECKS, ensure=False)
    ready()
    async with queue.iterator() as messages:
        async for message in messages:
            service.handling(CHECKS, message)
            if order_of(message) % 20 == 7 and not message.redelivered:
                await service.requeue(CHECKS, message)
            else:
                await service.ack(CHECKS, message)


if __name__ == "__main__":
    role = sys.argv[1]
    run(role, {"sends": sends, "packs": packs, "loads": loads, "checks": checks}[role])
