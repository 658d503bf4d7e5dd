"""What every demo service needs: its settings, its own log of the truth, a broker, a way to stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage

from demo_services.faults import Faults


class Truth:
    """One service's log of what it did, a JSON object a line, in the order in which it did it.

    The log is what findings are compared with, so it is written by the application from what it
    knows itself, in the same step in which it acts.
    """

    def __init__(self, service: str, path: str) -> None:
        self._service = service
        self._file = Path(path).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115 - open as long as the process

    def write(self, event: str, **facts: Any) -> None:
        """Appends one fact; it is in the file when this returns."""
        self._file.write(json.dumps({"service": self._service, "event": event, **facts}) + "\n")


@dataclass(frozen=True, slots=True)
class Service:
    """A running service's surroundings."""

    name: str
    truth: Truth
    faults: Faults
    channel: AbstractChannel

    async def publish(
        self,
        exchange: AbstractExchange,
        routing_key: str,
        kind: str,
        order: int,
        *,
        ordering_key: str | None = None,
    ) -> None:
        """Publishes one event of an order and waits for the broker's word."""
        message_id = str(uuid.uuid4())
        facts = {
            "message_id": message_id,
            "exchange": exchange.name,
            "routing_key": routing_key,
            "type": kind,
            "order": order,
            "ordering_key": ordering_key,
        }
        self.truth.write("publish", **facts)
        message = aio_pika.Message(
            json.dumps({"order": order}).encode(),
            message_id=message_id,
            type=kind,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        answer = await exchange.publish(message, routing_key)
        if hasattr(answer, "delivery"):
            self.truth.write("returned", **facts)

    def handling(self, queue: str, message: AbstractIncomingMessage) -> None:
        """To be called as the first thing of a handler."""
        self.truth.write("handle", **_delivery(queue, message))

    async def ack(self, queue: str, message: AbstractIncomingMessage) -> None:
        self.truth.write("ack", **_delivery(queue, message))
        await message.ack()

    async def requeue(self, queue: str, message: AbstractIncomingMessage) -> None:
        self.truth.write("requeue", **_delivery(queue, message))
        await message.nack(requeue=True)

    async def reject(self, queue: str, message: AbstractIncomingMessage) -> None:
        """Gives up on a message: without a dead-letter exchange it is gone."""
        self.truth.write("reject", **_delivery(queue, message))
        await message.reject(requeue=False)


def _delivery(queue: str, message: AbstractIncomingMessage) -> dict[str, Any]:
    return {
        "queue": queue,
        "message_id": message.message_id,
        "type": message.type,
        "routing_key": message.routing_key,
        "delivery_tag": message.delivery_tag,
        "redelivered": message.redelivered,
    }


def order_of(message: AbstractIncomingMessage) -> int:
    """The number of the order that a message is about."""
    return int(json.loads(message.body)["order"])


def run(name: str, main: Callable[[Service], Awaitable[None]]) -> None:
    """Runs a service until SIGTERM or SIGINT: connects, hands over, says READY on standard output
    when ``main`` has set it up."""
    asyncio.run(_run(name, main))


async def _run(name: str, main: Callable[[Service], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    connection = await aio_pika.connect_robust(os.environ["AMQP_URL"])
    async with connection:
        channel = await connection.channel()
        truth = Truth(name, os.environ["DEMO_TRUTH"])
        service = Service(name, truth, Faults.parse(os.environ.get("DEMO_FAULTS", "none")), channel)
        task = asyncio.ensure_future(main(service))
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not stopped.done():
            await task  # says why it ended by itself
            await stopped
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def ready() -> None:
    """Tells whoever started this process that it serves."""
    sys.stdout.write("READY\n")
    sys.stdout.flush()
