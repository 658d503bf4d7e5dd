"""pika's BlockingChannel: it buffers deliveries and handles them when the program lets it, in
callbacks or in the body of a loop over ``consume()``.

opentelemetry-instrumentation-pika keeps its spans and is told our facts, but where it is wrong: it
wraps both layers of a BlockingChannel, so that each publish had two spans, and ends the span of a
``consume()`` loop before the body begins. There only one of the two, and ours, is made.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator
from typing import Any, Final

from opentelemetry.trace import SpanKind
from pika.adapters.blocking_connection import BlockingChannel

from strayline.amqp import Delivery
from strayline.amqp.adoption import is_foreign
from strayline.current import attach, current, detach, span_of, suppressed, with_span
from strayline.guard import survived
from strayline.patching import Patches
from strayline.shims.pika_wire import STATE, Wire

CONTRIB: Final = "opentelemetry.instrumentation.pika"
_LOOP: Final = "_strayline_loop"
_HOOK: Final = "_strayline_hook"


def wrap_blocking(patches: Patches) -> None:
    """Patches the ways by which a BlockingChannel hands out messages."""
    patches.wrap(BlockingChannel, "_basic_consume_impl", _consume)
    patches.wrap(BlockingChannel, "consume", _loop_over)
    patches.wrap(BlockingChannel, "cancel", _cancel)


_mended: Final[weakref.WeakKeyDictionary[Any, Any]] = weakref.WeakKeyDictionary()
"""Inner channels, and contrib's wrapper that was taken from each."""


def mend_publishing(client: Any) -> None:
    """Takes contrib's wrapper from the inner channel of a BlockingChannel that has its own."""
    if client._cookie is not None:
        wrapper = vars(client).get("basic_publish")
        if getattr(wrapper, "__module__", "").startswith(CONTRIB):
            del client.basic_publish
            _mended[client] = wrapper


def unmend_publishing() -> None:
    """Gives contrib's wrappers back."""
    for client, wrapper in list(_mended.items()):
        vars(client).setdefault("basic_publish", wrapper)
    _mended.clear()


def _consume(original: Callable[..., Any]) -> Callable[..., Any]:
    def _basic_consume_impl(self: Any, *args: Any, **kwargs: Any) -> Any:
        with survived("tracing a consumer"):
            callback = kwargs.get("on_message_callback")
            if callback is not None:
                kwargs["on_message_callback"] = _observed(callback)
            elif self._queue_consumer_generator is not None:
                _mend_loop(self)
        return original(self, *args, **kwargs)

    return _basic_consume_impl


def _mend_loop(blocking: Any) -> None:
    """Gives a ``consume()`` its own buffer back; what contrib's would call for each message, we do."""
    loop = blocking._queue_consumer_generator
    hook = getattr(loop.pending_events, "_self_consume_hook", None)
    if hook is not None:
        setattr(blocking, _HOOK, hook)
        loop.pending_events = loop.pending_events.__wrapped__


def _observed(callback: Callable[..., Any]) -> Callable[..., Any]:
    def handler(blocking: Any, method: Any, properties: Any, body: bytes) -> Any:
        found = foreign = None
        with survived("tracing a handling"):
            found = _waiting(blocking, method)
            around = span_of(current())
            if found is not None and _is_contribs(around):
                foreign = around
        if found is None:
            return callback(blocking, method, properties, body)
        wire, delivery = found
        if foreign is None:
            return wire.handle(delivery, callback, blocking, method, properties, body)
        with survived("telling another's span"):
            wire.adopt_handling(delivery, foreign)
        try:
            return callback(blocking, method, properties, body)
        finally:
            if delivery.settled:
                wire.deliveries.pop(method.delivery_tag, None)

    return handler


def _is_contribs(span: Any) -> bool:
    """Whether this is contrib's for the message being handed out; another library's CONSUMER span
    (a Celery task that consumes) is around many of them."""
    return is_foreign(span, SpanKind.CONSUMER) and span.instrumentation_scope.name.startswith(
        CONTRIB
    )


def _waiting(blocking: Any, method: Any) -> tuple[Wire, Delivery] | None:
    """The delivery of this message, not handled so far."""
    wire: Wire | None = vars(blocking._impl).get(STATE)
    delivery = wire.deliveries.get(method.delivery_tag) if wire is not None else None
    return (wire, delivery) if wire and delivery is not None and delivery.span is None else None


class _Place:
    """The message that the body of a loop is handling."""

    __slots__ = ("delivery", "token", "wire")

    def __init__(self, wire: Wire, delivery: Delivery) -> None:
        self.wire = wire
        self.delivery = delivery
        span = wire.begin_handling(delivery)
        self.token: Any = attach(with_span(span, delivery.parent))

    def leave(self) -> None:
        """Ends the handling. A generator may be closed on any thread."""
        try:
            self.wire.end_handling(self.delivery)
        finally:
            detach(self.token)


def _loop_over(original: Callable[..., Any]) -> Callable[..., Any]:
    def consume(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _loop(self, original(self, *args, **kwargs))

    return consume


def _loop(blocking: Any, messages: Generator[Any]) -> Generator[Any]:
    try:
        for message in messages:
            with survived("tracing a handling"):
                _enter(blocking, message)
            yield message
            with survived("ending a handling"):
                _leave(blocking)
    finally:
        with survived("ending a handling"):
            _leave(blocking)
        messages.close()


def _enter(blocking: Any, message: Any) -> None:
    method, properties, body = message
    found = _waiting(blocking, method) if method is not None else None
    if found is not None and not suppressed(current()):
        _leave(blocking)  # of a loop that was left without being closed
        place = _Place(*found)
        setattr(blocking, _LOOP, place)
        hook = vars(blocking).get(_HOOK)
        if hook is not None and place.delivery.span is not None:
            hook(place.delivery.span, body, properties)


def _leave(blocking: Any) -> None:
    place: _Place | None = vars(blocking).pop(_LOOP, None)
    if place is not None:
        place.leave()


def _cancel(original: Callable[..., Any]) -> Callable[..., Any]:
    """The end of a loop whose generator somebody keeps."""

    def cancel(self: Any) -> Any:
        with survived("ending a handling"):
            _leave(self)
        return original(self)

    return cancel
