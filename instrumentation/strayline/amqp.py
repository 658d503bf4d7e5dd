"""What every AMQP client's shim shares: stamps, span shapes, deliveries and their settlement.

A shim finds its client's choke points and calls in here; nothing below knows a client library.
"""

from __future__ import annotations

import json
import threading
import time
import weakref
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry import context, propagate, trace
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import Link, Span, SpanKind, StatusCode

from strayline import conventions as c
from strayline.guard import survived
from strayline.ordering import key_for
from strayline.provider import say, tracer
from strayline.settings import stamp_excluded
from strayline.stamp import parse, stamper

MAX_CONTEXT_HEADER: Final = 8192
MAX_DEATHS: Final = 32
HASHED_BYTES: Final = 65_536
HEADER_ROOM: Final = 512
"""Bytes that trace context and stamp may take of a header frame."""


@dataclass(slots=True)
class Broker:
    """The other end of a connection. Unknown parts are None."""

    name: str | None = None
    vhost: str | None = None
    host: str | None = None
    port: int | None = None
    frame_max: int = 131_072

    def attributes(self) -> dict[str, Any]:
        named = {
            c.BROKER: self.name,
            c.VHOST: self.vhost,
            c.SERVER_ADDRESS: self.host,
            c.SERVER_PORT: self.port,
        }
        return {name: value for name, value in named.items() if value is not None}


@dataclass(slots=True)
class Publish:
    """One message on its way out."""

    exchange: str
    routing_key: str
    body: bytes
    properties: Any
    headers: Mapping[str, Any]
    message_id: str | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    type: str | None = None
    priority: int | None = None
    expiration_ms: int | None = None
    mandatory: bool = False


@dataclass(slots=True)
class Arrival:
    """One message that came in, as its client library tells it."""

    queue: str
    exchange: str
    routing_key: str
    headers: Mapping[str, Any]
    delivery_tag: int | None
    consumer_tag: str | None
    redelivered: bool | None
    no_ack: bool
    body_size: int
    message_id: str | None = None
    correlation_id: str | None = None
    priority: int | None = None


@dataclass(slots=True, eq=False)
class Delivery:
    """A delivery until it is settled and its handling has ended."""

    attributes: dict[str, Any]
    parent: context.Context
    tag: int | None
    received_ns: int
    settled: bool = False
    span: Span | None = None

    @property
    def open(self) -> bool:
        return self.span is not None and self.span.is_recording()


