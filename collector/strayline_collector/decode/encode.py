"""The way back: rows of ``spans`` to the OTLP message that they came from, field by field.

What the way in folds together stays folded, and no sender means any of it: a kind or status code
out of range is "unspecified", times after the year 2116 are its end, of an attribute named twice
the last stands, a parent id of zeros is none, and values nested deeper than 64 levels are null.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import EntityRef
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from strayline_collector.decode import values

COLUMNS: Final = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "trace_state",
    "flags",
    "name",
    "kind",
    "start_ns",
    "end_ns",
    "status_code",
    "status_message",
    "attributes",
    "events",
    "links",
    "resource",
    "scope",
    "dropped",
)
"""What ``request_of`` needs of a row; every other column repeats something of these."""


def request_of(rows: Iterable[Mapping[str, Any]]) -> ExportTraceServiceRequest:
    """The rows as one request. Spans of one resource and scope stand together, in their order."""
    request = ExportTraceServiceRequest()
    resources: dict[str, ResourceSpans] = {}
    scopes: dict[tuple[str, str], ScopeSpans] = {}
    for row in rows:
        place = (row["resource"], row["scope"])
        scope_spans = scopes.get(place)
        if scope_spans is None:
            resource_spans = resources.get(row["resource"])
            if resource_spans is None:
                resource_spans = request.resource_spans.add()
                _resource(resource_spans, json.loads(row["resource"]))
                resources[row["resource"]] = resource_spans
            scope_spans = resource_spans.scope_spans.add()
            _scope(scope_spans, json.loads(row["scope"]))
            scopes[place] = scope_spans
        _span(scope_spans.spans.add(), row)
    return request


def _resource(target: ResourceSpans, document: Mapping[str, Any]) -> None:
    target.schema_url = document.get("schema_url", "")
    resource = target.resource
    values.fill(resource.attributes, document["attributes"])
    resource.dropped_attributes_count = document.get("dropped_attributes_count", 0)
    for entity in document.get("entity_refs", ()):
        resource.entity_refs.append(EntityRef(**entity))


def _scope(target: ScopeSpans, document: Mapping[str, Any]) -> None:
    target.schema_url = document.get("schema_url", "")
    scope = target.scope
    scope.name = document["name"]
    scope.version = document.get("version", "")
    values.fill(scope.attributes, document.get("attributes", {}))
    scope.dropped_attributes_count = document.get("dropped_attributes_count", 0)


def _span(span: Span, row: Mapping[str, Any]) -> None:
    span.trace_id = bytes.fromhex(row["trace_id"])
    span.span_id = bytes.fromhex(row["span_id"])
    span.parent_span_id = bytes.fromhex(row["parent_span_id"] or "")
    span.trace_state = row["trace_state"] or ""
    span.flags = row["flags"] or 0
    span.name = row["name"]
    span.kind = row["kind"]
    span.start_time_unix_nano = row["start_ns"]
    span.end_time_unix_nano = row["end_ns"]
    if row["status_code"] or row["status_message"]:
        span.status.CopyFrom(Status(code=row["status_code"], message=row["status_message"] or ""))
    values.fill(span.attributes, json.loads(row["attributes"]))
    for event in json.loads(row["events"] or "[]"):
        values.fill(
            span.events.add(
                name=event["name"],
                time_unix_nano=event["time_unix_nano"],
                dropped_attributes_count=event.get("dropped_attributes_count", 0),
            ).attributes,
            event["attributes"],
        )
    for link in json.loads(row["links"] or "[]"):
        values.fill(
            span.links.add(
                trace_id=bytes.fromhex(link["trace_id"]),
                span_id=bytes.fromhex(link["span_id"]),
                trace_state=link.get("trace_state", ""),
                flags=link.get("flags", 0),
                dropped_attributes_count=link.get("dropped_attributes_count", 0),
            ).attributes,
            link["attributes"],
        )
    for name, count in json.loads(row["dropped"] or "{}").items():
        setattr(span, f"dropped_{name}_count", count)
