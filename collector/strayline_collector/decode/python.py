"""The reference decoder: opentelemetry-proto messages to columns. Clear before fast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import EntityRef
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from strayline_collector.decode import values
from strayline_collector.decode.examined import Examined
from strayline_collector.decode.promote import promoted
from strayline_collector.errors import BadInput

SCHEMA: Final = pa.schema(
    [
        ("received_ns", pa.int64()),
        ("trace_id", pa.string()),
        ("span_id", pa.string()),
        ("parent_span_id", pa.string()),
        ("trace_state", pa.string()),
        ("flags", pa.uint32()),
        ("name", pa.string()),
        ("kind", pa.uint8()),
        ("start_ns", pa.int64()),
        ("end_ns", pa.int64()),
        ("status_code", pa.uint8()),
        ("status_message", pa.string()),
        ("service", pa.string()),
        ("environment", pa.string()),
        ("process", pa.string()),
        ("host", pa.string()),
        ("scope_name", pa.string()),
        ("http_method", pa.string()),
        ("http_status_code", pa.int16()),
        ("http_route", pa.string()),
        ("url_path", pa.string()),
        ("rpc_system", pa.string()),
        ("rpc_service", pa.string()),
        ("rpc_method", pa.string()),
        ("rpc_status", pa.string()),
        ("messaging_system", pa.string()),
        ("messaging_operation", pa.string()),
        ("db_system", pa.string()),
        ("server_address", pa.string()),
        ("server_port", pa.int32()),
        ("peer_service", pa.string()),
        ("attributes", pa.string()),
        ("events", pa.string()),
        ("links", pa.string()),
        ("resource", pa.string()),
        ("scope", pa.string()),
        ("dropped", pa.string()),
    ]
)

_MAX_NS: Final = 2**62 - 1
"""Year 2116; later times are nonsense, and this leaves room to add to them."""

MAX_UNFOLDED: Final = 256 * 1024 * 1024
"""Bytes that a request's resources and scopes may take as text, each once a span: tables repeat them,
and a request with a large one and many spans would fill any memory."""

Row = dict[str, Any]


def decode(requests: Sequence[bytes], received_ns: int) -> pa.Table:
    """See ``decode.otlp.decode``."""
    rows: list[Row] = []
    for body in requests:
        request = parse(body)
        _count(body, request)
        rows += request_rows(request, received_ns)
    return pa.Table.from_pylist(rows, SCHEMA)


def examine(body: bytes) -> Examined:
    """See ``decode.otlp.examine``."""
    return _count(body, parse(body))


def _count(body: bytes, request: ExportTraceServiceRequest) -> Examined:
    """Raises ``BadInput`` when the request unfolds to more than ``MAX_UNFOLDED``."""
    accepted = rejected = 0
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                if valid_ids(span):
                    accepted += 1
                else:
                    rejected += 1
    # text is at most twelve times its wire: eight as JSON, and a name stands in other columns too
    if len(body) * 12 * accepted > MAX_UNFOLDED and _unfolded(request) > MAX_UNFOLDED:
        raise BadInput(
            "not an ExportTraceServiceRequest to store: its resources, repeated for each span, take"
            f" more than {MAX_UNFOLDED:,} bytes; send fewer spans at once, or smaller resources"
        )
    return Examined(accepted, rejected)


def _unfolded(request: ExportTraceServiceRequest) -> int:
    total = 0
    for resource_spans in request.resource_spans:
        resource = _size(_resource(resource_spans))
        for scope_spans in resource_spans.scope_spans:
            scope = _size(_scope(scope_spans))
            total += (resource + scope) * sum(map(valid_ids, scope_spans.spans))
    return total


def _size(columns: Row) -> int:
    return sum(len(text.encode()) for text in columns.values() if text is not None)


def parse(body: bytes) -> ExportTraceServiceRequest:
    """The protobuf message. Raises ``BadInput`` when the bytes are none."""
    try:
        return ExportTraceServiceRequest.FromString(body)
    except (DecodeError, RecursionError) as error:
        raise BadInput(f"not an ExportTraceServiceRequest: {error}") from None


def request_rows(request: ExportTraceServiceRequest, received_ns: int) -> Iterator[Row]:
    """One row a valid span, columns of ``SCHEMA``."""
    for resource_spans in request.resource_spans:
        resource = _resource(resource_spans)
        for scope_spans in resource_spans.scope_spans:
            scope = _scope(scope_spans)
            for span in scope_spans.spans:
                if valid_ids(span):
                    yield {
                        "received_ns": received_ns,
                        **resource,
                        **scope,
                        **_span(span),
                    }


def valid_ids(span: Span) -> bool:
    """Whether the span can be told from others: 16 and 8 bytes, neither all zero."""
    return (
        len(span.trace_id) == 16
        and len(span.span_id) == 8
        and any(span.trace_id)
        and any(span.span_id)
    )


def _resource(resource_spans: ResourceSpans) -> Row:
    attributes = values.attributes(resource_spans.resource.attributes)
    host = _first(attributes, "host.id", "host.name", "container.id")
    process = _first(attributes, "service.instance.id")
    pid = attributes.get("process.pid")
    if process is None and host is not None and isinstance(pid, int):
        process = f"{host}:{pid}"
    document: Row = {"attributes": attributes}
    if resource_spans.resource.dropped_attributes_count:
        document["dropped_attributes_count"] = resource_spans.resource.dropped_attributes_count
    if resource_spans.schema_url:
        document["schema_url"] = resource_spans.schema_url
    if resource_spans.resource.entity_refs:
        document["entity_refs"] = [_entity(e) for e in resource_spans.resource.entity_refs]
    return {
        "service": _first(attributes, "service.name") or "unknown_service",
        "environment": _first(attributes, "deployment.environment.name", "deployment.environment"),
        "process": process,
        "host": host,
        "resource": values.text(document),
    }


def _entity(entity: EntityRef) -> Row:
    row: Row = {"type": entity.type, "id_keys": list(entity.id_keys)}
    if entity.description_keys:
        row["description_keys"] = list(entity.description_keys)
    if entity.schema_url:
        row["schema_url"] = entity.schema_url
    return row


def _scope(scope_spans: ScopeSpans) -> Row:
    scope = scope_spans.scope
    document: Row = {"name": scope.name}
    if scope.version:
        document["version"] = scope.version
    if scope.attributes:
        document["attributes"] = values.attributes(scope.attributes)
    if scope.dropped_attributes_count:
        document["dropped_attributes_count"] = scope.dropped_attributes_count
    if scope_spans.schema_url:
        document["schema_url"] = scope_spans.schema_url
    return {"scope_name": scope.name or None, "scope": values.text(document)}


def _span(span: Span) -> Row:
    attributes = values.attributes(span.attributes)
    dropped = {
        name: count
        for name in ("attributes", "events", "links")
        if (count := getattr(span, f"dropped_{name}_count"))
    }
    return {
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex() if any(span.parent_span_id) else None,
        "trace_state": span.trace_state or None,
        "flags": span.flags,
        "name": span.name,
        "kind": span.kind if 0 <= span.kind <= 5 else 0,
        "start_ns": min(span.start_time_unix_nano, _MAX_NS),
        "end_ns": min(span.end_time_unix_nano, _MAX_NS),
        "status_code": span.status.code if 0 <= span.status.code <= 2 else 0,
        "status_message": span.status.message or None,
        **promoted(span.kind, attributes),
        "attributes": values.text(attributes),
        "events": values.text([_event(event) for event in span.events]) if span.events else None,
        "links": values.text([_link(link) for link in span.links]) if span.links else None,
        "dropped": values.text(dropped) if dropped else None,
    }


def _event(event: Span.Event) -> Row:
    row: Row = {
        "name": event.name,
        "time_unix_nano": min(event.time_unix_nano, _MAX_NS),
        "attributes": values.attributes(event.attributes),
    }
    if event.dropped_attributes_count:
        row["dropped_attributes_count"] = event.dropped_attributes_count
    return row


def _link(link: Span.Link) -> Row:
    row: Row = {
        "trace_id": link.trace_id.hex(),
        "span_id": link.span_id.hex(),
        "attributes": values.attributes(link.attributes),
    }
    if link.trace_state:
        row["trace_state"] = link.trace_state
    if link.flags:
        row["flags"] = link.flags
    if link.dropped_attributes_count:
        row["dropped_attributes_count"] = link.dropped_attributes_count
    return row


def _first(attributes: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value:
            return value
    return None
