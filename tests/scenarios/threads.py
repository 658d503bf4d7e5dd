"""Real threads on pika: they share a channel to publish by, or a consumer's messages."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pika

from tests.scenarios.log import late, only
from tests.scenarios.play import PATIENCE_S, Play, one_by_one
from tests.scenarios.scenario import Scenario

NAMES = ("m0", "m1", "m2", "m3", "m4", "m5")


class Consumer:
    """One connection of pika with a thread of its own. ``handle`` is told each message's id, whether it was
    redelivered and its tag, and says what becomes of it; it runs in ``workers`` further threads, where there are any."""

    def __init__(
        self, play: Play, prefetch: int, handle: Callable[[str, bool], str], *, workers: int = 0
    ) -> None:
        self._play, self._handle = play, handle
        self._pool = ThreadPoolExecutor(workers) if workers else None
        self._connection = pika.BlockingConnection(pika.URLParameters(play.url))
        self._channel = self._connection.channel()
        self._channel.basic_qos(prefetch_count=prefetch)
        self._channel.basic_consume("work", self._took)
        self._thread = threading.Thread(target=self._channel.start_consuming)
        self._thread.start()

    def stop(self) -> None:
        self._connection.add_callback_threadsafe(self._channel.stop_consuming)
        self._thread.join()
        if self._pool is not None:
            self._pool.shutdown()
        self._connection.close()

    def _took(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        facts = {"lane": "pika", "place": "work", "tag": method.delivery_tag, "redelivered": method.redelivered}  # fmt: skip
        self._play.log.write("handle", properties.message_id, **facts)
        if self._pool is None:
            self._settle(properties.message_id, facts, self._handle(properties.message_id, method.redelivered))  # fmt: skip
        else:
            self._pool.submit(self._work, properties.message_id, facts)

    def _work(self, message: str, facts: dict[str, Any]) -> None:
        what = self._handle(message, facts["redelivered"])
        settle = functools.partial(self._settle, message, facts, what)
        self._connection.add_callback_threadsafe(settle)

    def _settle(self, message: str, facts: dict[str, Any], what: str) -> None:
        self._play.log.write(what, message, **facts)
        if what == "ack":
            self._channel.basic_ack(facts["tag"])
        else:
            self._channel.basic_nack(facts["tag"], requeue=what == "requeue")
        self._play.written[what] += 1


async def consumed(play: Play, consumer: Callable[[], Consumer]) -> None:
    """Publishes, consumes by pika and waits until all is acknowledged."""
    channel = await play.channel()
    await channel.declare_queue("work", durable=True)
    await play.publish(channel, "work", *NAMES)
    started = await asyncio.to_thread(consumer)
    try:
        await play.times("ack", len(NAMES))
    finally:
        await asyncio.to_thread(started.stop)


# -- requeue


async def gives_back(play: Play, prefetch: int) -> None:
    def handle(message: str, redelivered: bool) -> str:
        return "requeue" if message == "m1" and not redelivered else "ack"

    await consumed(play, lambda: Consumer(play, prefetch, handle))


async def requeue(play: Play) -> None:
    await gives_back(play, 10)


async def requeue_healthy(play: Play) -> None:
    await gives_back(play, 1)


# -- concurrent_handlers: a pool of threads behind one channel


async def pool(play: Play, workers: int, until: int) -> None:
    """The handler of m0 waits until ``until`` others are acknowledged."""

    def handle(message: str, redelivered: bool) -> str:
        ends = time.monotonic() + PATIENCE_S
        while message == "m0" and play.written["ack"] < until and time.monotonic() < ends:
            time.sleep(0.005)
        return "ack"

    await consumed(play, lambda: Consumer(play, 8, handle, workers=workers))


async def threads_handle(play: Play) -> None:
    await pool(play, 4, 2)


async def threads_handle_healthy(play: Play) -> None:
    """A pool of one thread keeps the order."""
    await pool(play, 1, 0)


# -- threads that publish by one channel, each in its turn


async def threads_publish(play: Play) -> None:
    admin = await play.channel()
    await admin.declare_queue("work", durable=True)
    await play.consume(await play.channel(1), "work", one_by_one(play))
    turn = threading.Lock()
    connection = await asyncio.to_thread(pika.BlockingConnection, pika.URLParameters(play.url))
    channel = await asyncio.to_thread(connection.channel)
    await asyncio.to_thread(channel.confirm_delivery)

    def publish(name: str) -> None:
        with turn:
            play.log.write("publish", name, lane="pika", place="/work")
            properties = pika.BasicProperties(message_id=name)
            channel.basic_publish("", "work", name.encode(), properties, mandatory=True)

    await asyncio.gather(*(asyncio.to_thread(publish, name) for name in NAMES))
    await play.times("ack", len(NAMES))
    await asyncio.to_thread(connection.close)


THREADS = (
    Scenario("pika_requeue", requeue, requeue_healthy, late("requeue", "warning", of=lambda f: only(f, "requeue"))),
    Scenario("threads_handle", threads_handle, threads_handle_healthy, late("concurrent_handlers", "info", event="ack")),
    Scenario("threads_publish", None, threads_publish),
)  # fmt: skip
