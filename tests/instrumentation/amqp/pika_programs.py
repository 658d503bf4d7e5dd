"""Small programs that use pika directly, as its users do."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pika
from pika.adapters.select_connection import SelectConnection


@contextmanager
def connected(url: str) -> Generator[Any]:
    """A BlockingConnection, closed after."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection
    finally:
        if connection.is_open:
            connection.close()


def filled(connection: Any, *bodies: bytes, confirms: bool = False) -> Any:
    """A channel with a queue ``work`` that holds these messages."""
    channel = connection.channel()
    if confirms:
        channel.confirm_delivery()
    channel.queue_declare("work")
    for body in bodies:
        channel.basic_publish("", "work", body)
    return channel


def until(connection: Any, condition: Callable[[], Any]) -> None:
    """Lets a BlockingConnection work until the condition holds; at most 10 s."""
    for _ in range(1000):
        if condition():
            return
        connection.process_data_events(time_limit=0.01)
    raise AssertionError("the condition did not hold within 10 s")


def ready(channel: Any) -> int:
    """How many messages of ``work`` the broker holds."""
    return channel.queue_declare("work", passive=True).method.message_count


def selected(url: str, begin: Callable[[Any, Callable[[], None]], None]) -> None:
    """Runs a SelectConnection: ``begin(channel, stop)`` once a channel is open, until ``stop()``."""
    failed: list[Any] = []

    def opened(connection: Any) -> None:
        connection.channel(on_open_callback=lambda channel: begin(channel, connection.close))

    def closed(connection: Any, reason: Any) -> None:
        connection.ioloop.stop()

    connection = SelectConnection(pika.URLParameters(url), opened, failed.append, closed)
    connection.ioloop.call_later(20, lambda: (failed.append("20 s passed"), connection.close()))
    try:
        connection.ioloop.start()
    finally:
        connection.ioloop.close()
    assert not failed
