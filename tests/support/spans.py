"""Single spans as OTLP requests, for tests of what the collector makes of them."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def otlp_span(number: int, kind: int, linked: int | None = None, **attributes: str | int) -> bytes:
    """A messaging span: its id is eight times ``number``, which is its start too; ``linked`` is the
    number of the span that it links. ``__`` in a name stands for a dot."""
    request = ExportTraceServiceRequest()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            name="x", kind=kind, trace_id=b"\x01" * 16, span_id=bytes([number] * 8),
            start_time_unix_nano=number, end_time_unix_nano=number + 1,
        )
    )  # fmt: skip
    if linked is not None:
        span.links.add(trace_id=b"\x01" * 16, span_id=bytes([linked] * 8))
    for name, value in {"messaging.system": "rabbitmq", **attributes}.items():
        item = span.attributes.add(key=name.replace("__", ".")).value
        if isinstance(value, bool):  # before int: a bool is one
            item.bool_value = value
        elif isinstance(value, int):
            item.int_value = value
        else:
            item.string_value = value
    return request.SerializeToString()
