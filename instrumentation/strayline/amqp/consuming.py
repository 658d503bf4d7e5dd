"""The consuming side of a channel: deliveries, their handling, their settlement."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind

from strayline import conventions as c
from strayline import redact
from strayline.amqp import bodies, headers
from strayline.amqp.base import ChannelBase
from strayline.amqp.facts import Arrival, Broker
from strayline.current import SPAN_KEY, attach, context_in, detach, with_span
from strayline.failure import failed
from strayline.guard import survived
from strayline.provider import start_span, tracer
from strayline.settings import dup
from strayline.stamp import read, stamper
from strayline.tracing.attributes import Steady
from strayline.tracing.span import LightSpan

MAX_DELIVERIES: Final = 65_536
"""AMQP's own bound on a prefetch count. Whoever neither limits nor acks is not followed further."""


MAX_COMMONS: Final = 1024
"""Keys remembered a channel; routing keys that bear an order's number never repeat."""
_Key = tuple[str, str, str, str | None, bool | None]
"""Queue, exchange, routing key, consumer tag, redelivered."""


class _Common:
    """What all deliveries of one queue and consumer with one exchange and key have in common."""

    __slots__ = ("queue", "span_name", "steady")

    def __init__(self, of_channel: dict[str, Any], key: _Key) -> None:
        queue, exchange, routing_key, consumer_tag, redelivered = key
        self.queue = queue
        self.span_name = f"process {headers.readable(queue)}"
        attributes: dict[str, Any] = {
            **of_channel,
            c.MESSAGING_OPERATION_TYPE: "process",
            c.MESSAGING_OPERATION_NAME: "process",
            c.MESSAGING_DESTINATION_NAME: headers.destination(exchange, routing_key, queue),
            c.EXCHANGE: exchange,
            c.QUEUE: queue,
        }
        if routing_key:
            attributes[c.MESSAGING_ROUTING_KEY] = routing_key
        if consumer_tag:
            attributes[c.CONSUMER_TAG] = consumer_tag
        if redelivered is not None:
            attributes[c.REDELIVERED] = redelivered
        if headers.is_anonymous(queue):
            attributes[c.MESSAGING_DESTINATION_ANONYMOUS] = True
            attributes[c.MESSAGING_DESTINATION_TEMPORARY] = True
        if "messaging" in dup():
            attributes["messaging.operation"] = "process"
        self.steady = Steady(redact.attributes(attributes))


class Delivery:
    """A delivery until it is settled and its handling has ended. ``span`` is that of its handling
    or of the ``basic.get`` that brought it, None before; ``attributes`` become the span's.
    ``publish`` is the span that sent it, where its headers name one, and ``parent`` the context
    that came with it otherwise."""

    __slots__ = (
        "attributes", "common", "parent", "publish", "received_ns", "settled", "span", "tag",
    )  # fmt: skip

    def __init__(
        self,
        common: _Common,
        attributes: dict[str, Any],
        publish: SpanContext | None,
        parent: Context,
        tag: int | None,
        received_ns: int,
    ) -> None:
        self.common = common
        self.attributes = attributes
        self.publish = publish
        self.parent = parent
        self.tag = tag
        self.received_ns = received_ns
        self.settled = False
        self.span: Span | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """All that is known of it, as span attributes."""
        return {**self.common.steady, **self.attributes}

    @staticmethod
    def from_facts(facts: dict[str, Any], parent: Context, received_ns: int) -> Delivery:
        """A delivery that another process received."""
        common = _Common({}, (str(facts.get(c.QUEUE, "")), "", "", None, None))
        common.steady = Steady(facts)
        return Delivery(
            common, {}, context_in(parent), parent, facts.get(c.MESSAGING_DELIVERY_TAG), received_ns
        )

    @property
    def context(self) -> Context:
        """A context whose current span is the publish."""
        if self.publish is None or SPAN_KEY in self.parent:
            return self.parent
        return with_span(NonRecordingSpan(self.publish), self.parent)

    @property
    def open(self) -> bool:
        return self.span is not None and self.span.is_recording()