@dataclass(slots=True, eq=False, weakref_slot=True)
class Channel:
    """One channel object of a client library, with what it has published and not yet settled."""

    broker: Broker
    number: int = field(default_factory=stamper.channel_number)
    epoch: str = field(default_factory=lambda: stamper.epoch)
    n: int = 0
    highest_tag: int = 0
    queues: set[str] = field(default_factory=set[str])
    last_queue: str = ""
    header_exchanges: set[str] = field(default_factory=set[str])
    deliveries: dict[int, Delivery] = field(default_factory=dict[int, Delivery])

    def __post_init__(self) -> None:
        with _channels_lock:
            _channels.add(self)

    def begin_publish(self, publish: Publish) -> tuple[Span, dict[str, Any]]:
        """Starts the span and returns it with the headers to send: a copy of the user's, with
        trace context and stamp. ``n`` is taken here, in the step in which the client queues its
        write; a publish that fails later has burnt it."""
        self._check_epoch()
        self.n += 1
        publish_key = key_for(publish.exchange, publish.routing_key, publish.properties)
        headers = dict(publish.headers)
        attributes: dict[str, Any] = {
            c.MESSAGING_SYSTEM: "rabbitmq",
            c.MESSAGING_OPERATION_TYPE: "send",
            c.MESSAGING_OPERATION_NAME: "publish",
            c.MESSAGING_DESTINATION_NAME: destination(publish.exchange, publish.routing_key),
            c.MESSAGING_ROUTING_KEY: publish.routing_key,
            c.MESSAGING_BODY_SIZE: len(publish.body),
            c.EXCHANGE: publish.exchange,
            c.CHANNEL: self.number,
            c.EPOCH: self.epoch,
            c.MANDATORY: publish.mandatory,
            c.BODY_HASH: stamper.hashed(b"%d:" % len(publish.body) + publish.body[:HASHED_BYTES]),
            **self.broker.attributes(),
        }
        optional = {
            c.MESSAGING_MESSAGE_ID: publish.message_id,
            c.MESSAGING_CONVERSATION_ID: publish.correlation_id,
            c.REPLY_TO: publish.reply_to,
            c.MESSAGE_TYPE: publish.type,
            c.PRIORITY: publish.priority,
            c.EXPIRATION_MS: publish.expiration_ms,
            c.DELAY_MS: _whole(headers.get("x-delay")),
            c.ROUTING_HEADERS: self._routing_headers(publish),
        }
        attributes.update({name: value for name, value in optional.items() if value is not None})
        room = _size(headers) + HEADER_ROOM <= self.broker.frame_max
        if room and publish.exchange not in stamp_excluded():
            stamp = stamper.stamp(
                self.number, self.n, publish.exchange, publish.routing_key, publish_key
            )
            headers[c.STAMP_HEADER] = attributes[c.STAMP] = str(stamp)
            if stamp.key is not None:
                attributes[c.ORDERING_KEY] = stamp.key
        else:
            headers.pop(c.STAMP_HEADER, None)
        span = tracer("amqp").start_span(
            f"publish {attributes[c.MESSAGING_DESTINATION_NAME]}",
            kind=SpanKind.PRODUCER,
            attributes=attributes,
        )
        if room:
            injected: dict[str, str] = {}
            propagate.inject(injected, trace.set_span_in_context(span))
            headers.update(injected)
        return span, headers

    def received(self, arrival: Arrival) -> Delivery:
        """Takes note of a delivery at the moment the client library has it."""
        self._check_epoch()
        received_ns = time.time_ns()
        parent = propagate.extract(arrival.headers, context=context.Context(), getter=_HEADERS)
        attributes: dict[str, Any] = {
            c.MESSAGING_SYSTEM: "rabbitmq",
            c.MESSAGING_DESTINATION_NAME: destination(
                arrival.exchange, arrival.routing_key, arrival.queue
            ),
            c.MESSAGING_ROUTING_KEY: arrival.routing_key,
            c.MESSAGING_BODY_SIZE: arrival.body_size,
            c.EXCHANGE: arrival.exchange,
            c.QUEUE: arrival.queue,
            c.CHANNEL: self.number,
            c.EPOCH: self.epoch,
            c.RECEIVED_UNIX_NANO: received_ns,
            **self.broker.attributes(),
        }
        stamp = parse(arrival.headers.get(c.STAMP_HEADER))
        deaths = _deaths(arrival.headers.get("x-death"))
        optional = {
            c.STAMP: str(stamp) if stamp is not None else None,
            c.MESSAGING_DELIVERY_TAG: arrival.delivery_tag,
            c.CONSUMER_TAG: arrival.consumer_tag,
            c.REDELIVERED: arrival.redelivered,
            c.DELIVERY_COUNT: _whole(arrival.headers.get("x-delivery-count")),
            c.DEATH: deaths or None,
            c.PRIORITY: arrival.priority,
            c.MESSAGING_MESSAGE_ID: arrival.message_id,
            c.MESSAGING_CONVERSATION_ID: arrival.correlation_id,
        }
        attributes.update({name: value for name, value in optional.items() if value is not None})
        delivery = Delivery(attributes, parent, arrival.delivery_tag, received_ns)
        if arrival.no_ack:
            attributes.update({c.SETTLEMENT: "auto", c.SETTLED_UNIX_NANO: received_ns})
            delivery.settled = True
        if arrival.delivery_tag is not None:
            self.highest_tag = max(self.highest_tag, arrival.delivery_tag)
            self.deliveries[arrival.delivery_tag] = delivery
        self.queues.add(arrival.queue)
        return delivery

    def begin_handling(self, delivery: Delivery) -> Span:
        """The span of the handling: child of the publish, and linked to it."""
        attributes = {
            c.MESSAGING_OPERATION_TYPE: "process",
            c.MESSAGING_OPERATION_NAME: "process",
            **delivery.attributes,
        }
        delivery.span = tracer("amqp").start_span(
            f"process {delivery.attributes[c.QUEUE]}",
            context=delivery.parent,
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=_links(delivery.parent),
        )
        return delivery.span

    def got(self, delivery: Delivery, started_ns: int) -> None:
        """The span of a ``basic.get`` that returned a message; handling has no span of its own."""
        attributes = {
            c.MESSAGING_OPERATION_TYPE: "receive",
            c.MESSAGING_OPERATION_NAME: "get",
            **delivery.attributes,
        }
        delivery.span = tracer("amqp").start_span(
            f"get {delivery.attributes[c.QUEUE]}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            links=_links(delivery.parent),
            start_time=started_ns,
        )
        delivery.span.end()

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

    @contextmanager
    def handling(self, delivery: Delivery) -> Generator[None]:
        """Current span and end around a handler."""
        token = context.attach(
            trace.set_span_in_context(self.begin_handling(delivery), delivery.parent)
        )
        try:
            yield
        except BaseException as error:
            self.end_handling(delivery, error)
            raise
        else:
            self.end_handling(delivery)
        finally:
            context.detach(token)

    def settle(self, tag: int, settlement: str, *, multiple: bool = False) -> None:
        """An ack, nack or reject that is being sent. ``multiple`` settles every tag up to ``tag``,
        0 all. Inside its handling the span tells it; afterwards a span of its own."""
        now = time.time_ns()
        late: list[Delivery] = []
        for each in self._tags(tag, multiple=multiple):
            delivery = self.deliveries.get(each)
            if delivery is None or delivery.settled:
                continue
            delivery.settled = True
            if delivery.open and delivery.span is not None:
                delivery.span.set_attribute(c.SETTLEMENT, settlement)
                delivery.span.set_attribute(c.SETTLED_UNIX_NANO, now)
            else:
                self.deliveries.pop(each, None)
                if delivery.span is not None:
                    late.append(delivery)
        if late:
            self._settle_span(late, tag, settlement, now)

    def declared(self, item: Mapping[str, Any]) -> None:
        """Reports one thing that the broker has just confirmed: see ``docs/messages.md``."""
        if item.get("kind") == "exchange" and item.get("type") == "headers":
            self.header_exchanges.add(str(item.get("name")))
        document = {"items": [{**item, "at_unix_nano": time.time_ns()}]}
        attributes = {c.TOPOLOGY: json.dumps(document, default=str), c.EPOCH: stamper.epoch}
        say(c.TOPOLOGY_SPAN, {**attributes, **self.broker.attributes()})

    def _settle_span(self, late: list[Delivery], tag: int, settlement: str, now: int) -> None:
        attributes: dict[str, Any] = {
            c.MESSAGING_SYSTEM: "rabbitmq",
            c.MESSAGING_OPERATION_TYPE: "settle",
            c.MESSAGING_OPERATION_NAME: settlement.partition("_")[0],
            c.MESSAGING_DESTINATION_NAME: late[0].attributes[c.MESSAGING_DESTINATION_NAME],
            c.MESSAGING_DELIVERY_TAG: tag,
            c.QUEUE: late[0].attributes[c.QUEUE],
            c.CHANNEL: self.number,
            c.EPOCH: self.epoch,
            c.SETTLEMENT: settlement,
            c.SETTLED_UNIX_NANO: now,
            **self.broker.attributes(),
        }
        links = [Link(d.span.get_span_context()) for d in late if d.span is not None]
        tracer("amqp").start_span(
            f"{attributes[c.MESSAGING_OPERATION_NAME]} {late[0].attributes[c.QUEUE]}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            links=links,
            start_time=now,
        ).end()

    def _tags(self, tag: int, *, multiple: bool) -> list[int]:
        if not multiple:
            return [tag]
        return sorted(each for each in self.deliveries if tag == 0 or each <= tag)

    def _routing_headers(self, publish: Publish) -> str | None:
        headers = publish.headers
        if publish.exchange in self.header_exchanges or publish.exchange in (
            "amq.headers",
            "amq.match",
        ):
            plain = {k: v for k, v in headers.items() if isinstance(v, str | bool | int | float)}
            return json.dumps(plain, default=str)
        copies = {
            k: list(headers[k]) for k in ("CC", "BCC") if isinstance(headers.get(k), list | tuple)
        }
        return json.dumps(copies, default=str) if copies else None

    def _check_epoch(self) -> None:
        if self.epoch != stamper.epoch:  # a forked child: its numbers are its own
            self.epoch = stamper.epoch
            self.number = stamper.channel_number()
            self.n = 0


