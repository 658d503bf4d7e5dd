"""Jaeger's UI JSON (``{"data": [{traceID, spans, processes}]}``), to OTLP and back.

Names and rules are those of the OpenTelemetry specification (*OpenTelemetry to Jaeger*) and of
Jaeger's own translation: parents are CHILD_OF references within the trace, other references are
links, ``span.kind``, ``otel.status_*`` and ``error`` are fields, a log's ``event`` is its name.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from strayline_collector.decode import values
from strayline_collector.errors import BadInput
from strayline_collector.formats.build import (
    SPAN_KINDS,
    Requests,
    encodable,
    id_of,
    list_of,
    nanos,
    object_of,
    put,
    text_of,
)

WARNINGS: Final = "@jaeger@warnings"
"""The attribute that Jaeger itself keeps a span's warnings in."""
REF_TYPE: Final = "opentracing.ref_type"
NO_SERVICE: Final = "unknown_service"
_STATUSES: Final = {
    "OK": Status.STATUS_CODE_OK,
    "ERROR": Status.STATUS_CODE_ERROR,
    "UNSET": Status.STATUS_CODE_UNSET,
}
_KIND_NAMES: Final = {kind: name for name, kind in SPAN_KINDS.items()}
_STATUS_NAMES: Final = {1: "OK", 2: "ERROR"}
_MAX_SAFE: Final = 2**53 - 1
"""Beyond this a browser's number loses digits; Jaeger sends a string."""


def is_jaeger(document: Mapping[str, Any]) -> bool:
    """One trace, or the answer that holds several."""
    return "data" in document or ("spans" in document and "traceID" in document)


def jaeger_to_otlp(document: Mapping[str, Any]) -> ExportTraceServiceRequest:
    """A trace, or ``{"data": [traces]}``. Raises ``BadInput`` naming the place."""
    if "data" not in document:
        return _from_traces([("trace", document)])
    traces = list_of(document["data"], "data")
    return _from_traces((f"data[{i}]", trace) for i, trace in enumerate(traces))


def _from_traces(traces: Iterable[tuple[str, Any]]) -> ExportTraceServiceRequest:
    out = Requests()
    for where, told in traces:
        trace = object_of(told, where)
        processes = {
            name: _resource(process, f"{where}.processes.{name}")
            for name, process in object_of(
                trace.get("processes") or {}, f"{where}.processes"
            ).items()
        }
        for i, span in enumerate(list_of(trace.get("spans"), f"{where}.spans")):
            place = f"{where}.spans[{i}]"
            _span_in(out, object_of(span, place), processes, place)
    return out.request


def _resource(told: Any, where: str) -> dict[str, Any]:
    process = object_of(told, where)
    service = text_of(process.get("serviceName"), f"{where}.serviceName")
    tags = _tags(process.get("tags"), f"{where}.tags")
    return ({"service.name": service} if service and service != NO_SERVICE else {}) | tags


def _span_in(
    out: Requests, told: dict[str, Any], processes: Mapping[str, dict[str, Any]], where: str
) -> None:
    tags = _tags(told.get("tags"), f"{where}.tags")
    scope = [
        next((v for n in names if isinstance(v := tags.pop(n, None), str)), "")
        for names in (
            ("otel.scope.name", "otel.library.name"),
            ("otel.scope.version", "otel.library.version"),
        )
    ]
    for old in ("otel.library.name", "otel.library.version"):
        tags.pop(old, None)
    if told.get("process") is not None:
        resource = _resource(told["process"], f"{where}.process")
    else:
        resource = processes.get(str(told.get("processID")), {})
    span = out.span(resource, scope[0], scope[1])
    span.trace_id = id_of(told.get("traceID"), 16, f"{where}.traceID")
    span.span_id = id_of(told.get("spanID"), 8, f"{where}.spanID")
    span.name = text_of(told.get("operationName"), f"{where}.operationName")
    span.start_time_unix_nano = nanos(told.get("startTime"), f"{where}.startTime")
    span.end_time_unix_nano = span.start_time_unix_nano + nanos(
        told.get("duration"), f"{where}.duration"
    )
    flags = told.get("flags")
    span.flags = flags & 1 if isinstance(flags, int) else 0
    _relations(span, told, where)
    _fields_of_tags(span, tags)
    warnings = [text_of(w, f"{where}.warnings") for w in list_of(told.get("warnings"), where)]
    put(span.attributes, tags | ({WARNINGS: warnings} if warnings else {}))
    for i, log in enumerate(list_of(told.get("logs"), f"{where}.logs")):
        place = f"{where}.logs[{i}]"
        fields = _tags(object_of(log, place).get("fields"), f"{place}.fields")
        name = fields.pop("event", "") if isinstance(fields.get("event", ""), str) else ""
        event = span.events.add(
            name=name, time_unix_nano=nanos(log.get("timestamp"), f"{place}.timestamp")
        )
        put(event.attributes, fields)


