"""The handling of several messages at once: one span with a link to each.

No client library says where a batch's handling begins, so the application does. The deliveries
themselves are told one by one, where they came in and were settled; the span says so with
``strayline.batch``, and no reader counts it as a delivery of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final, cast

from opentelemetry.trace import Link, Span, SpanKind

from strayline import conventions as c
from strayline import redact
from strayline.amqp import headers
from strayline.current import attach, current, detach, with_span
from strayline.failure import failed
from strayline.guard import log, survived
from strayline.provider import tracer

STATE: Final = "_strayline_channel"


class Batch:
    """``with strayline.batch(messages): …``"""

    def __init__(self, messages: Iterable[Any]) -> None:
        self._messages = messages
        self._span: Span | None = None
        self._token: Any = None

    def __enter__(self) -> None:
        with survived("tracing a batch"):
            messages = _told(self._messages)
            queues = {queue for message in messages if (queue := _queue_of(message))}
            attributes: dict[str, Any] = {
                c.MESSAGING_SYSTEM: "rabbitmq",
                c.MESSAGING_OPERATION_TYPE: "process",
                c.MESSAGING_OPERATION_NAME: "process",
                c.MESSAGING_BATCH_COUNT: len(messages),
                c.BATCH: True,
            }
            name = "process"
            if len(queues) == 1:
                (queue,) = queues
                name = f"process {headers.readable(queue)}"
                attributes[c.QUEUE] = attributes[c.MESSAGING_DESTINATION_NAME] = queue
            self._span = span = tracer("amqp").start_span(
                name,
                kind=SpanKind.CONSUMER,
                attributes=redact.attributes(attributes),
                links=_links(messages),
            )
            self._token = attach(with_span(span, current()))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            detach(self._token)
        span = self._span
        if span is None:
            return
        with survived("ending a batch"):
            if error is not None:
                failed(span, error)
            span.end()


def _told(messages: Iterable[Any]) -> list[Any]:
    """The messages, where looking at them does not take them from the application."""
    if iter(messages) is messages:
        log.warning(
            "strayline.batch() was given an iterator, which can be read once only, by the "
            "application; give it a list for links to the messages"
        )
        return []
    return list(messages)


def _links(messages: list[Any]) -> list[Link]:
    found: list[Link] = []
    for message in messages:
        table = _headers_of(message)
        publish = headers.told_by(table)[0] if table else None
        if publish is not None:
            stamp = table.get(c.STAMP_HEADER) if table else None
            found.append(Link(publish, {c.STAMP: stamp} if isinstance(stamp, str) else None))
    return found


def _headers_of(message: Any) -> Mapping[str, Any] | None:
    """The header table of what a client library calls a message: an object with ``headers`` (aio-pika,
    kombu), with ``properties`` (pika's own, py-amqp), with a ``header`` frame (aiormq), or pika's
    triple of method, properties and body."""
    if isinstance(message, tuple):
        for part in cast("tuple[Any, ...]", message):
            found = _headers_of(part)
            if found is not None:
                return found
        return None
    properties: Any = getattr(message, "properties", None)
    if isinstance(properties, Mapping):  # py-amqp
        found = cast("Mapping[str, Any]", properties).get("application_headers")
    else:
        frame = getattr(getattr(message, "header", None), "properties", None)
        found = getattr(properties if properties is not None else frame or message, "headers", None)
    if not isinstance(found, Mapping):
        found = getattr(message, "headers", None)
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else None


def _queue_of(message: Any) -> str | None:
    """The queue that a message came from, where our record of its channel knows."""
    parts = cast("tuple[Any, ...]", message) if isinstance(message, tuple) else (message,)
    for part in parts:
        state = getattr(getattr(part, "channel", None), "__dict__", {}).get(STATE)
        delivery = getattr(state, "deliveries", {}).get(getattr(part, "delivery_tag", None))
        if delivery is not None:
            return delivery.common.queue
    return None
