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
    TraceFlags,
    TraceState,
)

from strayline.guard import log
from strayline.tracing.attributes import PLAIN, bounded, clean

if TYPE_CHECKING:
    from strayline.tracing.provider import LightTracer

UNSET = Status(StatusCode.UNSET)


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
        attributes: Mapping[str, Any] | None,
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
        limits = tracer.limits
        self.attributes, self.dropped_attributes = bounded(
            attributes, limits.attributes, limits.span_length
        )
        self.events: list[Event] = []
        self.links: list[KeptLink] = []
        self.dropped_events = 0
        self.dropped_links = 0
        self.status = UNSET
        self.record_exceptions = True
        self.status_on_exception = True
        self.start_time: int = time_ns() if start_time is None else start_time
        self.end_time: int | None = None
        self._context: SpanContext | None = None

    def get_span_context(self) -> SpanContext:
        found = self._context
        if found is None:
            found = self._context = SpanContext(
                self.trace_id, self.span_id, False, TraceFlags(self.flags), self.state
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
        attributes = self.attributes
        attributes.pop(key, None)
        if limits.attributes is not None and len(attributes) >= limits.attributes:
            attributes.pop(next(iter(attributes)), None)
            self.dropped_attributes += 1
        attributes[key] = value

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
        self.events.append(
            Event(name, kept, time_ns() if timestamp is None else timestamp, dropped)
        )
        if limits.events is not None and len(self.events) > limits.events:
            del self.events[0]
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
        self.links.append(KeptLink(context, kept, dropped))
        if limits.links is not None and len(self.links) > limits.links:
            del self.links[0]
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