class Consuming(ChannelBase):
    """A channel's deliveries."""

    def __init__(self, broker: Broker) -> None:
        self.highest_tag = 0
        self.queues: set[str] = set()
        self.deliveries: dict[int, Delivery] = {}
        self._commons: dict[_Key, _Common] = {}
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
        table, tag = arrival.headers, arrival.delivery_tag
        key = (
            arrival.queue,
            arrival.exchange,
            arrival.routing_key,
            arrival.consumer_tag,
            arrival.redelivered,
        )
        common = self._commons.get(key)
        if common is None:
            common = self._common_for(key)
        attributes: dict[str, Any] = {
            c.MESSAGING_BODY_SIZE: len(arrival.body),
            c.RECEIVED_UNIX_NANO: received_ns,
        }
        if tag is not None:
            attributes[c.MESSAGING_DELIVERY_TAG] = tag
        if arrival.priority is not None:
            attributes[c.PRIORITY] = arrival.priority
        if arrival.message_id:
            attributes[c.MESSAGING_MESSAGE_ID] = arrival.message_id
        if arrival.correlation_id:
            attributes[c.MESSAGING_CONVERSATION_ID] = arrival.correlation_id
        publish, parent = None, _EMPTY
        if table:
            self._read(attributes, table)
            publish, parent = headers.told_by(table)
        if self.records_bodies:
            bodies.capture(attributes, arrival.body)
        if self.redacts:
            attributes = redact.attributes(attributes)
        delivery = Delivery(common, attributes, publish, parent, tag, received_ns)
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
        return delivery

    def begin_handling(self, delivery: Delivery) -> Span:
        """The span of the handling: child of the publish, and linked to it."""
        common, publish = delivery.common, delivery.publish
        delivery.span = span = start_span(
            "amqp",
            common.span_name,
            publish,
            delivery.parent,
            _CONSUMER,
            common.steady,
            delivery.attributes,
            publish,
        )
        return span

    def adopt_handling(self, delivery: Delivery, span: Span) -> None:
        """Another instrumentation's CONSUMER span is this delivery's handling: it tells our facts
        too, and ends when its maker ends it."""
        delivery.span = span
        span.set_attributes({**delivery.common.steady, **delivery.attributes})

    def end_handling(self, delivery: Delivery, error: BaseException | None = None) -> None:
        """Ends the span. Idempotent."""
        span = delivery.span
        if error is None and type(span) is LightSpan:
            if span.end_time is None:
                span.end()
        elif span is not None and span.is_recording():
            if error is not None:
                failed(span, error)
            span.end()
        if delivery.settled and delivery.tag is not None:
            self.deliveries.pop(delivery.tag, None)

    def handling(self, delivery: Delivery) -> Handling:
        """``with channel.handling(delivery): …`` – current span and end around a handler."""
        return Handling(self, delivery)

    def got(self, delivery: Delivery, started_ns: int) -> None:
        """The span of a ``basic.get`` that returned a message; handling has no span of its own."""
        publish = delivery.publish
        attributes = {**delivery.common.steady, **delivery.attributes}
        attributes[c.MESSAGING_OPERATION_TYPE] = "receive"
        attributes[c.MESSAGING_OPERATION_NAME] = "get"
        if "messaging.operation" in attributes:
            attributes["messaging.operation"] = "receive"
        delivery.span = tracer("amqp").start_span(
            f"get {headers.readable(delivery.common.queue)}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            links=() if publish is None else (Link(publish),),
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
            return
        if not multiple:  # the usual one, within its handling
            delivery = self.deliveries.get(tag)
            if delivery is None:
                return
            span = delivery.span
            if type(span) is LightSpan and span.end_time is None and not delivery.settled:
                delivery.settled = True
                span.own[c.SETTLEMENT] = settlement
                span.own[c.SETTLED_UNIX_NANO] = now
                return
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
                if type(span) is not NonRecordingSpan:  # of what is not sampled nothing is told
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
        first = late[0].common.steady
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
            attributes=redact.attributes(attributes),
            links=[Link(d.span.get_span_context()) for d in late if d.span is not None],
            start_time=now,
        ).end()

    def _tags(self, tag: int) -> list[int]:
        return sorted(each for each in self.deliveries if tag == 0 or each <= tag)

    def _read(self, attributes: dict[str, Any], table: Any) -> None:
        """What the header table tells of the message."""
        stamp = table.get(c.STAMP_HEADER)
        if stamp is not None:
            stamp = read(stamp)
            if stamp is not None:
                attributes[c.STAMP] = stamp
        if "x-death" in table:
            dead = headers.deaths(table["x-death"])
            if dead:
                attributes[c.DEATH] = tuple(dead)
        if "x-delivery-count" in table:
            count = headers.whole(table["x-delivery-count"])
            if count is not None:
                attributes[c.DELIVERY_COUNT] = count

    def _common_for(self, key: _Key) -> _Common:
        if len(self._commons) >= MAX_COMMONS:
            self._commons.clear()
        self.queues.add(key[0])
        common = self._commons[key] = _Common(self.common, key)
        return common


class Handling:
    """Around a handler: its span is current inside and ends with it."""

    __slots__ = ("_channel", "_delivery", "_token")

    def __init__(self, channel: Consuming, delivery: Delivery) -> None:
        self._channel = channel
        self._delivery = delivery

    def __enter__(self) -> None:
        delivery = self._delivery
        self._token = None
        with survived("tracing a handling"):
            span = self._channel.begin_handling(delivery)
            self._token = attach(with_span(span, delivery.parent))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with survived("ending a handling"):
            self._channel.end_handling(self._delivery, error)
        if self._token is not None:
            detach(self._token)


_EMPTY: Final = Context()
_CONSUMER: Final = SpanKind.CONSUMER
