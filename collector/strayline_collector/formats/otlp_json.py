"""OTLP/JSON: the protobuf JSON mapping with hex ids and numeric enums (OTLP 1.11, JSON Protobuf
Encoding). In and out."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline_collector.errors import BadInput


def json_to_protobuf(body: bytes) -> bytes:
    """OTLP/JSON to protobuf bytes. Ids are hex of either case, 64-bit integers strings or
    numbers, unknown fields ignored, names lowerCamelCase alone. Raises ``BadInput``."""
    try:
        document: object = json.loads(body, object_pairs_hook=_fields)
        return document_to_request(document).SerializeToString()
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the JSON body is no ExportTraceServiceRequest: {error}") from None


def document_to_request(document: object) -> ExportTraceServiceRequest:
    """As ``json_to_protobuf``, of JSON that is parsed already; changes ``document``."""
    if not isinstance(document, dict):
        raise BadInput("the JSON body is no object")
    try:
        _for_each_span(document, _ids_to_base64)
        return ParseDict(document, ExportTraceServiceRequest(), ignore_unknown_fields=True)
    except (ValueError, ParseError, RecursionError, TypeError, AttributeError) as error:
        raise BadInput(f"the JSON body is no ExportTraceServiceRequest: {error}") from None


def protobuf_to_document(request: ExportTraceServiceRequest) -> dict[str, Any]:
    """What ``json.dumps`` writes as OTLP/JSON."""
    document = MessageToDict(request, use_integers_for_enums=True)
    _for_each_span(document, _ids_to_hex)
    return document


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """``ParseDict`` would take a field's proto name too; every key in OTLP/JSON is a field's."""
    return {name: value for name, value in pairs if "_" not in name}


def _for_each_span(document: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> None:
    for resource_spans in document.get("resourceSpans") or []:
        for scope_spans in resource_spans.get("scopeSpans") or []:
            for span in scope_spans.get("spans") or []:
                change(span)
                for link in span.get("links") or []:
                    change(link)


def _ids_to_base64(item: dict[str, Any]) -> None:
    for name in ("traceId", "spanId", "parentSpanId"):
        value = item.get(name)
        if isinstance(value, str):
            try:
                item[name] = base64.b64encode(bytes.fromhex(value)).decode()
            except (ValueError, binascii.Error):
                # no hex: an id of no valid length, so that this span alone is refused
                item[name] = base64.b64encode(b"\x00").decode()


def _ids_to_hex(item: dict[str, Any]) -> None:
    for name in ("traceId", "spanId", "parentSpanId"):
        if name in item:
            item[name] = base64.b64decode(item[name]).hex()