def _relations(span: Span, told: dict[str, Any], where: str) -> None:
    """The first CHILD_OF within the trace is the parent, else the first FOLLOWS_FROM within it."""
    references: list[tuple[str, bytes, bytes]] = []
    for i, item in enumerate(list_of(told.get("references"), f"{where}.references")):
        place = f"{where}.references[{i}]"
        reference = object_of(item, place)
        references.append(
            (
                text_of(reference.get("refType"), f"{place}.refType").upper(),
                id_of(reference.get("traceID"), 16, f"{place}.traceID"),
                id_of(reference.get("spanID"), 8, f"{place}.spanID"),
            )
        )
    if told.get("parentSpanID"):
        span.parent_span_id = id_of(told["parentSpanID"], 8, f"{where}.parentSpanID")
        known = ("CHILD_OF", span.trace_id, span.parent_span_id)
        if known in references:
            references.remove(known)
    else:
        within = [r for r in references if r[1] == span.trace_id]
        parent = next((r for r in within if r[0] == "CHILD_OF"), within[0] if within else None)
        if parent is not None:
            span.parent_span_id = parent[2]
            references.remove(parent)
    for kind, trace_id, span_id in references:
        link = span.links.add(trace_id=trace_id, span_id=span_id)
        put(link.attributes, {REF_TYPE: "child_of" if kind == "CHILD_OF" else "follows_from"})


def _fields_of_tags(span: Span, tags: dict[str, Any]) -> None:
    """Moves what is a field in OTLP out of ``tags``."""
    kind = tags.get("span.kind")
    if isinstance(kind, str) and kind.lower() in SPAN_KINDS:
        span.kind = SPAN_KINDS[kind.lower()]
        del tags["span.kind"]
    state = tags.get("w3c.tracestate")
    if isinstance(state, str):
        span.trace_state = state
        del tags["w3c.tracestate"]
    code = tags.get("otel.status_code")
    if isinstance(code, str) and code.upper() in _STATUSES:
        span.status.code = _STATUSES[code.upper()]
        del tags["otel.status_code"]
        if code.upper() == "ERROR" and tags.get("error") is True:
            del tags["error"]
    elif tags.get("error") in (True, "true"):
        span.status.code = Status.STATUS_CODE_ERROR
        del tags["error"]
    message = tags.get("otel.status_description")
    if isinstance(message, str):
        span.status.message = message
        del tags["otel.status_description"]


