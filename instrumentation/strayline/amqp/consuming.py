"""The consuming side of a channel: deliveries, their handling, their settlement."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Final

from opentelemetry import context, trace
from opentelemetry.trace import Link, Span, SpanKind, StatusCode

from strayline import conventions as c
from strayline.amqp import bodies, headers
from strayline.amqp.base import ChannelBase
from strayline.amqp.facts import Arrival, Broker
from strayline.propagation import remote_parent
from strayline.provider import tracer
from strayline.settings import dup
from strayline.stamp import parse, stamper

MAX_DELIVERIES: Final = 65_536
"""AMQP's own bound on a prefetch count. Whoever neither limits nor acks is not followed further."""


class Delivery:
    """A delivery until it is settled and its handling has ended. ``span`` is that of its handling
    or of the ``basic.get`` that brought it, None before."""

    __slots__ = ("attributes", "parent", "received_ns", "settled", "span", "tag")

    def __init__(
        self, attributes: dict[str, Any], parent: context.Context, tag: int | None, received_ns: int
    ) -> None:
        self.attributes = attributes
        self.parent = parent
        self.tag = tag
        self.received_ns = received_ns
        self.settled = False
        self.span: Span | None = None

    @property
    def open(self) -> bool:
        return self.span is not None and self.span.is_recording()


