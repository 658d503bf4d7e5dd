"""Whose tracer provider: the application's own if it has one, else ours.

Decided at the first span and not at import, because an application may configure OpenTelemetry
after it imports us, and a provider set early would take that away from it. Even later it still
can: ours is put in place without claiming the one chance that OpenTelemetry gives to set one.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
    TracerProvider,
)

from strayline import resource
from strayline.conventions import SCOPE
from strayline.current import SPAN_KEY, with_span
from strayline.export.http import HttpSender
from strayline.guard import log, survived
from strayline.lifecycle import after_fork, at_exit, time_left
from strayline.settings import Settings
from strayline.tracing import ids
from strayline.tracing.attributes import Steady
from strayline.tracing.provider import LightProvider, LightTracer, Scope
from strayline.tracing.span import LightSpan
from strayline.version import __version__

if "opentelemetry.sdk.trace" in sys.modules:
    # wanted for an application's own provider; not first in a thread, during whose import a fork
    # would leave its lock held in the child
    import_module("strayline.tracing.sdk")

_lock = threading.RLock()
_current: TracerProvider | None = None
"""Whose tracers are in ``_tracers``."""
_tracers: dict[str, Tracer] = {}
_own: LightProvider | None = None
_sender: HttpSender | None = None
_watchers: Final[list[Callable[[Any], None]]] = []


def tracer(scope: str) -> Tracer:
    """The tracer for ``strayline.<shim>`` spans, of whoever's provider it is by now."""
    if trace._TRACER_PROVIDER is _current:  # pyright: ignore[reportPrivateUsage]
        found = _tracers.get(scope)
        if found is not None:
            return found
    return _decide(scope)


def start_span(
    scope: str,
    name: str,
    parent: SpanContext | None,
    context: Context,
    kind: SpanKind,
    steady: Steady,
    own: dict[str, Any],
    link: SpanContext | None = None,
) -> Span:
    """A span of a shim under ``parent``, valid or none; ``context`` holds what else came with it.
    ``steady`` are attributes that it has in common with others; ``own`` are its own and given away.
    Values are plain, or tuples of plain ones."""
    found = (
        _tracers.get(scope)
        if trace._TRACER_PROVIDER is _current  # pyright: ignore[reportPrivateUsage]
        else None
    )
    if found is None:
        found = _decide(scope)
    if type(found) is LightTracer and found.is_plain:
        return found.begin(name, parent, context, kind, steady, own, link)
    links = () if link is None else (Link(link),)
    if parent is not None and SPAN_KEY not in context:
        context = with_span(NonRecordingSpan(parent), context)
    return found.start_span(name, context, kind, {**steady, **own}, links)


def say(name: str, attributes: Mapping[str, Any]) -> None:
    """Sends one span about ourselves (topology, census): never sampled away, in no trace."""
    with survived(f"sending {name}"):
        plain = tracer("report")
        now = time.time_ns()
        span = _report_span(
            plain if isinstance(plain, LightTracer) else None, name, attributes, now
        )
        span.end_time = now
        if isinstance(plain, LightTracer):
            plain.provider.ended(span)
            return
        # past the sampler of the application's provider, where it is the SDK's
        processor = getattr(_current, "_active_span_processor", None)
        if processor is None:
            plain.start_span(name, attributes=attributes).end()
            return
        from strayline.tracing.sdk import readable

        processor.on_end(readable(span, getattr(_current, "resource", None)))


def dropped_spans() -> int | None:
    """Spans that found no room or no collector, since the process began; None: an application's own
    provider sends them, and does not tell."""
    return _sender.dropped if _sender is not None else None


def is_collector_away() -> bool:
    """Whether nobody took the last spans that were sent, as far as our own provider sends them."""
    return _sender is not None and _sender.away


def flush(timeout_s: float = 30.0) -> bool:
    """Sends what is queued; False when that took too long. An application's own provider is
    asked to, if it can."""
    force = getattr(_current, "force_flush", None)
    return force is None or bool(force(int(timeout_s * 1000)))


def watch_starts(watcher: Callable[[Any], None]) -> None:
    """Tells ``watcher`` of every span that anybody starts with the provider in force."""
    if watcher not in _watchers:
        _watchers.append(watcher)
        with survived("watching span starts"):
            tracer("report")  # decides, if nobody has
            _watch(watcher)


