"""The current context, without the layers of calls that OpenTelemetry's API puts before it: one
where that makes three to five. A runtime context of another kind goes by the API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import baggage, context
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    Span,
    SpanContext,
    TraceFlags,
    TraceState,
)
from opentelemetry.trace import propagation as _propagation
from opentelemetry.trace.span import DEFAULT_TRACE_STATE

SPAN_KEY: Final[str] = _propagation._SPAN_KEY  # pyright: ignore[reportPrivateUsage]
BAGGAGE_KEY: Final[str] = baggage._BAGGAGE_KEY  # pyright: ignore[reportPrivateUsage]
_SUPPRESS: Final[str] = getattr(
    context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation"
)
_SUPPRESS_PLAIN: Final = "suppress_instrumentation"
"""What exporters of earlier years set."""

_runtime: Any = getattr(context, "_RUNTIME_CONTEXT", None)
_variable: Any = (
    getattr(_runtime, "_current_context", None)
    if type(_runtime) is ContextVarsRuntimeContext
    else None
)
_plain = isinstance(_variable, ContextVar)

current: Callable[[], Context] = _variable.get if _plain else context.get_current
"""The current context."""
attach: Callable[[Context], Any] = _variable.set if _plain else context.attach
"""Makes a context the current one. Returns a token for ``detach``."""


def detach(token: Any) -> None:
    """The context from before ``attach``. In another task or thread than that one there is nothing
    to go back to, and nothing happens."""
    try:
        if _plain:
            _variable.reset(token)
        else:
            _runtime.detach(token)
    except ValueError:
        pass


def with_span(span: Span, base: Context) -> Context:
    """``base`` with ``span`` as its current span."""
    return Context({**base, SPAN_KEY: span} if base else {SPAN_KEY: span})


def context_in(found: Context) -> SpanContext | None:
    """The valid span context of a context's current span, if it has one."""
    span = found.get(SPAN_KEY)
    if span is None or not (type(span) is NonRecordingSpan or isinstance(span, Span)):
        return None
    told = span.get_span_context()
    return told if told[5] else None


def span_of(found: Context) -> Span:
    """The current span of a context, which may be the invalid one."""
    span = found.get(SPAN_KEY)
    return span if isinstance(span, Span) else INVALID_SPAN


def suppressed(found: Mapping[str, Any]) -> bool:
    """Whether whoever set this context asks not to be traced: exporters do."""
    return bool(found) and bool(found.get(_SUPPRESS) or found.get(_SUPPRESS_PLAIN))


def span_context(
    trace_id: int, span_id: int, is_remote: bool, flags: int, state: TraceState | None
) -> SpanContext:
    """A valid ``SpanContext``, past the checks of its constructor."""
    return tuple.__new__(
        SpanContext,
        (
            trace_id,
            span_id,
            is_remote,
            _FLAGS[flags] if flags < 4 else TraceFlags(flags),
            DEFAULT_TRACE_STATE if state is None else state,
            True,
        ),
    )


_FLAGS: Final = tuple(TraceFlags(number) for number in range(4))

if span_context(1, 2, True, 1, None) != SpanContext(1, 2, True, TraceFlags(1)):
    # an API whose SpanContext is built otherwise
    def span_context(
        trace_id: int, span_id: int, is_remote: bool, flags: int, state: TraceState | None
    ) -> SpanContext:
        return SpanContext(trace_id, span_id, is_remote, TraceFlags(flags), state)
