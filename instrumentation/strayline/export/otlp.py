"""OTLP protobuf by hand: a tenth of the cost of building message objects (7–10 µs a span
against 36–38), and no protobuf dependency in the service.

Field numbers are those of opentelemetry/proto/trace/v1/trace.proto. The tests hold the bytes
against opentelemetry-proto's own reading of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, StatusCode

_KINDS: Final = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}
_STATUS: Final = {StatusCode.UNSET: 0, StatusCode.OK: 1, StatusCode.ERROR: 2}
_REMOTE_KNOWN: Final = 0x100
_REMOTE: Final = 0x200


def encode_request(spans: Iterable[ReadableSpan], resource: Mapping[str, Any]) -> bytes:
    """``ExportTraceServiceRequest`` with all spans under one resource, grouped by scope."""
    scopes: dict[tuple[str, str], list[bytes]] = {}
    for span in spans:
        scope = span.instrumentation_scope
        key = (scope.name, scope.version or "") if scope is not None else ("", "")
        scopes.setdefault(key, []).append(_field(2, encode_span(span)))
    body = _field(1, _attributes(1, resource))
    for (name, version), encoded in scopes.items():
        scope_message = _text(1, name) + _text(2, version)
        body += _field(2, _field(1, scope_message) + b"".join(encoded))
    return _field(1, body)


def encode_span(span: ReadableSpan) -> bytes:
    """``Span``. Times and ids as the SDK holds them."""
    context: SpanContext = span.get_span_context()  # type: ignore[assignment]  # never None once ended
    parts = [
        _field(1, context.trace_id.to_bytes(16, "big")),
        _field(2, context.span_id.to_bytes(8, "big")),
        _text(3, context.trace_state.to_header() if context.trace_state else ""),
        _text(5, span.name),
        _varint_field(6, _KINDS.get(span.kind.name, 0)),
        _fixed64(7, span.start_time or 0),
        _fixed64(8, span.end_time or span.start_time or 0),
        _attributes(9, span.attributes or {}),
        _varint_field(10, span.dropped_attributes),
    ]
    flags = int(context.trace_flags) | _REMOTE_KNOWN
    if span.parent is not None:
        parts.append(_field(4, span.parent.span_id.to_bytes(8, "big")))
        if span.parent.is_remote:
            flags |= _REMOTE
    for event in span.events:
        message = _fixed64(1, event.timestamp) + _text(2, event.name)
        message += _attributes(3, event.attributes or {})
        parts.append(_field(11, message + _varint_field(4, _dropped(event.attributes))))
    parts.append(_varint_field(12, span.dropped_events))
    parts += [_field(13, _link(link)) for link in span.links]
    parts.append(_varint_field(14, span.dropped_links))
    status = _text(2, span.status.description or "") + _varint_field(
        3, _STATUS[span.status.status_code]
    )
    parts.append(_field(15, status))
    parts.append(_fixed32(16, flags))
    return b"".join(parts)


def _link(link: Any) -> bytes:
    context: SpanContext = link.context
    flags = int(context.trace_flags) | _REMOTE_KNOWN | (_REMOTE if context.is_remote else 0)
    return (
        _field(1, context.trace_id.to_bytes(16, "big"))
        + _field(2, context.span_id.to_bytes(8, "big"))
        + _text(3, context.trace_state.to_header() if context.trace_state else "")
        + _attributes(4, link.attributes or {})
        + _varint_field(5, _dropped(link.attributes))
        + _fixed32(6, flags)
    )


def _dropped(attributes: Any) -> int:
    return int(getattr(attributes, "dropped", 0) or 0)


def _attributes(number: int, attributes: Mapping[str, Any]) -> bytes:
    return b"".join(
        _field(number, _text(1, key) + _field(2, _value(value)))
        for key, value in attributes.items()
    )


def _value(value: Any) -> bytes:
    # bool before int: a bool is one
    if isinstance(value, str):
        return _field(1, value.encode("utf-8", "replace"))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + _varint(value & 0xFFFFFFFFFFFFFFFF)
    if isinstance(value, float):
        return b"\x21" + struct.pack("<d", value)
    if isinstance(value, bytes):
        return _field(7, value)
    if isinstance(value, Mapping):
        return _field(6, _attributes(1, value))
    if isinstance(value, Sequence):
        return _field(5, b"".join(_field(1, _value(item)) for item in value))
    return b"" if value is None else _field(1, str(value).encode("utf-8", "replace"))


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited field, present even when empty."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _text(number: int, text: str) -> bytes:
    """A string field, absent when empty as proto3 has it. Lone surrogates become ``?``."""
    return _field(number, text.encode("utf-8", "replace")) if text else b""


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value) if value else b""


def _fixed64(number: int, value: int) -> bytes:
    return _varint(number << 3 | 1) + struct.pack("<Q", value) if value else b""


def _fixed32(number: int, value: int) -> bytes:
    return _varint(number << 3 | 5) + struct.pack("<I", value) if value else b""