def end_publish(
    span: Span, outcome: str, message_id: str | None, error: BaseException | None
) -> None:
    """Writes the outcome and ends the publish span."""
    span.set_attribute(c.OUTCOME, outcome)
    if message_id:
        span.set_attribute(c.MESSAGING_MESSAGE_ID, message_id)
    if error is not None:
        span.set_attribute(c.ERROR_TYPE, type(error).__qualname__)
        span.set_status(StatusCode.ERROR, str(error))
    elif outcome in ("returned", "nacked") and not _direct_reply(span):
        span.set_attribute(c.ERROR_TYPE, outcome)
        span.set_status(StatusCode.ERROR, outcome)
    span.end()


def _direct_reply(span: Span) -> bool:
    """Direct reply-to is no queue that a broker routes to: a mandatory reply is returned *and*
    reaches its requester."""
    key = (getattr(span, "attributes", None) or {}).get(c.MESSAGING_ROUTING_KEY)
    return isinstance(key, str) and key.startswith("amq.rabbitmq.reply-to")


def destination(*parts: str) -> str:
    """``{exchange}:{routing key}[:{queue}]``, empty parts left out, equal ones once (conventions 1.44)."""
    kept: list[str] = []
    for part in parts:
        if part and part not in kept:
            kept.append(part)
    return ":".join(kept) or "amq.default"


