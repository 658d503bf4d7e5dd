"""A span that costs about as much as the facts it holds.

It keeps the OpenTelemetry API's promises and the SDK's readings of them; it takes no lock, since
each change is one step of the interpreter, and makes no ``SpanContext`` until somebody asks.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from time import time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceState,
)

from strayline.current import span_context
from strayline.guard import log
from strayline.tracing.attributes import PLAIN, Steady, bounded, clean

if TYPE_CHECKING:
    from strayline.tracing.provider import LightTracer

UNSET = Status(StatusCode.UNSET)
NO_ATTRIBUTES: dict[str, Any] = {}


class Event(NamedTuple):
    """Something that happened within a span; times are unix nanoseconds."""

    name: str
    attributes: dict[str, Any]
    timestamp: int
    dropped_attributes: int = 0


class KeptLink(NamedTuple):
    """A link as a span keeps it."""

    context: SpanContext
    attributes: dict[str, Any]
    dropped_attributes: int = 0


class LightSpan(Span):
    """Made by ``LightTracer`` alone. Reading attributes are the SDK's ``ReadableSpan``'s."""

    # most spans have none of these: the class has them, an object only what differs
    events: Sequence[Event] = ()
    links: Sequence[KeptLink] = ()
    dropped_attributes = 0
    dropped_events = 0
    dropped_links = 0
    status = UNSET
    record_exceptions = True
    status_on_exception = True
    end_time: int | None = None
    _context: SpanContext | None = None

    def __init__(
        self,
        tracer: LightTracer,
        name: str,
        trace_id: int,
        span_id: int,
        flags: int,
        state: TraceState | None,
        parent: SpanContext | None,
        kind: SpanKind,
        steady: Steady | None,
        own: dict[str, Any],
        start_time: int | None,
    ) -> None:
        self.tracer = tracer
        self.name = name
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags
        self.state = state
        self.parent = parent
        self.kind = kind
        self.steady = steady
        self.own = own
        self.start_time: int = time_ns() if start_time is None else start_time

    @property
    def attributes(self) -> dict[str, Any]:
        """All of them, a copy where some are shared with other spans."""
        return self.own if self.steady is None else {**self.steady, **self.own}

    def get_span_context(self) -> SpanContext:
        found = self._context
        if found is None:
            found = self._context = span_context(
                self.trace_id, self.span_id, False, self.flags, self.state
            )
        return found

    @property
    def context(self) -> SpanContext:
        return self.get_span_context()

    @property
    def instrumentation_scope(self) -> Any:
        return self.tracer.scope

    @property
    def resource(self) -> Any:
        """An SDK ``Resource``."""
        return self.tracer.provider.resource

    def is_recording(self) -> bool:
        return self.end_time is None

    def set_attribute(self, key: str, value: Any) -> None:
        if self.end_time is not None:
            log.debug("attribute %s came after its span had ended", key)
            return
        limits = self.tracer.limits
        if type(value) not in PLAIN or limits.span_length is not None:
            value = clean(value, limits.span_length)
        if not key or not isinstance(key, str) or limits.attributes == 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            self.dropped_attributes += 1
            return
        own, most = self.own, limits.attributes
        steady = self.steady
        # one of the shared ones is to change, or they fill the span: they become its own
        if steady is not None and (
            key in steady or (most is not None and len(steady) + len(own) >= most)
        ):
            self.own = own = {**steady, **own}
            self.steady = None
        own.pop(key, None)
        if most is not None and len(own) >= most:
            own.pop(next(iter(own)), None)
            self.dropped_attributes += 1
        own[key] = value

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        if self.end_time is not None:
            log.debug("event %s came after its span had ended", name)
            return
        limits = self.tracer.limits
        kept, dropped = bounded(attributes, limits.event_attributes, limits.length)
        event = Event(name, kept, time_ns() if timestamp is None else timestamp, dropped)
        self.events = (*self.events, event)
        if limits.events is not None and len(self.events) > limits.events:
            self.events = self.events[1:]
            self.dropped_events += 1

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        if self.end_time is not None:
            log.debug("a link came after its span had ended")
            return
        # a link to nothing may still bear a trace state or attributes
        if not context.is_valid and not attributes and not context.trace_state:
            return
        limits = self.tracer.limits
        kept, dropped = bounded(attributes, limits.link_attributes, limits.length)
        self.links = (*self.links, KeptLink(context, kept, dropped))
        if limits.links is not None and len(self.links) > limits.links:
            self.links = self.links[1:]
            self.dropped_links += 1

    def add_links(self, links: Sequence[Link]) -> None:
        for link in links:
            self.add_link(link.context, link.attributes)

    def update_name(self, name: str) -> None:
        if self.end_time is None:
            self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        code = status.status_code if isinstance(status, Status) else status
        # OK is final, and nobody goes back to unset
        if (
            self.end_time is None
            and code is not StatusCode.UNSET
            and (self.status.status_code is not StatusCode.OK)
        ):
            self.status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        kind = type(exception)
        module = kind.__module__
        told: dict[str, Any] = {
            "exception.type": kind.__qualname__
            if module in ("", "builtins")
            else f"{module}.{kind.__qualname__}",
            "exception.message": str(exception),
            "exception.stacktrace": "".join(traceback.format_exception(exception)),
            "exception.escaped": str(escaped),
        }
        told.update(attributes or {})
        self.add_event("exception", told, timestamp)

    def end(self, end_time: int | None = None) -> None:
        if self.end_time is None:
            self.end_time = time_ns() if end_time is None else end_time
            self.tracer.provider.ended(self)
        else:
            log.debug("span %s was ended twice", self.name)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if exc_val is not None and self.end_time is None:
            if self.record_exceptions:
                self.record_exception(exc_val, escaped=True)
            if self.status_on_exception:
                self.set_status(Status(StatusCode.ERROR, f"{type(exc_val).__name__}: {exc_val}"))
        self.end()

    def __repr__(self) -> str:
        return f"<span {self.name!r} {self.trace_id:032x}-{self.span_id:016x}>"

    def to_json(self, indent: int | None = 4) -> str:
        """As the SDK prints a span."""
        from strayline.tracing.sdk import readable

        return readable(self).to_json(indent)
