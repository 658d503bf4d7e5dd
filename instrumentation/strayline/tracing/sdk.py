"""The way to the SDK's own types, for span processors and exporters of the application. Imports
the SDK, so only what needs it comes here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link

from strayline.tracing.span import LightSpan


def resource(attributes: Mapping[str, Any]) -> Resource:
    return Resource(dict(attributes))


def readable(span: LightSpan, of: Resource | None = None) -> ReadableSpan:
    """An SDK span with the same facts, under the resource ``of``, else its own."""
    scope = span.tracer.scope
    return ReadableSpan(
        span.name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=of or span.resource,
        attributes=dict(span.attributes),
        events=[Event(e.name, dict(e.attributes), e.timestamp) for e in span.events],
        links=[Link(link.context, dict(link.attributes)) for link in span.links],
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=InstrumentationScope(
            scope.name, scope.version, scope.schema_url, scope.attributes
        ),
    )


class StartWatcher(SpanProcessor):
    """Tells of each span that an SDK provider starts."""

    def __init__(self, watcher: Callable[[Any], None]) -> None:
        self._watcher = watcher

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self._watcher(span)
