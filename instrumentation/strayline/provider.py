"""Whose tracer provider: the application's own if it has one by the first span, else ours.

Decided at the first span and not at import, because an application may configure OpenTelemetry
after it imports us, and a provider set early would take that away from it.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, Tracer

from strayline.conventions import (
    HOST_NAME,
    PROCESS_PID,
    SCOPE,
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
)
from strayline.export.http import HttpSpanProcessor
from strayline.guard import log, survived
from strayline.settings import Settings
from strayline.version import __version__

_lock: Final = threading.RLock()
_service_name: str | None = None
_own: TracerProvider | None = None
_processor: HttpSpanProcessor | None = None
_tracers: dict[str, Tracer] = {}
_resource: Mapping[str, Any] | None = None


def set_service_name(name: str) -> None:
    """Said in code it wins over the environment; after the first span it is too late."""
    global _service_name
    _service_name = name


def tracer(scope: str) -> Tracer:
    """The tracer for ``strayline.<shim>`` spans. The first call decides the provider."""
    found = _tracers.get(scope)
    if found is None:
        with _lock:
            provider = trace.get_tracer_provider()
            if isinstance(provider, trace.ProxyTracerProvider):
                provider = _own_provider()
            found = _tracers[scope] = provider.get_tracer(f"{SCOPE}.{scope}", __version__)
    return found


def say(name: str, attributes: Mapping[str, Any]) -> None:
    """Sends one span about ourselves (topology, census): never sampled away, in no trace."""
    with survived(f"sending {name}"):
        plain = tracer("report")
        if _processor is None:  # the application's provider: its sampler decides, as for all
            plain.start_span(name, attributes=attributes).end()
            return
        now = time.time_ns()
        context = SpanContext(
            int.from_bytes(os.urandom(16), "big") or 1,
            int.from_bytes(os.urandom(8), "big") or 1,
            is_remote=False,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
        )
        _processor.enqueue(
            ReadableSpan(
                name,
                context=context,
                attributes=attributes,
                kind=SpanKind.INTERNAL,
                resource=Resource.get_empty(),
                start_time=now,
                end_time=now,
                instrumentation_scope=InstrumentationScope(f"{SCOPE}.report", __version__),
            )
        )


def dropped_spans() -> int:
    """Spans that found no room or no collector, since the process began."""
    return _processor.dropped if _processor is not None else 0


def flush(timeout_s: float = 30.0) -> bool:
    """Sends what is queued; False when that took too long."""
    return _processor is None or _processor.force_flush(int(timeout_s * 1000))


def forget() -> None:
    """Lets go of the provider, so that the next span decides anew. For ``uninstrument`` in tests."""
    global _own, _processor, _resource
    with _lock:
        if _processor is not None:
            _processor.shutdown()
        _own = _processor = _resource = None
        _tracers.clear()


def _own_provider() -> TracerProvider:
    global _own, _processor
    if _own is None:
        settings = Settings.read()
        _own = TracerProvider(
            resource=Resource(dict(_resource_attributes())), shutdown_on_exit=False
        )
        if settings.exporter == "none":
            pass
        elif settings.protocol == "grpc":
            _add_grpc_export(_own)
        else:
            _processor = HttpSpanProcessor(settings, _resource_attributes)
            _own.add_span_processor(_processor)
        trace.set_tracer_provider(_own)
    return _own


def _add_grpc_export(provider: TracerProvider) -> None:
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning(
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc needs: pip install 'strayline[grpc-export]'; spans are not sent"
        )
        return
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))


def _resource_attributes() -> Mapping[str, Any]:
    """This process's resource. Asked for again after a fork, when instance and pid are others."""
    global _resource
    if _resource is None or _resource[PROCESS_PID] != os.getpid():
        own: dict[str, Any] = {HOST_NAME: socket.gethostname(), PROCESS_PID: os.getpid()}
        attributes = dict(Resource.create(own).attributes)
        if _resource is not None or SERVICE_INSTANCE_ID not in attributes:
            attributes[SERVICE_INSTANCE_ID] = str(uuid.uuid4())
        if _service_name is not None:
            attributes[SERVICE_NAME] = _service_name
        _resource = attributes
    return _resource
