"""kombu: its ``SimpleQueue`` and ``itermessages`` take a message when it arrives and give it to
the application later. That is where its handling is, not where it was prefetched.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Generator
from typing import Any, Final

from opentelemetry.trace import Link, Span, SpanKind

from strayline import conventions as c
from strayline.amqp import Delivery
from strayline.amqp.headers import readable
from strayline.current import attach, detach, with_span
from strayline.guard import survived
from strayline.imports import Watch, when_imported
from strayline.patching import Patches
from strayline.provider import tracer
from strayline.shims.py_amqp_record import Held, known

_KEEPERS: Final = frozenset(
    {
        ("kombu.simple", "SimpleBase._receive"),
        ("kombu.common", "drain_consumer.<locals>.on_message"),
        (
            "celery.worker.consumer.consumer",
            "Consumer.create_task_handler.<locals>.on_task_received",
        ),
    }
)
"""Handlers of a ``kombu.Consumer`` that only keep a message, by module and qualified name."""

_patches: Final = Patches()
_watches: Final[list[Watch]] = []


def on() -> None:
    """Follows kombu once it is there; ``amqp`` alone does without."""
    _watches.append(when_imported(["kombu.simple"], _on_simple))
    _watches.append(when_imported(["kombu.common"], _on_common))


def off() -> None:
    while _watches:
        _watches.pop().cancel()
    _patches.undo()


def _on_simple() -> None:
    _patches.wrap(sys.modules["kombu.simple"].SimpleBase, "get", _get)


def _on_common() -> None:
    _patches.wrap(sys.modules["kombu.common"], "drain_consumer", _drain)


def keeps(callback: Any) -> bool:
    """Whether a consumer's callback is one that only keeps the message. A ``kombu.Consumer``'s
    handlers may be set after it began, so this is asked with each delivery."""
    consumer = getattr(callback, "__self__", None)
    handler = getattr(consumer, "on_message", None)
    if handler is None:
        handlers = getattr(consumer, "callbacks", None)
        if not handlers:
            return False
        handler = handlers[0]
    name = getattr(handler, "__qualname__", None)
    return name is not None and (getattr(handler, "__module__", None), name) in _KEEPERS


def _get(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def get(self: Any, *args: Any, **kwargs: Any) -> Any:
        started_ns = time.time_ns()
        message = original(self, *args, **kwargs)
        with survived("tracing a get"):
            held = _taken(message)
            if held is not None and held.record is not None:
                held.record.got(held.delivery, started_ns)
        return message

    return get


def _drain(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def drain_consumer(*args: Any, **kwargs: Any) -> Generator[Any]:
        messages = original(*args, **kwargs)
        try:
            for body, message in messages:
                held = token = None
                with survived("tracing a handling"):
                    held = _taken(message)
                    if held is not None and held.record is not None:
                        span = held.record.begin_handling(held.delivery)
                        token = attach(with_span(span, held.delivery.parent))
                try:
                    yield body, message
                finally:
                    with survived("ending a handling"):
                        if held is not None and held.record is not None:
                            held.record.end_handling(held.delivery)
                    if token is not None:
                        detach(token)
        finally:
            messages.close()

    return drain_consumer


def _taken(message: Any) -> Held | None:
    record = known(message.channel)
    return None if record is None else record.held.pop(message.delivery_tag, None)


def settled(held: Held) -> None:
    """A delivery was settled while it was held: what became of it is told here, unless whoever
    handles it tells."""
    if held.delivery.span is not None:
        return
    if held.left:
        _settled_elsewhere(held.delivery)
    elif not held.handed_over:
        unhandled(held.delivery)


def unhandled(delivery: Delivery) -> None:
    """Its consumer received and settled it, and nobody handled it: a message that could not be
    read, a task that is not known or was revoked."""
    attributes = facts_of(delivery, "receive", "receive")
    span = begun(delivery, attributes, SpanKind.CLIENT, delivery.received_ns)
    delivery.span = span
    span.end()


def begun(
    delivery: Delivery,
    attributes: dict[str, Any],
    kind: SpanKind,
    started_ns: int,
    *,
    linked: bool = True,
) -> Span:
    """A span about a delivery, in its message's trace."""
    publish = delivery.publish if linked else None
    return tracer("amqp").start_span(
        f"{attributes[c.MESSAGING_OPERATION_NAME]} {readable(attributes[c.QUEUE])}",
        context=delivery.context,
        kind=kind,
        attributes=attributes,
        links=[] if publish is None else [Link(publish)],
        start_time=started_ns,
    )


def _settled_elsewhere(delivery: Delivery) -> None:
    """The span of the handling is another process's, so that no link can name it: the collector
    finds the delivery by epoch, channel and tag."""
    facts = delivery.facts
    attributes = facts_of(delivery, "settle", facts[c.SETTLEMENT].partition("_")[0])
    for name in _OF_THE_MESSAGE:
        attributes.pop(name, None)
    begun(delivery, attributes, SpanKind.CLIENT, facts[c.SETTLED_UNIX_NANO], linked=False).end()


_OF_THE_MESSAGE: Final = (c.BODY, c.BODY_OMITTED, c.DEATH, c.MESSAGING_BODY_SIZE)
"""What the span of the handling tells, at some length."""


def facts_of(delivery: Delivery, operation: str, name: str) -> dict[str, Any]:
    """A span's attributes about a delivery."""
    facts = delivery.facts
    facts[c.MESSAGING_OPERATION_TYPE] = operation
    facts[c.MESSAGING_OPERATION_NAME] = name
    if "messaging.operation" in facts:  # the old name of it, where that is asked for
        facts["messaging.operation"] = operation
    return facts
