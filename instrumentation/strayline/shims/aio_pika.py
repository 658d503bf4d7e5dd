"""aio-pika, by way of aiormq: one place that callbacks, iterators, ``get``, RPC, Master,
transactions, FastStream and robust reconnects all pass.

aiormq queues a publish behind a first-come-first-served lock that it reaches without suspending,
so taking ``n`` on entry numbers publishes in the order in which they are written. (aiormq 6 with a
publish timeout on Python 3.11 is the exception: it enters the lock by way of a task.)
"""

from __future__ import annotations

import functools
import operator
import time
from collections.abc import Callable
from typing import Any, Final

import aiormq
import aiormq.exceptions

from strayline import census
from strayline.amqp import Publish
from strayline.current import current, suppressed
from strayline.guard import survived, swallowed
from strayline.imports import Watch, when_imported
from strayline.patching import Patches
from strayline.shims import aio_pika_consume as consuming
from strayline.shims.aio_pika_channel import STATE, arrival, channel_of
from strayline.shims.aio_pika_topology import wrap_topology

_Basic: Final[Any] = aiormq.spec.Basic
_values_of: Final = operator.attrgetter(
    "content_type", "content_encoding", "headers", "delivery_mode", "priority", "correlation_id",
    "reply_to", "expiration", "message_id", "timestamp", "message_type", "user_id", "app_id",
    "cluster_id",
)  # fmt: skip
"""AMQP's basic properties; 0-9-1 will have no more."""
_patches: Final = Patches()
_watches: Final[list[Watch]] = []


def on() -> None:
    """Instruments every channel, open ones too."""
    _patches.wrap(aiormq.Channel, "basic_publish", _publish)
    _patches.wrap(aiormq.Channel, "basic_consume", consuming.wrap)
    _patches.wrap(aiormq.Channel, "basic_get", _get)
    _patches.wrap(aiormq.Channel, "basic_ack", _ack)
    _patches.wrap(aiormq.Channel, "basic_nack", _nack)
    _patches.wrap(aiormq.Channel, "basic_reject", _reject)
    _patches.wrap(aiormq.Channel, "basic_recover", _recover)
    _patches.wrap(aiormq.Channel, "_on_return_frame", _returned)
    for name, told in (
        ("tx_select", "tx_selected"),
        ("tx_commit", "tx_committed"),
        ("tx_rollback", "tx_rolled_back"),
    ):
        _patches.wrap(aiormq.Channel, name, functools.partial(_agreed, told))
    wrap_topology(_patches, channel_of)
    consuming.switch(True)
    # a service of bare aiormq may import these later, or never
    _watches.append(when_imported(("aio_pika",), _wrap_loops))
    _watches.append(when_imported(("faststream.rabbit",), _wrap_subscribers))
    census.start()


def off() -> None:
    while _watches:
        _watches.pop().cancel()
    consuming.switch(False)
    _patches.undo()
    census.stop()


def _wrap_loops() -> None:
    from strayline.shims.aio_pika_iterator import wrap_loops

    wrap_loops(_patches)


def _wrap_subscribers() -> None:
    from strayline.shims.aio_pika_faststream import wrap_subscribers

    wrap_subscribers(_patches)


