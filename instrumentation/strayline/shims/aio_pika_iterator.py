"""aio-pika's loops over a queue: a handling is the body of the loop, from ``__anext__`` returning
a message to the next ``__anext__``, to the end of ``async with`` or, where a bare ``async for`` is
left, to the end of the task. Several tasks may read one iterator, each handles its own message.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable
from typing import Any, Final

import aio_pika.message
import aio_pika.queue
import aiormq.exceptions

from strayline.amqp import Channel, Delivery
from strayline.current import attach, detach, with_span
from strayline.guard import survived
from strayline.patching import Patches
from strayline.shims.aio_pika_channel import channel_of

_LOOP: Final = "_strayline_loop"
_unattached: Final[dict[tuple[int, int | None], Delivery]] = {}
"""By channel and tag: what is handled without being current, see ``_process``."""


class _Handled:
    """What one task is handling. ``token`` is None where the message came by another task."""

    __slots__ = ("channel", "delivery", "token")

    def __init__(self, channel: Channel, delivery: Delivery, token: Any) -> None:
        self.channel = channel
        self.delivery = delivery
        self.token = token

    def end(self, error: BaseException | None) -> None:
        self.channel.end_handling(self.delivery, error)
        if self.token is None:
            _unattached.pop((self.channel.number, self.delivery.tag), None)


class _Loop(dict[Any, _Handled | None]):
    """What each task that reads an iterator is handling."""

    def task_ended(self, task: asyncio.Task[Any]) -> None:
        handled = self.pop(task, None)
        if handled is not None:
            with survived("ending a handling"):
                handled.end(asyncio.CancelledError() if task.cancelled() else task.exception())


def wrap_loops(patches: Patches) -> None:
    """Patches iterators, robust ones too."""
    base: Any = aio_pika.queue.QueueIterator
    for iterator in (base, *base.__subclasses__()):
        patches.wrap(iterator, "__anext__", _next)
        patches.wrap(iterator, "__aexit__", _exit)
    if hasattr(base, "_on_close"):
        # aio-pika 9's early ones look for their own ``close`` among callbacks
        patches.wrap(base, "close", _close)
    if sys.version_info < (3, 12):
        patches.wrap(aio_pika.message.ProcessContext, "__aenter__", _process)
        patches.wrap(aio_pika.message.ProcessContext, "__aexit__", _processed)


def _next(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def __anext__(self: Any) -> Any:  # noqa: N807
        # not ``async``: ``wait_for`` of Python 3.11 awaits it in a task that is not the loop's
        task = None
        with survived("ending a handling"):
            task = asyncio.current_task()
            _leave(self, task, None)
        return _following(original, self, task)

    return __anext__


async def _following(original: Callable[..., Any], iterator: Any, task: Any) -> Any:
    message = await original(iterator)
    if task is not None:
        with survived("tracing a handling"):
            _enter(iterator, task, message)
    return message


def _enter(iterator: Any, task: Any, message: Any) -> None:
    channel = _channel_of(message)
    delivery = None if channel is None else channel.deliveries.get(message.delivery_tag)
    if channel is None or delivery is None or delivery.span is not None:
        return
    loop: _Loop | None = vars(iterator).get(_LOOP)
    if loop is None:
        loop = _Loop()
        setattr(iterator, _LOOP, loop)
    if task not in loop:
        task.add_done_callback(loop.task_ended)
    span = channel.begin_handling(delivery)
    token = None
    if asyncio.current_task() is task:
        token = attach(with_span(span, delivery.parent))
    else:
        _unattached[channel.number, delivery.tag] = delivery
    loop[task] = _Handled(channel, delivery, token)


def _channel_of(message: Any) -> Channel | None:
    try:
        return channel_of(message.channel)
    except aiormq.exceptions.ChannelInvalidStateError:  # gone, the message comes again
        return None


def _leave(iterator: Any, task: Any, error: BaseException | None) -> None:
    """Ends what ``task``, which is the current one, was handling."""
    loop: _Loop | None = vars(iterator).get(_LOOP)
    handled = loop.get(task) if loop is not None else None
    if loop is None or handled is None:
        return
    loop[task] = None
    handled.end(error)
    if handled.token is not None:
        detach(handled.token)


def _exit(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def __aexit__(self: Any, kind: Any, error: Any, traceback: Any) -> Any:  # noqa: N807
        with survived("ending a handling"):
            _leave(self, asyncio.current_task(), error)
        return await original(self, kind, error, traceback)

    return __aexit__


def _close(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        with survived("ending a handling"):
            _leave(self, asyncio.current_task(), None)
        return await original(self, *args, **kwargs)

    return close


def _process(original: Callable[..., Any]) -> Callable[..., Any]:
    """``message.process()`` is in the loop's own task: what came by another is current from here."""

    @functools.wraps(original)
    async def __aenter__(self: Any) -> Any:  # noqa: N807
        if _unattached:
            with survived("tracing a handling"):
                channel = _channel_of(self.message)
                key = channel and (channel.number, self.message.delivery_tag)
                delivery = _unattached.get(key) if key else None
                if delivery is not None and delivery.span is not None:
                    self._strayline_token = attach(with_span(delivery.span, delivery.parent))
        return await original(self)

    return __aenter__


def _processed(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def __aexit__(self: Any, *args: Any) -> Any:  # noqa: N807
        try:
            return await original(self, *args)
        finally:
            token = vars(self).pop("_strayline_token", None)
            if token is not None:
                detach(token)

    return __aexit__