def forget() -> None:
    """Lets go of the provider, so that the next span decides anew. For tests."""
    global _own, _sender, _current
    with _lock:
        if _own is not None:
            _own.shutdown()
            if getattr(trace, "_TRACER_PROVIDER", None) is _own:
                trace._TRACER_PROVIDER = None  # pyright: ignore[reportPrivateUsage]
        _own = _sender = _current = None
        _tracers.clear()


@contextmanager
def alone() -> Generator[None]:
    """Our own provider's time, whatever provider the application had before: that one is put back
    afterwards. One that the application sets meanwhile holds. For tests."""
    forget()
    before = trace._TRACER_PROVIDER  # pyright: ignore[reportPrivateUsage]
    trace._TRACER_PROVIDER = None  # pyright: ignore[reportPrivateUsage]
    try:
        yield
    finally:
        forget()
        if trace._TRACER_PROVIDER is None:  # pyright: ignore[reportPrivateUsage]
            trace._TRACER_PROVIDER = before  # pyright: ignore[reportPrivateUsage]


def is_own() -> bool:
    """Whether spans go to our own provider, as far as is decided."""
    return _own is not None and _own is _current


def _decide(scope: str) -> Tracer:
    global _current
    with _lock:
        provider = trace.get_tracer_provider()
        if isinstance(provider, trace.ProxyTracerProvider):
            provider = _own_provider()
        if provider is not _current:
            _current = provider
            _tracers.clear()
            for watcher in _watchers:
                _watch(watcher)
        found = _tracers[scope] = provider.get_tracer(f"{SCOPE}.{scope}", __version__)
    return found


def _own_provider() -> LightProvider:
    global _own, _sender
    if _own is None:
        settings = Settings.read()
        if settings.exporter == "otlp" and settings.protocol != "grpc":
            _sender = HttpSender(settings, resource.attributes, _tell_of_drops, _tell_of_return)
        _own = LightProvider(resource.attributes, _sender)
        if settings.exporter == "otlp" and settings.protocol == "grpc":
            _add_grpc_export(_own)
        elif settings.exporter == "console":
            _add_console_export(_own)
        elif settings.exporter not in ("otlp", "none"):
            log.warning(
                "OTEL_TRACES_EXPORTER=%s is not known here (otlp, console, none); spans are not sent",
                settings.exporter,
            )
    # set_tracer_provider would spend the application's only chance to set its own
    trace._TRACER_PROVIDER = _own  # pyright: ignore[reportPrivateUsage]
    return _own


def _tell_of_drops() -> None:
    """Also where no AMQP shim has the census taken."""
    from strayline import census  # which needs us

    census.tell()


def _tell_of_return() -> None:
    census = sys.modules.get("strayline.census")
    if census is not None:  # else nobody has declared anything
        census.tell_again_soon()


def _add_grpc_export(provider: LightProvider) -> None:
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning(
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc needs: pip install 'strayline[grpc-export]'; spans are not sent"
        )
        return
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    at_exit(lambda: _flush_in(provider), last=True)


def _flush_in(provider: LightProvider) -> None:
    provider.force_flush(int(time_left() * 1000))


def _add_console_export(provider: LightProvider) -> None:
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))


def _watch(watcher: Callable[[Any], None]) -> None:
    if isinstance(_current, LightProvider):
        _current.watch_starts(watcher)
        return
    add = getattr(_current, "add_span_processor", None)
    if add is not None:
        from strayline.tracing.sdk import StartWatcher

        add(StartWatcher(watcher))


def _report_span(
    made_by: LightTracer | None, name: str, attributes: Mapping[str, Any], now: int
) -> LightSpan:
    owner = made_by or LightTracer(
        LightProvider(resource.attributes, None), Scope(f"{SCOPE}.report", __version__)
    )
    return LightSpan(
        owner,
        name,
        ids.trace_id(),
        ids.span_id(),
        TraceFlags.SAMPLED,
        None,
        None,
        SpanKind.INTERNAL,
        None,
        dict(attributes),
        now,
    )


def _in_child() -> None:
    global _lock
    _lock = threading.RLock()


after_fork(_in_child)
