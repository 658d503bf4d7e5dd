"""aio-pika, by way of aiormq: one place that callbacks, iterators, ``get``, RPC, Master,
transactions, FastStream and robust reconnects all pass.

aiormq queues a publish behind a first-come-first-served lock that it reaches without suspending,
so taking ``n`` on entry numbers publishes in the order in which they are written.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import importlib
import inspect
import time
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

import aiormq
import aiormq.exceptions
from opentelemetry import context, trace

from strayline import census
from strayline.amqp import Arrival, Broker, Channel, Delivery, Publish
from strayline.guard import survived
from strayline.patching import Patches
from strayline.shims.aio_pika_topology import wrap_topology

try:
    from aio_pika.queue import QueueIterator

    # its iterator has to be a known subclass before patching
    importlib.import_module("aio_pika.robust_queue")
    from aio_pika.queue import consumer as _consumer
except ImportError:  # bare aiormq
    QueueIterator = _consumer = None

_patches: Final = Patches()
_arriving: Final[ContextVar[Delivery | None]] = ContextVar("strayline_arriving", default=None)
_STATE: Final = "_strayline_channel"
_PLACE: Final = "_strayline_place"


def on() -> None:
    """Instruments every channel, open ones too."""
    _patches.wrap(aiormq.Channel, "basic_publish", _publish)
    _patches.wrap(aiormq.Channel, "basic_consume", _consume)
    _patches.wrap(aiormq.Channel, "basic_get", _get)
    _patches.wrap(aiormq.Channel, "basic_ack", lambda original: _settle(original, "ack"))
    _patches.wrap(aiormq.Channel, "basic_nack", lambda original: _settle(original, "nack"))
    _patches.wrap(aiormq.Channel, "basic_reject", lambda original: _settle(original, "reject"))
    wrap_topology(_patches, channel_of)
    if QueueIterator is not None:
        # aio-pika 10's robust iterator has a ``__anext__`` of its own
        for iterator in (QueueIterator, *QueueIterator.__subclasses__()):
            _patches.wrap(iterator, "__anext__", _next)
            _patches.wrap(iterator, "close", _close)
    census.start()


def off() -> None:
    _patches.undo()
    census.stop()


def channel_of(client: Any) -> Channel:
    """Our record of a channel object, made when first met."""
    found: Channel | None = vars(client).get(_STATE)
    if found is None:
        connection = client.connection
        properties = getattr(connection, "server_properties", None) or {}
        name = properties.get("cluster_name")
        url = getattr(connection, "url", None)
        tuned = getattr(connection, "connection_tune", None)
        found = Channel(
            Broker(
                name=name.decode("utf-8", "replace") if isinstance(name, bytes) else name,
                vhost=getattr(connection, "vhost", None),
                host=getattr(url, "host", None),
                port=getattr(url, "port", None),
                frame_max=getattr(tuned, "frame_max", None) or 131_072,
            )
        )
        setattr(client, _STATE, found)
    return found


def _publish(original: Callable[..., Any]) -> Callable[..., Any]:
    async def basic_publish(self: Any, body: bytes, **kwargs: Any) -> Any:
        begun = None
        with survived("tracing a publish"):
            properties = kwargs.get("properties")
            properties = (
                copy.copy(properties)
                if properties is not None
                else aiormq.spec.Basic.Properties(delivery_mode=1)
            )
            sending = channel_of(self).publishing(_message(body, properties, kwargs))
            properties.headers = sending.headers
            begun = sending, {**kwargs, "properties": properties}
        if begun is None:
            return await original(self, body, **kwargs)
        sending, changed = begun
        outcome, failure = "unknown", None
        try:
            answer = await original(self, body, **changed)
            outcome = _outcome(answer)
        except aiormq.exceptions.PublishError as error:
            outcome, failure = "returned", error
            raise
        except aiormq.exceptions.DeliveryError as error:
            outcome, failure = "nacked", error
            raise
        except BaseException as error:
            failure = error
            raise
        else:
            return answer
        finally:
            with survived("ending a publish"):
                sending.ended(outcome, failure, changed["properties"].message_id)

    return basic_publish


def _message(body: bytes, properties: Any, kwargs: dict[str, Any]) -> Publish:
    expiration = properties.expiration
    return Publish(
        exchange=kwargs.get("exchange") or "",
        routing_key=kwargs.get("routing_key") or "",
        body=body,
        properties=properties,
        headers=properties.headers or {},
        message_id=properties.message_id,
        correlation_id=properties.correlation_id,
        reply_to=properties.reply_to,
        type=properties.message_type,
        priority=properties.priority,
        expiration_ms=int(expiration)
        if isinstance(expiration, str) and expiration.isdigit()
        else None,
        mandatory=bool(kwargs.get("mandatory")),
    )


def _outcome(answer: Any) -> str:
    if answer is None:
        return "unconfirmed"
    if isinstance(answer, aiormq.spec.Basic.Ack):
        return "confirmed"
    if isinstance(answer, aiormq.spec.Basic.Nack | aiormq.spec.Basic.Reject):
        return "nacked"
    return "returned" if hasattr(answer, "delivery") else "unknown"


def _consume(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def basic_consume(
        self: Any, queue: str, consumer_callback: Any, *args: Any, **kwargs: Any
    ) -> Any:
        name = queue or channel_of(self).last_queue
        no_ack = bool(kwargs.get("no_ack"))
        iterated = _feeds_iterator(consumer_callback)
        later, callback = _handling_in_task(self, consumer_callback)

        async def observed(message: Any) -> Any:
            delivery = None
            with survived("tracing a delivery"):
                delivery = channel_of(self).received(_arrival(message, name, no_ack=no_ack))
            if delivery is None or iterated:
                return await _called(consumer_callback, message)
            if later:
                _arriving.set(delivery)
                return await _called(callback, message)
            with channel_of(self).handling(delivery):
                return await _called(consumer_callback, message)

        return await original(self, queue, observed, *args, **kwargs)

    return basic_consume


def _handling_in_task(client: Any, callback: Any) -> tuple[bool, Any]:
    """aio-pika runs a handler in a task of its own, a turn of the loop (some 70 µs) after the
    delivery: its span must begin there, or it would seem to begin before the message ahead of it
    was acked. Returns whether that is so, and the callback with the handler observed."""
    if (
        not isinstance(callback, functools.partial)
        or callback.func is not _consumer
        or not callback.args
    ):
        return False, callback
    handler = callback.args[0]

    async def handled(message: Any) -> Any:
        delivery = _arriving.get()
        if delivery is None or delivery.span is not None:
            return await _called(handler, message)
        with channel_of(client).handling(delivery):
            return await _called(handler, message)

    return True, functools.partial(callback.func, handled, *callback.args[1:], **callback.keywords)


async def _called(callback: Callable[..., Any], message: Any) -> Any:
    result = callback(message)
    return await result if inspect.isawaitable(result) else result


def _feeds_iterator(callback: Any) -> bool:
    """Whether deliveries go into a ``QueueIterator``'s buffer, to be handled later."""
    if QueueIterator is None:
        return False
    while isinstance(callback, functools.partial):
        callback = callback.args[0] if callback.args else callback.func
    return isinstance(getattr(callback, "__self__", None), QueueIterator)


