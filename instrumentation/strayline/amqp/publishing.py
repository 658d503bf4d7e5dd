"""The publishing side of a channel: the stamp, the span, and what became of the publish."""

from __future__ import annotations

import time
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanKind, StatusCode

from strayline import conventions as c
from strayline import redact
from strayline.amqp import bodies, headers
from strayline.amqp.adoption import adoptable_publish
from strayline.amqp.base import ChannelBase
from strayline.amqp.facts import Broker, Publish
from strayline.current import BAGGAGE_KEY, SPAN_KEY, context_in, current, suppressed
from strayline.ordering import key_for
from strayline.propagation import inject_into
from strayline.provider import start_span, tracer
from strayline.settings import dup, stamp_excluded
from strayline.stamp import fingerprint, stamper
from strayline.tracing.attributes import Steady
from strayline.tracing.span import LightSpan

HEADER_ROOM: Final = 3072
"""Bytes of a header frame left for stamp, trace context with its state, and the other properties,
short strings of 255 at most."""
MAX_BAGGAGE: Final = 8192
"""Bytes that W3C baggage may have."""
HASHED_BYTES: Final = 4096
"""Of a body's either end. Hashing all of 64 KiB took 60 µs of the application's time."""
MAX_ROUTES: Final = 1024
"""Exchange and key pairs remembered a channel; keys that bear an order's number never repeat."""
_PRODUCER: Final = SpanKind.PRODUCER
_header_exchanges: Final[dict[tuple[str | None, str | None], set[str]]] = {}
"""Headers exchanges that this process declared, by broker and vhost: by whichever channel."""


class _Route:
    """What all publishes with one exchange and key, and mandatory or not, have in common."""

    __slots__ = ("fingerprint", "is_reply", "name", "stamped", "steady")

    def __init__(
        self, common: dict[str, Any], exchange: str, routing_key: str, mandatory: bool
    ) -> None:
        self.name = f"publish {headers.destination(exchange, headers.readable(routing_key))}"
        self.fingerprint = fingerprint(exchange, routing_key)
        self.stamped = exchange not in stamp_excluded()
        self.is_reply = routing_key.startswith(headers.REPLY_TO)
        attributes: dict[str, Any] = {
            **common,
            c.MESSAGING_OPERATION_TYPE: "send",
            c.MESSAGING_OPERATION_NAME: "publish",
            c.MESSAGING_DESTINATION_NAME: headers.destination(exchange, routing_key),
            c.EXCHANGE: exchange,
            c.MANDATORY: mandatory,
        }
        if routing_key:
            attributes[c.MESSAGING_ROUTING_KEY] = routing_key
        if not exchange and headers.is_anonymous(routing_key):
            attributes[c.MESSAGING_DESTINATION_ANONYMOUS] = True
            attributes[c.MESSAGING_DESTINATION_TEMPORARY] = True
        if "messaging" in dup():
            attributes["messaging.operation"] = "publish"
        self.steady = Steady(redact.attributes(attributes))


class Sending:
    """One publish under way. ``headers`` are what to send: the user's, copied, with trace context
    and stamp. Exactly one of ``ended`` and ``awaits`` is to be called once the client's call returned."""

    __slots__ = ("_channel", "_outcome", "_owned", "_reply", "end_ns", "headers", "span")

    def __init__(
        self, channel: Publishing, span: Span, headers: dict[str, Any], owned: bool, reply: bool
    ) -> None:
        self._channel = channel
        self._owned = owned
        self._reply = reply
        self._outcome: str | None = None
        self.span = span
        self.headers = headers
        self.end_ns: int | None = None

    def ended(
        self, outcome: str, error: BaseException | None = None, message_id: str | None = None
    ) -> None:
        """The outcome is known: ``confirmed returned nacked unknown unconfirmed``. Within a
        transaction an unconfirmed one is not: it waits for the commit."""
        span = self.span
        if (
            type(span) is LightSpan
            and outcome == "confirmed"
            and self._outcome is None
            and self._owned
            and span.end_time is None
        ):  # as nearly every publish ends
            if message_id:
                span.own[c.MESSAGING_MESSAGE_ID] = message_id
            span.own[c.OUTCOME] = outcome
            span.end()
            return
        if message_id:
            span.set_attribute(c.MESSAGING_MESSAGE_ID, message_id)
        if outcome == "unconfirmed" and self._channel.in_transaction:
            self.awaits()
        else:
            self.finish(outcome, error)

    def awaits(self) -> None:
        """The client's call returned; confirm, return, commit or rollback will tell the outcome."""
        self.end_ns = time.time_ns()
        self._channel.keep(self)

    def returned(self) -> None:
        """The broker gave it back; its confirm or commit is still to come."""
        self._outcome = "returned"

    def finish(self, outcome: str, error: BaseException | None = None) -> None:
        """Writes the outcome and ends the span, now or when the client's call returned."""
        span = self.span
        outcome = self._outcome or outcome
        if not self._owned and not span.is_recording():
            return  # somebody else's, which ended without knowing
        if type(span) is LightSpan and span.end_time is None:
            span.own[c.OUTCOME] = outcome
        else:
            span.set_attribute(c.OUTCOME, outcome)
        if error is not None:
            span.set_attribute(c.ERROR_TYPE, type(error).__qualname__)
            span.set_status(StatusCode.ERROR, redact.prose(str(error)))
        elif (
            outcome != "confirmed"
            and outcome in _FAILED
            and not (self._reply and outcome == "returned")
        ):
            # direct reply-to is no queue that a broker routes to: a mandatory reply is
            # returned *and* reaches its requester
            span.set_attribute(c.ERROR_TYPE, outcome)
            span.set_status(StatusCode.ERROR, outcome)
        if self._owned:
            span.end(self.end_ns)