def open_channels() -> list[Channel]:
    """Every channel object still alive, for the census."""
    with _channels_lock:
        return list(_channels)


_channels: Final[weakref.WeakSet[Channel]] = weakref.WeakSet()
_channels_lock: Final = threading.Lock()


def _links(parent: context.Context) -> list[Link]:
    found = trace.get_current_span(parent).get_span_context()
    return [Link(found)] if found.is_valid else []


class _HeaderGetter(Getter[Any]):
    """Header tables hold anything; trace context is text of modest length or nothing."""

    def get(self, carrier: Any, key: str) -> list[str] | None:
        value = carrier.get(key) if isinstance(carrier, Mapping) else None
        if isinstance(value, bytes | bytearray):
            value = bytes(value).decode("ascii", "replace")
        return [value] if isinstance(value, str) and len(value) <= MAX_CONTEXT_HEADER else None

    def keys(self, carrier: Any) -> list[str]:
        return [str(key) for key in carrier] if isinstance(carrier, Mapping) else []


_HEADERS: Final = _HeaderGetter()


def _deaths(table: Any) -> list[str]:
    """``queue|reason|count|exchange|key`` per entry, newest first as the broker has it."""
    found: list[str] = []
    with survived("reading x-death"):
        for entry in (table if isinstance(table, list) else [])[:MAX_DEATHS]:
            keys = entry.get("routing-keys") or [""]
            parts = (
                entry.get("queue"),
                entry.get("reason"),
                entry.get("count"),
                entry.get("exchange"),
                keys[0],
            )
            found.append("|".join("" if part is None else str(part) for part in parts))
    return found


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _size(headers: Mapping[str, Any]) -> int:
    return sum(len(str(key)) + 8 + _value_size(value) for key, value in headers.items())


def _value_size(value: Any) -> int:
    if isinstance(value, str | bytes | bytearray):
        return len(value) * (3 if isinstance(value, str) else 1)
    if isinstance(value, Mapping):
        return _size(value)
    if isinstance(value, Iterable):
        return sum(8 + _value_size(item) for item in value)
    return 16
