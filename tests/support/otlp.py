"""OTLP requests for tests of the doors: small, distinct, counted."""

from __future__ import annotations

import itertools
import os
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PROTOBUF: Final = {"content-type": "application/x-protobuf"}
JSON: Final = {"content-type": "application/json"}
EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

_numbers = itertools.count(int.from_bytes(os.urandom(4), "big") << 32)


def new_trace() -> int:
    """A trace number that no test has used."""
    return next(_numbers)


def trace_id(number: int) -> str:
    """As the API writes it."""
    return f"{number:032x}"


def request(
    number: int | None = None, *, spans: int = 1, service: str = "sender", filler: int = 0
) -> ExportTraceServiceRequest:
    """One trace of ``spans`` spans; its number is the trace id. ``filler`` bytes of an attribute
    make each span larger."""
    number = new_trace() if number is None else number
    found = ExportTraceServiceRequest()
    resource_spans = found.resource_spans.add()
    resource_spans.resource.attributes.add(key="service.name").value.string_value = service
    scope_spans = resource_spans.scope_spans.add()
    start = 1_795_000_000_000_000_000
    for index in range(1, spans + 1):
        span = scope_spans.spans.add(
            name="work",
            kind=1,
            trace_id=number.to_bytes(16, "big"),
            span_id=index.to_bytes(8, "big"),
            start_time_unix_nano=start,
            end_time_unix_nano=start + 1_000_000,
        )
        if filler:
            span.attributes.add(key="filler").value.string_value = "x" * filler
    return found


def body(number: int | None = None, **options: int) -> bytes:
    """``request`` as bytes."""
    return request(number, **options).SerializeToString()