_FAILED: Final = frozenset({"returned", "nacked"})


class Publishing(ChannelBase):
    """A channel's publishes."""

    def __init__(self, broker: Broker) -> None:
        self.n = 0
        self.header_exchanges = _header_exchanges.setdefault(
            (broker.known_as(), broker.vhost), set()
        )
        self._routes: dict[tuple[str, str, bool], _Route] = {}
        self._stamp_prefix = ""
        self._confirming: dict[int, Sending] | None = None
        self._confirm_tag = 0
        self._transaction: list[Sending] = []
        super().__init__(broker)

    def _begin(self) -> None:
        super()._begin()
        self.n = 0
        self._routes.clear()
        self._stamp_prefix = f"1.{self.epoch}.{self.number}."
        # what a forked parent sent is the parent's to tell of
        self._confirming = None if self._confirming is None else {}
        self._transaction = []

    def publishing(self, publish: Publish) -> Sending:
        """Starts the span and takes ``n``, in the step in which the client queues its write; a
        publish that fails later has burnt it."""
        within = current()
        if suppressed(within):
            return Sending(self, INVALID_SPAN, dict(publish.headers), False, False)
        if self.epoch is not stamper.epoch:
            self._begin()
        self.n = n = self.n + 1
        exchange, routing_key = publish.exchange, publish.routing_key
        route = self._routes.get((exchange, routing_key, publish.mandatory))
        if route is None:
            route = self._route_for(exchange, routing_key, publish.mandatory)
        sent = dict(publish.headers)
        attributes: dict[str, Any] = {}
        self._describe(attributes, publish, sent)
        if self.redacts:
            attributes = redact.attributes(attributes)
        key = key_for(exchange, routing_key, publish.properties)
        stamp = f"{self._stamp_prefix}{n}.{route.fingerprint}"
        if key is not None:
            hashed, count = stamper.count(key)
            stamp = f"{stamp}.{hashed}.{count}"
        sent.pop(c.STAMP_HEADER, None)  # a copied one is another message's
        # stamp and context go together, and only where the frame has room for both
        room = (not sent and BAGGAGE_KEY not in within) or self._has_room(sent, within)
        if room and route.stamped:
            sent[c.STAMP_HEADER] = attributes[c.STAMP] = stamp
            if key is not None:
                attributes[c.ORDERING_KEY] = stamp.split(".")[5]
        parent = span = None
        held = within.get(SPAN_KEY)
        if held is not None:
            span = adoptable_publish(held)
            parent = context_in(within)
        owned = span is None
        if span is None:
            span = start_span(
                "amqp", route.name, parent, within, _PRODUCER, route.steady, attributes
            )
        else:
            span.set_attributes({**route.steady, **attributes})
        if room:
            inject_into(sent, span, within)
        return Sending(self, span, sent, owned, route.is_reply)

    def confirm_selected(self) -> None:
        """Confirms are on: what awaits from now on is numbered 1, 2, … for ``confirmed``."""
        if self._confirming is None:
            self._confirming = {}

    def keep(self, sending: Sending) -> None:
        """A publish whose outcome is still to come."""
        if self.in_transaction:
            self._transaction.append(sending)
        elif self._confirming is not None:
            self._confirm_tag += 1
            self._confirming[self._confirm_tag] = sending
        else:
            sending.finish("unconfirmed")

    def confirmed(self, tag: int, multiple: bool = False, nack: bool = False) -> None:
        """The broker took, or refused, the publish ``tag``, or all up to it (0: all)."""
        waiting = self._confirming
        if not waiting:
            return
        tags = [each for each in waiting if tag in (0, each) or each < tag] if multiple else [tag]
        for each in tags:
            sending = waiting.pop(each, None)
            if sending is not None:
                sending.end_ns = None  # it took until now
                sending.finish("nacked" if nack else "confirmed")

    def returned(
        self, table: Any, reply_text: str = "", exchange: str | None = None, routing_key: str = ""
    ) -> None:
        """``Basic.Return``: the message with these headers found no queue. When its span has
        ended already, one of its own says so."""
        publish, _ = headers.told_by(table if isinstance(table, dict) else {})
        if publish is None:
            return
        waiting = [*(self._confirming or {}).values(), *self._transaction]
        for sending in waiting:
            if sending.span.get_span_context().span_id == publish.span_id:
                sending.returned()
                return
        attributes = {
            **self.common,
            c.MESSAGING_OPERATION_NAME: "return",
            c.OUTCOME: "returned",
            c.ERROR_TYPE: "returned",
        }
        stamp = table.get(c.STAMP_HEADER)
        if isinstance(stamp, str):
            attributes[c.STAMP] = stamp
        name = "return"
        if exchange is not None:
            name = f"return {headers.destination(exchange, headers.readable(routing_key))}"
            attributes[c.EXCHANGE] = exchange
            attributes[c.MESSAGING_DESTINATION_NAME] = headers.destination(exchange, routing_key)
            if routing_key:
                attributes[c.MESSAGING_ROUTING_KEY] = routing_key
        span = tracer("amqp").start_span(
            name,
            kind=SpanKind.CLIENT,
            attributes=redact.attributes(attributes),
            links=[Link(publish)],
        )
        span.set_status(StatusCode.ERROR, reply_text or "returned")
        span.end()

    def _end_transaction(self, outcome: str) -> None:
        ended, self._transaction = self._transaction, []
        for sending in ended:
            sending.finish(outcome)

    def _close_publishing(self) -> None:
        """Nobody will tell any more."""
        waiting, self._confirming = self._confirming, None
        for sending in (waiting or {}).values():
            sending.finish("unknown")
        self._end_transaction("rolled_back")

    def _describe(self, attributes: dict[str, Any], publish: Publish, sent: dict[str, Any]) -> None:
        body = publish.body
        attributes[c.MESSAGING_BODY_SIZE] = len(body)
        attributes[c.BODY_HASH] = stamper.hashed(
            b"%d:" % len(body) + (body if len(body) <= 2 * HASHED_BYTES else _ends(body))
        )
        if publish.message_id:
            attributes[c.MESSAGING_MESSAGE_ID] = publish.message_id
        if publish.correlation_id:
            attributes[c.MESSAGING_CONVERSATION_ID] = publish.correlation_id
        if publish.reply_to:
            attributes[c.REPLY_TO] = publish.reply_to
        if publish.type:
            attributes[c.MESSAGE_TYPE] = publish.type
        if publish.priority is not None:
            attributes[c.PRIORITY] = publish.priority
        if publish.expiration_ms is not None:
            attributes[c.EXPIRATION_MS] = publish.expiration_ms
        if sent:
            delay = headers.whole(sent.get("x-delay"))
            if delay is not None:
                attributes[c.DELAY_MS] = delay
        exchange = publish.exchange
        by_headers = exchange in self.header_exchanges or exchange in headers.HEADER_EXCHANGES
        if sent or by_headers:
            routing = headers.routing_headers(sent, all_of_them=by_headers)
            if routing is not None:
                attributes[c.ROUTING_HEADERS] = routing
        if self.records_bodies:
            bodies.capture(attributes, body)

    def _has_room(self, sent: dict[str, Any], within: Context) -> bool:
        room = HEADER_ROOM + (MAX_BAGGAGE if BAGGAGE_KEY in within else 0)
        return headers.size(sent) + room <= self.broker.frame_max

    def _route_for(self, exchange: str, routing_key: str, mandatory: bool) -> _Route:
        if len(self._routes) >= MAX_ROUTES:
            self._routes.clear()
        route = _Route(self.common, exchange, routing_key, mandatory)
        self._routes[exchange, routing_key, mandatory] = route
        return route


def _ends(body: bytes) -> bytes:
    return bytes(body[:HASHED_BYTES]) + bytes(body[-HASHED_BYTES:])