def _publish(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def basic_publish(
        self: Any,
        body: bytes,
        *,
        exchange: str = "",
        routing_key: str = "",
        properties: Any = None,
        mandatory: bool = False,
        **rest: Any,
    ) -> Any:
        given = sent = properties
        sending = named = None
        try:
            channel = self.__dict__.get(STATE) or channel_of(self)
            sent = _Basic.Properties(delivery_mode=1) if given is None else _copied(given)
            sending = channel.publishing(
                _message(exchange or "", routing_key or "", body, sent, given, bool(mandatory))
            )
            if sending.headers or sent.headers is not None:
                sent.headers = sending.headers
            named = sent.message_id
        except Exception as error:
            swallowed("tracing a publish", error)
        if sending is None:
            return await original(
                self, body, exchange=exchange, routing_key=routing_key, properties=given,
                mandatory=mandatory, **rest,
            )  # fmt: skip
        try:
            answer = await original(
                self, body, exchange=exchange, routing_key=routing_key, properties=sent,
                mandatory=mandatory, **rest,
            )  # fmt: skip
        except BaseException as error:
            with survived("ending a publish"):
                sending.ended(_failure(error), error, None if named else sent.message_id)
            raise
        try:
            sending.ended(_outcome(answer), None, None if named else sent.message_id)
            if given is not None and not named:  # aiormq names the message on the user's object
                given.message_id = sent.message_id
        except Exception as error:
            swallowed("ending a publish", error)
        return answer

    return basic_publish


def _copied(properties: Any) -> Any:
    """The user's properties are not ours to write to. A tenth of what ``copy.copy`` takes."""
    c = object.__new__(type(properties))
    (
        c.content_type, c.content_encoding, c.headers, c.delivery_mode, c.priority, c.correlation_id,
        c.reply_to, c.expiration, c.message_id, c.timestamp, c.message_type, c.user_id, c.app_id,
        c.cluster_id,
    ) = _values_of(properties)  # fmt: skip
    return c


def _message(
    exchange: str, routing_key: str, body: bytes, properties: Any, given: Any, mandatory: bool
) -> Publish:
    expiration = properties.expiration
    return Publish(
        exchange,
        routing_key,
        body,
        properties.headers or {},
        given,
        properties.message_id,
        properties.correlation_id,
        properties.reply_to,
        properties.message_type,
        properties.priority,
        int(expiration) if isinstance(expiration, str) and expiration.isdigit() else None,
        mandatory,
        properties.content_type,
    )


def _outcome(answer: Any) -> str:
    if type(answer) is _Basic.Ack:
        return "confirmed"
    if answer is None:
        return "unconfirmed"
    if isinstance(answer, _Basic.Nack | _Basic.Reject):
        return "nacked"
    return "returned" if hasattr(answer, "delivery") else "unknown"


def _failure(error: BaseException) -> str:
    if isinstance(error, aiormq.exceptions.PublishError):
        return "returned"
    return "nacked" if isinstance(error, aiormq.exceptions.DeliveryError) else "unknown"


def _returned(original: Callable[..., Any]) -> Callable[..., Any]:
    """With confirms the call itself learns of a return; without, only the channel's reader does."""

    @functools.wraps(original)
    async def on_return_frame(self: Any, frame: Any) -> Any:
        if self.publisher_confirms:
            return await original(self, frame)
        read = self._read_content

        async def observed(frame: Any, header: Any) -> Any:
            message = await read(frame, header)
            with survived("tracing a return"):
                table = message.header.properties.headers
                channel_of(self).returned(
                    table or {},
                    frame.reply_text or "",
                    frame.exchange or "",
                    frame.routing_key or "",
                )
            return message

        self._read_content = observed  # for this one frame; one task reads a channel
        try:
            return await original(self, frame)
        finally:
            del self._read_content

    return on_return_frame


def _get(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def basic_get(
        self: Any, queue: str = "", no_ack: bool = False, *args: Any, **kwargs: Any
    ) -> Any:
        started_ns = time.time_ns()
        message = await original(self, queue, no_ack, *args, **kwargs)
        with survived("tracing a get"):
            if (
                message is not None
                and message.delivery_tag is not None
                and not suppressed(current())
            ):
                channel = channel_of(self)
                name = queue or channel.last_queue
                channel.got(channel.received(arrival(message, name, no_ack)), started_ns)
        return message

    return basic_get


def _ack(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def basic_ack(
        self: Any, delivery_tag: int, multiple: bool = False, *args: Any, **kwargs: Any
    ) -> Any:
        try:
            channel_of(self).settle(delivery_tag, "ack", multiple)
        except Exception as error:
            swallowed("tracing an ack", error)
        try:
            return await original(self, delivery_tag, multiple, *args, **kwargs)
        except BaseException:
            _failed(self, delivery_tag)
            raise

    return basic_ack


def _nack(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def basic_nack(
        self: Any,
        delivery_tag: int,
        multiple: bool = False,
        requeue: bool = True,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        with survived("tracing a nack"):
            settlement = "nack_requeue" if requeue else "nack_drop"
            channel_of(self).settle(delivery_tag, settlement, multiple)
        try:
            return await original(self, delivery_tag, multiple, requeue, *args, **kwargs)
        except BaseException:
            _failed(self, delivery_tag)
            raise

    return basic_nack


def _reject(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def basic_reject(
        self: Any, delivery_tag: int, *, requeue: bool = True, **kwargs: Any
    ) -> Any:
        with survived("tracing a reject"):
            settlement = "reject_requeue" if requeue else "reject_drop"
            channel_of(self).settle(delivery_tag, settlement)
        try:
            return await original(self, delivery_tag, requeue=requeue, **kwargs)
        except BaseException:
            _failed(self, delivery_tag)
            raise

    return basic_reject


def _recover(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def basic_recover(self: Any, *args: Any, requeue: bool = False, **kwargs: Any) -> Any:
        with survived("tracing a recover"):
            if requeue:  # RabbitMQ knows no other
                channel_of(self).settle(0, "nack_requeue", multiple=True)
        return await original(self, *args, requeue=requeue, **kwargs)

    return basic_recover


def _failed(client: Any, tag: int) -> None:
    with survived("tracing a settlement that failed"):
        channel_of(client).settle_failed(tag)


def _agreed(told: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """A method of transactions: ours is told once the broker agreed."""

    @functools.wraps(original)
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = await original(self, *args, **kwargs)
        with survived("tracing a transaction"):
            getattr(channel_of(self), told)()
        return answer

    return method
