"""pika, by way of ``pika.channel.Channel``: every adapter, blocking and asynchronous, writes through
its ``_send_method`` and hears through its connection's callbacks and ``_on_deliver``.

``_send_method`` hands the frames to the transport without suspending, so taking ``n`` there numbers
publishes in the order in which they are written. What a publish came to is read from the frames that
answer it, the same for all adapters.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from pika import spec
from pika.callback import CallbackManager
from pika.channel import Channel

from strayline import census
from strayline.amqp import Arrival, Publish
from strayline.current import current, suppressed
from strayline.guard import survived
from strayline.patching import Patches
from strayline.shims.pika_blocking import mend_publishing, unmend_publishing, wrap_blocking
from strayline.shims.pika_topology import ANSWERS, CHANGES
from strayline.shims.pika_wire import Wire, text, wire_of

_patches: Final = Patches()


def on() -> None:
    """Instruments every channel, open ones too; consumers from their next ``basic_consume`` on."""
    _patches.wrap(Channel, "_send_method", _write)
    _patches.wrap(Channel, "_on_deliver", _deliver)
    _patches.wrap(Channel, "_on_getok", _got)
    _patches.wrap(Channel, "_on_return", _returned)
    _patches.wrap(Channel, "_transition_to_closed", _closed)
    _patches.wrap(CallbackManager, "process", _hear)
    wrap_blocking(_patches)
    census.start()


def off() -> None:
    _patches.undo()
    unmend_publishing()
    census.stop()


def _write(original: Callable[..., Any]) -> Callable[..., Any]:
    def _send_method(self: Any, method: Any, content: Any = None) -> Any:
        if content is not None:
            return _publish(original, self, method, content)
        noted = _WRITTEN.get(type(method))
        if noted is not None:
            with survived("tracing what pika writes"):
                noted(wire_of(self), method)
        try:
            return original(self, method, content)
        except BaseException:
            with survived("taking a settlement back"):
                if isinstance(method, _SETTLING):
                    wire_of(self).settle_failed(method.delivery_tag)
            raise

    return _send_method


_SETTLING: Final = (spec.Basic.Ack, spec.Basic.Nack, spec.Basic.Reject)


def _publish(original: Callable[..., Any], client: Any, method: Any, content: Any) -> Any:
    begun = None
    with survived("tracing a publish"):
        wire = wire_of(client)
        if wire.doubtful:
            wire.believe()
        properties, body = content
        sent = _copied(properties)
        sending = wire.publishing(_message(method, sent, body))
        sent.headers = sending.headers
        content = sent, body
        begun = wire.confirms, sending
    if begun is None:
        return original(client, method, content)
    confirms, sending = begun
    try:
        answer = original(client, method, content)
    except BaseException as error:
        with survived("ending a publish"):
            sending.ended("unknown", error)
        raise
    with survived("ending a publish"):
        if confirms:
            sending.awaits()
        else:
            sending.ended("unconfirmed")
    return answer


def _copied(properties: Any) -> Any:
    """The user's properties again; ``copy.copy`` takes three times as long."""
    made: Any = object.__new__(type(properties))
    made.__dict__.update(properties.__dict__)
    return made


def _message(method: Any, properties: Any, body: bytes) -> Publish:
    expiration = properties.expiration
    return Publish(
        exchange=text(method.exchange),
        routing_key=text(method.routing_key),
        body=body,
        headers=properties.headers or {},
        properties=properties,
        message_id=text(properties.message_id),
        correlation_id=text(properties.correlation_id),
        reply_to=text(properties.reply_to),
        type=text(properties.type),
        priority=properties.priority,
        expiration_ms=int(expiration) if expiration and expiration.isdigit() else None,
        mandatory=bool(method.mandatory),
        content_type=text(properties.content_type),
    )


def _ack(wire: Wire, method: Any) -> None:
    wire.settle(method.delivery_tag, "ack", bool(method.multiple))


def _nack(wire: Wire, method: Any) -> None:
    settlement = "nack_requeue" if method.requeue else "nack_drop"
    wire.settle(method.delivery_tag, settlement, bool(method.multiple))


def _reject(wire: Wire, method: Any) -> None:
    wire.settle(method.delivery_tag, "reject_requeue" if method.requeue else "reject_drop")


def _recover(wire: Wire, method: Any) -> None:
    if method.requeue:  # RabbitMQ knows no other
        wire.settle(0, "nack_requeue", multiple=True)


def _consume(wire: Wire, method: Any) -> None:
    wire.consumers[method.consumer_tag] = method.queue or wire.last_queue, bool(method.no_ack)


def _get(wire: Wire, method: Any) -> None:
    if not suppressed(current()):
        wire.getting = method.queue or wire.last_queue, bool(method.no_ack), time.time_ns()


def _confirm(wire: Wire, method: Any) -> None:
    # at the write: what follows is numbered, whether SelectOk came or not
    wire.confirms = True
    wire.confirm_selected()


def _transact(wire: Wire, method: Any) -> None:
    wire.tx_selected()