def _arrival(message: Any, queue: str, *, no_ack: bool) -> Arrival:
    properties = message.header.properties
    return Arrival(
        queue=queue,
        exchange=message.exchange or "",
        routing_key=message.routing_key or "",
        headers=properties.headers or {},
        delivery_tag=message.delivery_tag,
        consumer_tag=message.consumer_tag,
        redelivered=message.redelivered,
        no_ack=no_ack,
        body=message.body or b"",
        message_id=properties.message_id,
        correlation_id=properties.correlation_id,
        priority=properties.priority,
    )


def _get(original: Callable[..., Any]) -> Callable[..., Any]:
    async def basic_get(self: Any, queue: str = "", no_ack: bool = False, **kwargs: Any) -> Any:
        started_ns = time.time_ns()
        message = await original(self, queue, no_ack, **kwargs)
        with survived("tracing a get"):
            if message is not None and message.delivery_tag is not None:
                channel = channel_of(self)
                channel.got(channel.received(_arrival(message, queue, no_ack=no_ack)), started_ns)
        return message

    return basic_get


def _settle(original: Callable[..., Any], verb: str) -> Callable[..., Any]:
    signature = inspect.signature(original)

    @functools.wraps(original)
    async def settle(self: Any, delivery_tag: int, *args: Any, **kwargs: Any) -> Any:
        with survived(f"tracing a {verb}"):
            given = signature.bind(self, delivery_tag, *args, **kwargs).arguments
            settlement = verb
            if verb != "ack":
                settlement = f"{verb}_requeue" if given.get("requeue", True) else f"{verb}_drop"
            channel_of(self).settle(delivery_tag, settlement, multiple=bool(given.get("multiple")))
        return await original(self, delivery_tag, *args, **kwargs)

    return settle


class _Place:
    """What each task that reads an iterator is handling."""

    def __init__(self) -> None:
        self.by_task: weakref.WeakKeyDictionary[Any, tuple[Channel, Delivery, Any]] = (
            weakref.WeakKeyDictionary()
        )


def _next(original: Callable[..., Any]) -> Callable[..., Any]:
    async def next_message(self: Any) -> Any:
        with survived("ending a handling"):
            _leave(self, asyncio.current_task())
        message = await original(self)
        with survived("tracing a handling"):
            channel = channel_of(message.channel)
            delivery = channel.deliveries.get(message.delivery_tag)
            if delivery is not None and delivery.span is None:
                span = channel.begin_handling(delivery)
                token = context.attach(trace.set_span_in_context(span, delivery.parent))
                _place(self).by_task[asyncio.current_task()] = channel, delivery, token
        return message

    return next_message


def _close(original: Callable[..., Any]) -> Callable[..., Any]:
    async def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        with survived("ending a handling"):
            for task in list(_place(self).by_task):
                _leave(self, task)
        return await original(self, *args, **kwargs)

    return close


def _place(iterator: Any) -> _Place:
    found: _Place | None = vars(iterator).get(_PLACE)
    if found is None:
        found = _Place()
        setattr(iterator, _PLACE, found)
    return found


def _leave(iterator: Any, task: Any) -> None:
    """Ends what ``task`` was handling; only the task itself can leave its context."""
    handled = _place(iterator).by_task.pop(task, None)
    if handled is not None:
        channel, delivery, token = handled
        channel.end_handling(delivery)
        if task is asyncio.current_task():
            context.detach(token)
