"""Request bodies: capped, decompressed, and OTLP/JSON turned into protobuf."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.json_format import ParseDict, ParseError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline_collector.errors import BadInput, TooLarge

_STEP: Final = 256 * 1024


def gunzip(data: bytes, limit: int) -> bytes:
    """Decompresses gzip of any number of members, never holding more than ``limit`` bytes of it.
    Raises ``TooLarge`` over the limit and ``BadInput`` for damaged or truncated data."""
    parts: list[bytes] = []
    size = 0
    rest = data
    while rest:
        member = zlib.decompressobj(wbits=31)
        pending = rest
        try:
            while not member.eof:
                out = member.decompress(pending, _STEP)
                size += len(out)
                if size > limit:
                    raise TooLarge(f"the body is larger than {limit:,} bytes once decompressed")
                parts.append(out)
                pending = member.unconsumed_tail
                if not pending and not member.eof and not out:
                    raise BadInput("the gzip body is truncated")
        except zlib.error as error:
            raise BadInput(f"the body is not gzip: {error}") from None
        rest = member.unused_data
    return b"".join(parts)


def json_to_protobuf(body: bytes) -> bytes:
    """OTLP/JSON to protobuf bytes. Ids are hex of either case, 64-bit integers strings or
    numbers, unknown fields ignored (OTLP 1.11, JSON Protobuf Encoding). Raises ``BadInput``."""
    try:
        document: object = json.loads(body)
        if not isinstance(document, dict):
            raise BadInput("the JSON body is no object")
        _for_each_span(document, _ids_to_base64)
        message = ParseDict(document, ExportTraceServiceRequest(), ignore_unknown_fields=True)
        return message.SerializeToString()
    except (ValueError, ParseError, RecursionError, TypeError, AttributeError) as error:
        raise BadInput(f"the JSON body is no ExportTraceServiceRequest: {error}") from None


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