_WRITTEN: Final[dict[type, Callable[[Wire, Any], None]]] = {
    spec.Basic.Ack: _ack,
    spec.Basic.Nack: _nack,
    spec.Basic.Reject: _reject,
    spec.Basic.Recover: _recover,
    spec.Basic.Consume: _consume,
    spec.Basic.Get: _get,
    spec.Confirm.Select: _confirm,
    spec.Tx.Select: _transact,
    **dict.fromkeys(CHANGES, Wire.ask),
}


def _hear(original: Callable[..., Any]) -> Callable[..., Any]:
    def process(self: Any, prefix: Any, key: Any, caller: Any, *args: Any, **keywords: Any) -> Any:
        heard = _HEARD.get(type(key))
        if heard is not None:
            with survived("tracing what pika hears"):
                client = caller._channels.get(prefix)
                if client is not None:
                    heard(client, wire_of(client), key)
        return original(self, prefix, key, caller, *args, **keywords)

    return process


def _opened(client: Any, wire: Wire, method: Any) -> None:
    mend_publishing(client)


def _acked(client: Any, wire: Wire, method: Any) -> None:
    wire.confirmed(method.delivery_tag, bool(method.multiple))


def _nacked(client: Any, wire: Wire, method: Any) -> None:
    wire.confirmed(method.delivery_tag, bool(method.multiple), nack=True)


def _committed(client: Any, wire: Wire, method: Any) -> None:
    wire.tx_committed()
    wire.agree()


def _rolled_back(client: Any, wire: Wire, method: Any) -> None:
    wire.tx_rolled_back()
    wire.agree()


def _cancelled(client: Any, wire: Wire, method: Any) -> None:
    wire.consumers.pop(method.consumer_tag, None)


def _answered(client: Any, wire: Wire, method: Any) -> None:
    wire.answer(method)


def _agreed(client: Any, wire: Wire, method: Any) -> None:
    wire.agree()


_HEARD: Final[dict[type, Callable[[Any, Wire, Any], None]]] = {
    spec.Channel.OpenOk: _opened,
    spec.Basic.Ack: _acked,
    spec.Basic.Nack: _nacked,
    spec.Tx.CommitOk: _committed,
    spec.Tx.RollbackOk: _rolled_back,
    spec.Basic.Cancel: _cancelled,
    spec.Basic.CancelOk: _cancelled,
    **dict.fromkeys(
        (
            spec.Basic.ConsumeOk,
            spec.Basic.QosOk,
            spec.Basic.RecoverOk,
            spec.Channel.CloseOk,
            spec.Confirm.SelectOk,
            spec.Queue.PurgeOk,
            spec.Tx.SelectOk,
        ),
        _agreed,
    ),
    **dict.fromkeys(ANSWERS, _answered),
}


def _deliver(original: Callable[..., Any]) -> Callable[..., Any]:
    def _on_deliver(self: Any, method_frame: Any, header_frame: Any, body: bytes) -> Any:
        handled = None
        with survived("tracing a delivery"):
            wire, method = wire_of(self), method_frame.method
            consumer = wire.consumers.get(method.consumer_tag)
            if consumer is not None:
                delivery = wire.received(_arrival(method, header_frame.properties, body, *consumer))
                # a BlockingChannel handles it later; what comes after a cancel goes back
                if self._cookie is None and method.consumer_tag not in self._cancelled:
                    handled = wire, delivery
        if handled is None:
            return original(self, method_frame, header_frame, body)
        wire, delivery = handled
        return wire.handle(delivery, original, self, method_frame, header_frame, body)

    return _on_deliver


def _got(original: Callable[..., Any]) -> Callable[..., Any]:
    def _on_getok(self: Any, method_frame: Any, header_frame: Any, body: bytes) -> Any:
        with survived("tracing a get"):
            wire = wire_of(self)
            asked, wire.getting = wire.getting, None
            if asked is not None:
                queue, no_ack, started_ns = asked
                arrival = _arrival(
                    method_frame.method, header_frame.properties, body, queue, no_ack
                )
                wire.got(wire.received(arrival), started_ns)
        return original(self, method_frame, header_frame, body)

    return _on_getok


def _arrival(method: Any, properties: Any, body: bytes, queue: str, no_ack: bool) -> Arrival:
    return Arrival(
        queue=queue,
        exchange=text(method.exchange),
        routing_key=text(method.routing_key),
        headers=properties.headers or {},
        delivery_tag=method.delivery_tag,
        consumer_tag=getattr(method, "consumer_tag", None),
        redelivered=method.redelivered,
        no_ack=no_ack,
        body=body,
        message_id=text(properties.message_id),
        correlation_id=text(properties.correlation_id),
        priority=properties.priority,
        content_type=text(properties.content_type),
    )


def _returned(original: Callable[..., Any]) -> Callable[..., Any]:
    def _on_return(self: Any, method_frame: Any, header_frame: Any, body: bytes) -> Any:
        with survived("tracing a return"):
            method = method_frame.method
            wire_of(self).returned(
                header_frame.properties.headers,
                method.reply_text,
                text(method.exchange) or "",
                text(method.routing_key) or "",
            )
        return original(self, method_frame, header_frame, body)

    return _on_return


def _closed(original: Callable[..., Any]) -> Callable[..., Any]:
    def _transition_to_closed(self: Any) -> Any:
        with survived("tracing the end of a channel"):
            wire_of(self).closed()
        return original(self)

    return _transition_to_closed
