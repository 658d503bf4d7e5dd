"""OTLP/JSON: the protobuf JSON mapping with hex ids and numeric enums (OTLP 1.11, JSON Protobuf
Encoding). In and out."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline_collector.decode.otlp import from_json


def json_to_protobuf(body: bytes) -> bytes:
    """OTLP/JSON to protobuf bytes, by the rules of ``decode/otlp_json.py``. Raises ``BadInput``."""
    return from_json(body)


def document_to_request(document: object) -> ExportTraceServiceRequest:
    """As ``json_to_protobuf``, of JSON that is parsed already."""
    return ExportTraceServiceRequest.FromString(from_json(json.dumps(document).encode()))


def protobuf_to_document(request: ExportTraceServiceRequest) -> dict[str, Any]:
    """What ``json.dumps`` writes as OTLP/JSON."""
    document = MessageToDict(request, use_integers_for_enums=True)
    _for_each_span(document, _ids_to_hex)
    return document


def _for_each_span(document: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> None:
    for resource_spans in document.get("resourceSpans") or []:
        for scope_spans in resource_spans.get("scopeSpans") or []:
            for span in scope_spans.get("spans") or []:
                change(span)
                for link in span.get("links") or []:
                    change(link)


def _ids_to_hex(item: dict[str, Any]) -> None:
    for name in ("traceId", "spanId", "parentSpanId"):
        if name in item:
            item[name] = base64.b64decode(item[name]).hex()
