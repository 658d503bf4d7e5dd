"""Consumers' callbacks: a delivery is noted when it comes, its span begins where it is handled.

aio-pika runs a handler in a task of its own, a turn of the loop (some 70 µs) after the delivery:
the span must begin there, or it would seem to begin before the message ahead of it was acked.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, Final

from opentelemetry import context

from strayline.amqp import Channel, Delivery
from strayline.amqp.adoption import await_handling, stop_awaiting
from strayline.current import attach, current, detach, suppressed, with_span
from strayline.guard import survived, swallowed
from strayline.shims.aio_pika_channel import arrival, channel_of

_CONTRIB: Final = "opentelemetry.instrumentation."
_SUPPRESS: Final = "suppress_instrumentation"
"""The context key by which contrib is asked not to trace."""
_on = False


def switch(on: bool) -> None:
    """Consumers outlive ``uninstrument()``: off, they hand on what comes."""
    global _on
    _on = on


def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
    """``aiormq.Channel.basic_consume``."""

    @functools.wraps(original)
    async def basic_consume(
        self: Any, queue: str, consumer_callback: Any, *args: Any, **kwargs: Any
    ) -> Any:
        callback = consumer_callback
        with survived("tracing a consumer"):
            channel = channel_of(self)
            callback = _observed(
                channel, queue or channel.last_queue, callback, bool(kwargs.get("no_ack"))
            )
        return await original(self, queue, callback, *args, **kwargs)

    return basic_consume


def _observed(channel: Channel, queue: str, callback: Any, no_ack: bool) -> Callable[..., Any]:
    inner = callback
    handler = _handler_of(callback)
    if not _feeds_iterator(handler):
        if handler is callback:
            inner = _handling(channel, handler)
        else:
            rest = callback.args[1:]
            inner = functools.partial(
                callback.func, _handling(channel, handler), *rest, **callback.keywords
            )
    elif _is_contrib(handler):
        inner = _untraced(callback)

    inner = _awaitable(inner)

    async def arrived(message: Any) -> Any:
        if _on and not suppressed(current()):
            try:
                channel.received(arrival(message, queue, no_ack))
            except Exception as error:
                swallowed("tracing a delivery", error)
        return await inner(message)

    return arrived


def _handling(channel: Channel, handler: Callable[..., Any]) -> Callable[..., Any]:
    """``handler`` as we call it: with a span around, or with an eye on the one that another
    instrumentation makes."""
    if _is_contrib(handler) or _is_traced_by_faststream(handler):
        return _adopting(channel, handler)
    handler = _awaitable(handler)

    async def handled(message: Any) -> Any:
        token = delivery = None
        try:
            delivery = channel.deliveries.get(message.delivery_tag)
            if delivery is not None and delivery.span is None:
                span = channel.begin_handling(delivery)
                token = attach(with_span(span, delivery.parent))
        except Exception as error:
            swallowed("tracing a handling", error)
        try:
            result = await handler(message)
        except BaseException as error:
            if token is not None and delivery is not None:
                _end(channel, delivery, token, error)
            raise
        if token is not None and delivery is not None:
            _end(channel, delivery, token, None)
        return result

    return handled


def _end(channel: Channel, delivery: Delivery, token: Any, error: BaseException | None) -> None:
    try:
        channel.end_handling(delivery, error)
    except Exception as problem:
        swallowed("ending a handling", problem)
    detach(token)


def _adopting(channel: Channel, handler: Callable[..., Any]) -> Callable[..., Any]:
    handler = _awaitable(handler)

    async def handled(message: Any) -> Any:
        token = delivery = None
        with survived("adopting a handling"):
            delivery = channel.deliveries.get(message.delivery_tag)
            if delivery is not None and delivery.span is None:
                token = await_handling(functools.partial(_adopt, channel, delivery))
        try:
            return await handler(message)
        finally:
            with survived("adopting a handling"):
                if token is not None and delivery is not None:
                    stop_awaiting(token)
                    if delivery.span is None:  # it traces to a provider that we do not hear
                        channel.begin_handling(delivery)
                    channel.end_handling(delivery)

    return handled


def _adopt(channel: Channel, delivery: Delivery, span: Any) -> None:
    if str(span.name).endswith(" create"):  # FastStream's prelude to messages without context
        await_handling(functools.partial(_adopt, channel, delivery))
    else:
        channel.adopt_handling(delivery, span)


def _untraced(callback: Callable[..., Any]) -> Callable[..., Any]:
    """contrib would take an iterator's prefetching for the handling."""

    def called(message: Any) -> Any:
        attach(context.set_value(_SUPPRESS, True))  # a delivery has a task of its own
        return callback(message)

    return called


def _awaitable(callback: Callable[..., Any]) -> Callable[..., Any]:
    """aiormq takes callbacks of both kinds."""
    if inspect.iscoroutinefunction(callback):
        return callback

    async def called(message: Any) -> Any:
        result = callback(message)
        return await result if inspect.isawaitable(result) else result

    return called


def _handler_of(callback: Any) -> Any:
    """The user's handler: aio-pika consumes by a ``partial`` of ``consumer`` with it."""
    queue = sys.modules.get("aio_pika.queue")
    if (
        isinstance(callback, functools.partial)
        and callback.func is getattr(queue, "consumer", None)
        and callback.args
    ):
        return callback.args[0]
    return callback


def _feeds_iterator(handler: Any) -> bool:
    """Whether deliveries go into a ``QueueIterator``'s buffer, to be handled later."""
    iterator: Any = getattr(sys.modules.get("aio_pika.queue"), "QueueIterator", None)
    while _is_contrib(handler):
        handler = inspect.getclosurevars(handler).nonlocals.get("callback")
    return iterator is not None and isinstance(getattr(handler, "__self__", None), iterator)


def _is_contrib(handler: Any) -> bool:
    return str(getattr(handler, "__module__", "")).startswith(_CONTRIB)


def _is_traced_by_faststream(handler: Any) -> bool:
    """Whether FastStream's own telemetry middleware is among those of the handler's subscriber."""
    middlewares = getattr(getattr(handler, "__self__", None), "_broker_middlewares", ())
    return any(
        base.__name__ == "TelemetryMiddleware" and base.__module__.startswith("faststream.")
        for middleware in middlewares
        for base in type(middleware).__mro__
    )
