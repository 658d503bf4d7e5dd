"""FastStream, beyond aio-pika: it swallows what a handler raises before aio-pika sees it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import aiormq.exceptions
from faststream.exceptions import FastStreamException
from faststream.rabbit.subscriber import usecase

from strayline.guard import survived
from strayline.patching import Patches
from strayline.shims.aio_pika_channel import channel_of


def wrap_subscribers(patches: Patches) -> None:
    """Patches the method that raises, beneath the one that does not."""
    for name in ("RabbitSubscriber", "LogicSubscriber"):  # of 0.6 and later, and of 0.5
        for base in getattr(getattr(usecase, name, None), "__mro__", ()):
            if "process_message" in vars(base):
                patches.wrap(base, "process_message", _process)
                return


def _process(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def process_message(self: Any, msg: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await original(self, msg, *args, **kwargs)
        except Exception as error:
            with survived("tracing a handler's error"):
                if not isinstance(error, FastStreamException):  # stop, skip, ack: no errors
                    _failed(msg, error)
            raise

    return process_message


def _failed(message: Any, error: Exception) -> None:
    try:
        channel = channel_of(message.channel)
    except (AttributeError, aiormq.exceptions.ChannelInvalidStateError):
        return  # another broker's message, or one of a channel that is gone
    delivery = channel.deliveries.get(message.delivery_tag)
    if delivery is not None:
        channel.end_handling(delivery, error)
