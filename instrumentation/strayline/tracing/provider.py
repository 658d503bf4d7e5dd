"""Tracer provider and tracer of our light spans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Tracer,
    TracerProvider,
)

from strayline.current import context_in, current, span_context
from strayline.guard import survived
from strayline.tracing import ids
from strayline.tracing.attributes import Steady, bounded
from strayline.tracing.limits import Limits
from strayline.tracing.sampling import PARENT_BASED_ON, Sampler, from_environment
from strayline.tracing.span import NO_ATTRIBUTES, KeptLink, LightSpan

try:  # decorates coroutine functions too
    from opentelemetry.util._decorator import (
        _agnosticcontextmanager as current_manager,  # pyright: ignore[reportPrivateUsage]
    )
except ImportError:
    from contextlib import contextmanager as current_manager

SAMPLED: Final = 1
MANY: Final = 64
"""More attributes than any shim gives a span."""
RANDOM: Final = 2
"""W3C trace context level 2: the trace id's lower part is random."""


class Scope(NamedTuple):
    """Who made a span. Names of fields are the SDK's ``InstrumentationScope``'s."""

    name: str
    version: str = ""
    schema_url: str = ""
    attributes: Any = None


class Sink(Protocol):
    """Takes ended spans."""

    def enqueue(self, span: LightSpan) -> None: ...

    def force_flush(self, timeout_millis: int = 30_000) -> bool: ...

    def shutdown(self) -> None: ...


class LightTracer(Tracer):
    """Makes spans of one scope."""

    def __init__(self, provider: LightProvider, scope: Scope) -> None:
        self.provider = provider
        self.scope = scope
        self.limits = limits = provider.limits
        self.is_plain = (
            limits.span_length is None
            and (limits.attributes is None or limits.attributes >= MANY)
            and limits.links != 0
        )
        self._sampler = provider.sampler

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        limits = self.limits
        own, dropped = bounded(attributes, limits.attributes, limits.span_length)
        within = current() if context is None else context
        span = self.begin(name, context_in(within), within, kind, None, own, None, start_time)
        if type(span) is LightSpan:
            if links:
                span.add_links(links)
            if dropped:
                span.dropped_attributes = dropped
            if not record_exception:
                span.record_exceptions = False
            if not set_status_on_exception:
                span.status_on_exception = False
        return span

    def begin(
        self,
        name: str,
        parent: SpanContext | None,
        context: Context,
        kind: SpanKind,
        steady: Steady | None,
        own: dict[str, Any],
        link: SpanContext | None = None,
        start_time: int | None = None,
    ) -> Span:
        """``start_span`` for shims: ``parent`` is a valid one or none, ``context`` what watchers are
        told; ``own`` is given away, and both hold plain values and tuples of them only; ``link`` is
        a valid one."""
        if parent is not None:
            trace_id, _, _, flags, state, _ = parent
            sampled = (
                flags & SAMPLED
                if self._sampler is PARENT_BASED_ON
                else self._sampler(trace_id, bool(flags & SAMPLED))
            )
            flags = flags & RANDOM
        else:
            state = None
            trace_id, flags = ids.trace_id(), RANDOM
            sampled = self._sampler is PARENT_BASED_ON or self._sampler(trace_id, None)
        if not sampled:
            return NonRecordingSpan(span_context(trace_id, ids.span_id(), False, flags, state))
        span = LightSpan(
            self,
            name,
            trace_id,
            ids.span_id(),
            flags | SAMPLED,
            state,
            parent,
            kind,
            steady,
            own,
            start_time,
        )
        if link is not None:
            span.links = (KeptLink(link, NO_ATTRIBUTES),)
        if self.provider.watched:
            self.provider.started(span, context)
        return span

    @current_manager
    def start_as_current_span(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[Span]:
        """Around a block, or as the decorator of a function, which may be a coroutine's."""
        span = self.start_span(
            name,
            context,
            kind,
            attributes,
            links,
            start_time,
            record_exception,
            set_status_on_exception,
        )
        with trace.use_span(span, end_on_exit, record_exception, set_status_on_exception):
            yield span


class LightProvider(TracerProvider):
    """Ours while the application has none. ``resource`` is asked for when it is needed, since a
    forked child is another process."""

    def __init__(self, resource: Callable[[], Mapping[str, Any]], sink: Sink | None) -> None:
        self.limits = Limits.read()
        self.sampler: Sampler = from_environment()
        self._resource = resource
        self._sink = sink
        self._processors: list[Any] = []
        self._watchers: list[Callable[[Span], None]] = []
        self._tracers: dict[tuple[Any, ...], LightTracer] = {}
        self.watched = False

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> LightTracer:
        key = (
            instrumenting_module_name,
            instrumenting_library_version or "",
            schema_url or "",
            tuple(sorted(attributes.items())) if attributes else None,
        )
        found = self._tracers.get(key)
        if found is None:
            scope = Scope(*key[:3], dict(attributes) if attributes else None)
            found = self._tracers.setdefault(key, LightTracer(self, scope))
        return found

    @property
    def resource(self) -> Any:
        """As an SDK ``Resource``."""
        from strayline.tracing.sdk import resource

        return resource(self._resource())

    def add_span_processor(self, span_processor: Any) -> None:
        """Adds a processor of the SDK's kind; it is given spans of the SDK's kind when they end."""
        self._processors = [*self._processors, span_processor]
        self.watched = True

    def watch_starts(self, watcher: Callable[[Span], None]) -> None:
        """Tells ``watcher`` of every span that starts."""
        if watcher not in self._watchers:
            self._watchers = [*self._watchers, watcher]
            self.watched = True

    def started(self, span: LightSpan, context: Context | None) -> None:
        for watcher in self._watchers:
            with survived("watching a span start"):
                watcher(span)
        for processor in self._processors:
            processor.on_start(span, parent_context=context)

    def ended(self, span: LightSpan) -> None:
        if self._sink is not None:
            self._sink.enqueue(span)
        if self._processors:
            from strayline.tracing.sdk import readable

            told = readable(span)
            for processor in self._processors:
                processor.on_end(told)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True when everything ended before the call was sent, or given up, in time."""
        flushed = [each.force_flush(timeout_millis) for each in self._processors]
        if self._sink is not None:
            flushed.append(self._sink.force_flush(timeout_millis))
        return all(flushed)

    def shutdown(self) -> None:
        """Sends what is left, for a moment, and takes no more."""
        for processor in self._processors:
            processor.shutdown()
        if self._sink is not None:
            self._sink.shutdown()