class Consuming(ChannelBase):
    """A channel's deliveries."""

    def __init__(self, broker: Broker) -> None:
        self.highest_tag = 0
        self.queues: set[str] = set()
        self.deliveries: dict[int, Delivery] = {}
        self._commons: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._uncommitted: list[tuple[int, str, bool, int]] = []
        super().__init__(broker)

    def _begin(self) -> None:
        super()._begin()
        self.highest_tag = 0
        self._commons.clear()
        self.deliveries = {}  # a forked parent's

    def received(self, arrival: Arrival) -> Delivery:
        """Takes note of a delivery at the moment the client library has it."""
        if self.epoch is not stamper.epoch:
            self._begin()
        received_ns = time.time_ns()
        queue, table, tag = arrival.queue, arrival.headers, arrival.delivery_tag
        common = self._commons.get((queue, arrival.exchange, arrival.routing_key))
        if common is None:
            common = self._common_for(queue, arrival.exchange, arrival.routing_key)
        attributes = common.copy()
        attributes[c.MESSAGING_BODY_SIZE] = len(arrival.body)
        attributes[c.RECEIVED_UNIX_NANO] = received_ns
        if tag is not None:
            attributes[c.MESSAGING_DELIVERY_TAG] = tag
        if arrival.consumer_tag:
            attributes[c.CONSUMER_TAG] = arrival.consumer_tag
        if arrival.redelivered is not None:
            attributes[c.REDELIVERED] = arrival.redelivered
        if arrival.priority is not None:
            attributes[c.PRIORITY] = arrival.priority
        if arrival.message_id:
            attributes[c.MESSAGING_MESSAGE_ID] = arrival.message_id
        if arrival.correlation_id:
            attributes[c.MESSAGING_CONVERSATION_ID] = arrival.correlation_id
        if table:
            self._read(attributes, table)
        bodies.capture(attributes, arrival.body)
        parent = headers.context_of(table) if table else context.Context()
        delivery = Delivery(attributes, parent, tag, received_ns)
        if arrival.no_ack:
            attributes[c.SETTLEMENT] = "auto"
            attributes[c.SETTLED_UNIX_NANO] = received_ns
            delivery.settled = True
        if tag is not None:
            if tag > self.highest_tag:
                self.highest_tag = tag
            if len(self.deliveries) >= MAX_DELIVERIES:
                self.deliveries.pop(next(iter(self.deliveries)), None)
            self.deliveries[tag] = delivery
        self.queues.add(queue)
        return delivery

    def begin_handling(self, delivery: Delivery) -> Span:
        """The span of the handling: child of the publish, and linked to it."""
        attributes = delivery.attributes
        delivery.span = span = tracer("amqp").start_span(
            f"process {headers.readable(attributes[c.QUEUE])}",
            context=delivery.parent,
            kind=SpanKind.CONSUMER,
            attributes=_told(attributes, _PROCESS),
            links=_links(delivery.parent),
        )
        return span

    def adopt_handling(self, delivery: Delivery, span: Span) -> None:
        """Another instrumentation's CONSUMER span is this delivery's handling: it tells our facts
        too, and ends when its maker ends it."""
        delivery.span = span
        span.set_attributes(_told(delivery.attributes, _PROCESS))

    def end_handling(self, delivery: Delivery, error: BaseException | None = None) -> None:
        """Ends the span. Idempotent."""
        span = delivery.span
        if span is not None and span.is_recording():
            if error is not None:
                span.set_attribute(c.ERROR_TYPE, type(error).__qualname__)
                if isinstance(error, Exception):
                    span.record_exception(error)
                span.set_status(StatusCode.ERROR, str(error))
            span.end()
        if delivery.settled and delivery.tag is not None:
            self.deliveries.pop(delivery.tag, None)

    def handling(self, delivery: Delivery) -> Handling:
        """``with channel.handling(delivery): …`` – current span and end around a handler."""
        return Handling(self, delivery)

    def got(self, delivery: Delivery, started_ns: int) -> None:
        """The span of a ``basic.get`` that returned a message; handling has no span of its own."""
        attributes = delivery.attributes
        delivery.span = tracer("amqp").start_span(
            f"get {headers.readable(attributes[c.QUEUE])}",
            kind=SpanKind.CLIENT,
            attributes=_told(attributes, _GET),
            links=_links(delivery.parent),
            start_time=started_ns,
        )
        delivery.span.end()
        if delivery.settled and delivery.tag is not None:
            self.deliveries.pop(delivery.tag, None)

    def settle(self, tag: int, settlement: str, multiple: bool = False) -> None:
        """An ack, nack or reject that is being sent: ``ack nack_requeue nack_drop reject_requeue
        reject_drop``. ``multiple`` settles every tag up to ``tag``, 0 all. Inside its handling the
        span tells it; afterwards a span of its own. In a transaction it holds once committed."""
        now = time.time_ns()
        if self.in_transaction:
            self._uncommitted.append((tag, settlement, multiple, now))
        else:
            self._settle(tag, settlement, multiple, now)

    def settle_failed(self, tag: int) -> None:
        """The client could not send it: the broker will deliver again. Of an ended handling
        nothing can be taken back."""
        delivery = self.deliveries.get(tag)
        if (
            delivery is not None
            and delivery.settled
            and delivery.open
            and delivery.span is not None
        ):
            delivery.settled = False
            delivery.span.set_attribute(c.SETTLEMENT, "none")

    def _settle(self, tag: int, settlement: str, multiple: bool, now: int) -> None:
        late: list[Delivery] = []
        for each in self._tags(tag) if multiple else (tag,):
            delivery = self.deliveries.get(each)
            if delivery is None or delivery.settled:
                continue
            delivery.settled = True
            span = delivery.span
            if span is not None and span.is_recording():
                span.set_attribute(c.SETTLEMENT, settlement)
                span.set_attribute(c.SETTLED_UNIX_NANO, now)
                continue
            self.deliveries.pop(each, None)
            if span is not None:
                late.append(delivery)
            else:  # settled unhandled; whoever still begins to handle it tells
                delivery.attributes[c.SETTLEMENT] = settlement
                delivery.attributes[c.SETTLED_UNIX_NANO] = now
        if late:
            self._settle_span(late, tag, settlement, now)

    def _end_settlements(self, *, committed: bool) -> None:
        ended, self._uncommitted = self._uncommitted, []
        if committed:
            for tag, settlement, multiple, now in ended:
                self._settle(tag, settlement, multiple, now)

    def _settle_span(self, late: list[Delivery], tag: int, settlement: str, now: int) -> None:
        operation = settlement.partition("_")[0]
        first = late[0].attributes
        attributes: dict[str, Any] = {
            **self.common,
            c.MESSAGING_OPERATION_TYPE: "settle",
            c.MESSAGING_OPERATION_NAME: operation,
            c.MESSAGING_DESTINATION_NAME: first[c.MESSAGING_DESTINATION_NAME],
            c.MESSAGING_DELIVERY_TAG: tag,
            c.QUEUE: first[c.QUEUE],
            c.SETTLEMENT: settlement,
            c.SETTLED_UNIX_NANO: now,
        }
        if c.MESSAGING_ROUTING_KEY in first:
            attributes[c.MESSAGING_ROUTING_KEY] = first[c.MESSAGING_ROUTING_KEY]
        if len(late) > 1:
            attributes[c.MESSAGING_BATCH_COUNT] = len(late)
        tracer("amqp").start_span(
            f"{operation} {headers.readable(first[c.QUEUE])}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            links=[Link(d.span.get_span_context()) for d in late if d.span is not None],
            start_time=now,
        ).end()

    def _tags(self, tag: int) -> list[int]:
        return sorted(each for each in self.deliveries if tag == 0 or each <= tag)

    def _read(self, attributes: dict[str, Any], table: Any) -> None:
        """What the header table tells of the message."""
        stamp = table.get(c.STAMP_HEADER)
        if stamp is not None:
            parsed = parse(stamp)
            if parsed is not None:
                attributes[c.STAMP] = str(parsed)
        if "x-death" in table:
            dead = headers.deaths(table["x-death"])
            if dead:
                attributes[c.DEATH] = dead
        if "x-delivery-count" in table:
            count = headers.whole(table["x-delivery-count"])
            if count is not None:
                attributes[c.DELIVERY_COUNT] = count

    def _common_for(self, queue: str, exchange: str, routing_key: str) -> dict[str, Any]:
        common: dict[str, Any] = {
            **self.common,
            c.MESSAGING_DESTINATION_NAME: headers.destination(exchange, routing_key, queue),
            c.EXCHANGE: exchange,
            c.QUEUE: queue,
        }
        if routing_key:
            common[c.MESSAGING_ROUTING_KEY] = routing_key
        if headers.is_anonymous(queue):
            common[c.MESSAGING_DESTINATION_ANONYMOUS] = True
            common[c.MESSAGING_DESTINATION_TEMPORARY] = True
        if len(self._commons) >= 1024:
            self._commons.clear()
        self._commons[queue, exchange, routing_key] = common
        return common


class Handling:
    """Around a handler: its span is current inside and ends with it."""

    __slots__ = ("_channel", "_delivery", "_token")

    def __init__(self, channel: Consuming, delivery: Delivery) -> None:
        self._channel = channel
        self._delivery = delivery

    def __enter__(self) -> None:
        delivery = self._delivery
        span = self._channel.begin_handling(delivery)
        self._token = context.attach(trace.set_span_in_context(span, delivery.parent))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._channel.end_handling(self._delivery, error)
        context.detach(self._token)


_PROCESS: Final[dict[str, Any]] = {
    c.MESSAGING_OPERATION_TYPE: "process",
    c.MESSAGING_OPERATION_NAME: "process",
}
_GET: Final[dict[str, Any]] = {
    c.MESSAGING_OPERATION_TYPE: "receive",
    c.MESSAGING_OPERATION_NAME: "get",
}


def _told(attributes: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    told = {**attributes, **operation}
    if "messaging" in dup():
        told["messaging.operation"] = operation[c.MESSAGING_OPERATION_TYPE]
    return told


def _links(parent: context.Context) -> list[Link]:
    found = remote_parent(parent)
    return [Link(found)] if found is not None else []
