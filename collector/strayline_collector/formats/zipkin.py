"""Zipkin's v2 JSON (a list of spans) to OTLP.

Names and rules are those of the OpenTelemetry specification (*OpenTelemetry to Zipkin*), read
backwards: the local endpoint is the resource, tags that describe a resource belong to it, an
annotation is an event, ``otel.status_*`` and ``error`` are the status. A client and a server that
share a span id stay two spans, told apart by their kinds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

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

_RESOURCE: Final = (
    "service.", "telemetry.", "host.", "process.", "deployment.", "container.", "k8s.", "cloud.",
    "os.", "faas.",
)  # fmt: skip
"""Namespaces of tags that say who sent the span, as exporters flatten a resource into tags."""
_NO_RESOURCE: Final = ("service.peer.",)


def is_zipkin(span: Mapping[str, Any]) -> bool:
    return "traceId" in span and "id" in span


def zipkin_to_otlp(spans: object) -> ExportTraceServiceRequest:
    """A parsed list of Zipkin v2 spans. Raises ``BadInput`` naming the place."""
    if not isinstance(spans, list):
        raise BadInput("expected a list of Zipkin v2 spans")
    out = Requests()
    for i, told in enumerate(spans):
        where = f"[{i}]"
        _span(out, object_of(told, where), where)
    return out.request


def _span(out: Requests, told: dict[str, Any], where: str) -> None:
    tags = {
        encodable(name): _tag(value, f"{where}.tags.{name}")
        for name, value in object_of(told.get("tags") or {}, f"{where}.tags").items()
    }
    scope = [
        next(filter(None, (tags.pop(name, "") for name in names)), "")
        for names in (
            ("otel.scope.name", "otel.library.name"),
            ("otel.scope.version", "otel.library.version"),
        )
    ]
    for old in ("otel.library.name", "otel.library.version"):
        tags.pop(old, None)
    local = object_of(told.get("localEndpoint") or {}, f"{where}.localEndpoint")
    resource = {
        name: tags.pop(name)
        for name in list(tags)
        if name.startswith(_RESOURCE) and not name.startswith(_NO_RESOURCE)
    }
    service = text_of(local.get("serviceName"), f"{where}.localEndpoint.serviceName")
    if service:
        resource = {**resource, "service.name": service}
    span = out.span(resource, *scope)
    span.trace_id = _id(told.get("traceId"), (16, 32), f"{where}.traceId")
    span.span_id = _id(told.get("id"), (16,), f"{where}.id")
    if told.get("parentId") is not None:
        span.parent_span_id = _id(told["parentId"], (16,), f"{where}.parentId")
    span.name = text_of(told.get("name"), f"{where}.name")
    kind = text_of(told.get("kind"), f"{where}.kind").lower()
    if kind and kind not in SPAN_KINDS:
        raise BadInput(f"{where}.kind: expected CLIENT, SERVER, PRODUCER or CONSUMER, not {kind!r}")
    span.kind = SPAN_KINDS[kind or "internal"]
    attributes = _endpoint(local, "network.local", f"{where}.localEndpoint")
    remote = object_of(told.get("remoteEndpoint") or {}, f"{where}.remoteEndpoint")
    attributes |= _endpoint(remote, "network.peer", f"{where}.remoteEndpoint")
    peer = text_of(remote.get("serviceName"), f"{where}.remoteEndpoint.serviceName")
    if peer:
        attributes["peer.service"] = peer
    for name in ("debug", "shared"):
        if told.get(name) is True:
            attributes[f"zipkin.{name}"] = True
    _status(span, tags)
    put(span.attributes, attributes | tags)  # what the sender tagged itself goes before
    _events(span, told, where)
    _times(span, told, where)


def _times(span: Span, told: dict[str, Any], where: str) -> None:
    """A span that lacks its start, which Zipkin allows, starts with its first annotation."""
    start = nanos(told.get("timestamp"), f"{where}.timestamp")
    if not start:
        start = min((event.time_unix_nano for event in span.events), default=0)
    span.start_time_unix_nano = start
    span.end_time_unix_nano = start + nanos(told.get("duration"), f"{where}.duration")


def _events(span: Span, told: dict[str, Any], where: str) -> None:
    for i, item in enumerate(list_of(told.get("annotations"), f"{where}.annotations")):
        place = f"{where}.annotations[{i}]"
        annotation = object_of(item, place)
        value = text_of(annotation.get("value"), f"{place}.value")
        name, attributes = _with_attributes(value)
        event = span.events.add(
            name=name, time_unix_nano=nanos(annotation.get("timestamp"), f"{place}.timestamp")
        )
        put(event.attributes, attributes)


def _with_attributes(value: str) -> tuple[str, dict[str, Any]]:
    """``{"name": {attributes}}`` or ``"name": {attributes}``, as OpenTelemetry's exporters write
    an event, else the text itself."""
    for candidate in (value, f"{{{value}}}") if value.endswith("}") else ():
        try:
            told: object = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(told, dict) and len(told) == 1:
            name, attributes = next(iter(told.items()))
            if isinstance(attributes, dict) and all(map(_is_value, attributes.values())):
                return encodable(name), {encodable(key): v for key, v in attributes.items()}
    return value, {}


def _is_value(told: Any) -> bool:
    if isinstance(told, list):
        return all(isinstance(item, (str, bool, int, float)) for item in told)
    return isinstance(told, (str, bool, int, float))


def _status(span: Span, tags: dict[str, str]) -> None:
    """``otel.status_code`` and its description; without them an ``error`` that is not "false".
    A text that says what went wrong stays a tag as well."""
    code = tags.pop("otel.status_code", "").upper()
    described = tags.pop("otel.status_description", None)
    error = tags.get("error")
    failed = code == "ERROR" or (code != "OK" and error is not None and error.lower() != "false")
    if code == "OK":
        span.status.code = Status.STATUS_CODE_OK
    elif failed:
        span.status.code = Status.STATUS_CODE_ERROR
        message = described if described is not None else error
        span.status.message = "" if message in (None, "true") else message
        if error in ("", "true") or (code == "ERROR" and error == span.status.message):
            del tags["error"]


def _endpoint(told: dict[str, Any], prefix: str, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    address = text_of(told.get("ipv4"), f"{where}.ipv4") or text_of(
        told.get("ipv6"), f"{where}.ipv6"
    )
    if address:
        found[f"{prefix}.address"] = address
    port = told.get("port")
    if port is not None:
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 0xFFFF:
            raise BadInput(f"{where}.port: expected a port number, not {port!r}")
        found[f"{prefix}.port"] = port
    return found


def _tag(value: Any, where: str) -> str:
    """Strings by the format; numbers and booleans of careless senders as JSON writes them."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    raise BadInput(f"{where}: expected a string, not {str(value)[:60]}")


def _id(value: Any, lengths: tuple[int, ...], where: str) -> bytes:
    if not isinstance(value, str) or len(value) not in lengths:
        expected = " or ".join(map(str, lengths))
        raise BadInput(f"{where}: expected {expected} hex digits, not {str(value)[:60]!r}")
    found = id_of(value, max(lengths) // 2, where)
    if not any(found):
        raise BadInput(f"{where}: must not be all zero")
    return found