def _tags(told: Any, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for i, item in enumerate(list_of(told, where)):
        place = f"{where}[{i}]"
        tag = object_of(item, place)
        name = text_of(tag.get("key"), f"{place}.key")
        try:
            found[name] = _typed(str(tag.get("type") or "").lower(), tag.get("value"))
        except (ValueError, binascii.Error):
            raise BadInput(
                f"{place} ({name}): {str(tag.get('value'))[:60]!r} is no {tag.get('type')}"
            ) from None
    return found


def _typed(kind: str, value: Any) -> Any:
    """Jaeger writes large integers, and some stores every value, as strings."""
    if isinstance(value, str):
        if kind == "bool":
            if value.lower() not in ("true", "false"):
                raise ValueError(value)
            return value.lower() == "true"
        if kind == "int64":
            return int(value)
        if kind == "float64":
            return float(value) if math.isfinite(float(value)) else {"doubleValue": value}
        return base64.b64decode(value, validate=True) if kind == "binary" else encodable(value)
    if kind == "float64" and isinstance(value, int):
        return float(value)
    if kind == "int64" and isinstance(value, float) and value.is_integer():
        return int(value)
    return encodable(values.text(value)) if isinstance(value, (dict, list)) else value


# ---- back -------------------------------------------------------------------------------------


def jaeger_traces(request: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    """The traces of a request, as in Jaeger's ``data``. Times lose what is below a microsecond;
    dropped counts, schemas and a link's tracestate have no place there."""
    traces: dict[bytes, dict[str, Any]] = {}
    for resource_spans in request.resource_spans:
        names: dict[bytes, str] = {}
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                trace = traces.setdefault(
                    span.trace_id,
                    {
                        "traceID": span.trace_id.hex(),
                        "spans": [],
                        "processes": {},
                        "warnings": None,
                    },
                )
                if span.trace_id not in names:
                    names[span.trace_id] = f"p{len(trace['processes']) + 1}"
                    trace["processes"][names[span.trace_id]] = _process(resource_spans)
                trace["spans"].append(_span_out(span, scope_spans, names[span.trace_id]))
    return list(traces.values())


def _process(resource_spans: ResourceSpans) -> dict[str, Any]:
    told = values.attributes(resource_spans.resource.attributes)
    service = told.get("service.name")
    if isinstance(service, str) and service:
        del told["service.name"]
    else:
        service = NO_SERVICE
    return {"serviceName": service, "tags": _tags_out(told)}


def _span_out(span: Span, scope_spans: ScopeSpans, process: str) -> dict[str, Any]:
    told = values.attributes(span.attributes)
    warnings = told.get(WARNINGS)
    if isinstance(warnings, list):
        del told[WARNINGS]
    tags = _tags_out(told)
    for name, value in (
        ("span.kind", _KIND_NAMES.get(span.kind)),
        ("otel.status_code", _STATUS_NAMES.get(span.status.code)),
        ("otel.status_description", span.status.message or None),
        ("w3c.tracestate", span.trace_state or None),
        ("otel.scope.name", scope_spans.scope.name or None),
        ("otel.scope.version", scope_spans.scope.version or None),
        ("error", True if span.status.code == Status.STATUS_CODE_ERROR else None),
    ):
        if value is not None and name not in told:
            tags += _tags_out({name: value})
    trace_id = span.trace_id.hex()
    references: list[dict[str, str]] = []
    if span.parent_span_id:
        references.append(_reference("CHILD_OF", trace_id, span.parent_span_id.hex()))
    for link in span.links:
        child = values.attributes(link.attributes).get(REF_TYPE) == "child_of"
        references.append(
            _reference(
                "CHILD_OF" if child else "FOLLOWS_FROM", link.trace_id.hex(), link.span_id.hex()
            )
        )
    start = span.start_time_unix_nano // 1000
    return {
        "traceID": trace_id,
        "spanID": span.span_id.hex(),
        "flags": span.flags & 1,
        "operationName": span.name,
        "references": references,
        "startTime": start,
        "duration": max(0, span.end_time_unix_nano - span.start_time_unix_nano) // 1000,
        "tags": tags,
        "logs": [
            {
                "timestamp": event.time_unix_nano // 1000,
                "fields": _tags_out(
                    ({"event": event.name} if event.name else {})
                    | values.attributes(event.attributes)
                ),
            }
            for event in span.events
        ],
        "processID": process,
        "warnings": warnings,
    }


def _reference(kind: str, trace_id: str, span_id: str) -> dict[str, str]:
    return {"refType": kind, "traceID": trace_id, "spanID": span_id}


def _tags_out(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, **_typed_out(value)} for name, value in told.items()]


def _typed_out(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"type": "string", "value": value}
    if isinstance(value, bool):
        return {"type": "bool", "value": value}
    if isinstance(value, int):
        return {"type": "int64", "value": value if abs(value) <= _MAX_SAFE else str(value)}
    if isinstance(value, float):
        return {"type": "float64", "value": value}
    if isinstance(value, dict) and "bytesValue" in value:
        return {"type": "binary", "value": value["bytesValue"]}
    if isinstance(value, dict) and "doubleValue" in value:
        return {"type": "float64", "value": value["doubleValue"]}
    # lists, key-value lists and null: as JSON text
    return {"type": "string", "value": "" if value is None else values.text(value)}
