"""The reference for OTLP/JSON: JSON text to protobuf bytes (OTLP 1.11, JSON Protobuf Encoding).

Protobuf's own JSON parser reads another dialect (ids as base64, original field names too), so the
rules are written out here:

- strict JSON (RFC 8259) in UTF-8, a byte order mark passed over, at most ``MAX_DEPTH`` levels;
- lowerCamelCase names only; unknown names are passed over; of a name given twice the last stands,
  of two members of a oneof too; null is as if absent, and in a list of objects an empty one;
- ids are hex of either case; what is none costs its span alone;
- integers and doubles are numbers or strings of one, ``1e3`` and ``5.0`` are integers;
- enums are integers or names; a name that nobody knows says nothing;
- bytes are base64 of either alphabet, padded or not; a surrogate alone becomes U+FFFD.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline_collector.errors import BadInput

MAX_DEPTH: Final = 200
"""Levels of JSON; protobuf's 100 levels need fewer."""
_MAX_MESSAGES: Final = 100

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_HEX: Final = re.compile(r"([0-9a-fA-F]{2})*")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})
_PROFILES: Final = frozenset({"keyStrindex", "stringValueStrindex"})
_RANGES: Final = {
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_ENUM: (-(2**31), 2**31 - 1),
}
_NON_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

_Members = tuple[tuple[str, Any], ...]
"""An object: names may repeat. A list is a list, a string a str."""


class _Number(str):
    """The text of a number."""

    __slots__ = ()


def from_json(body: bytes) -> bytes:
    """See ``decode.otlp.from_json``."""
    try:
        document: object = json.loads(
            body.decode().removeprefix("\ufeff"),
            object_pairs_hook=tuple,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_refuse,
        )
        _check_depth(document)
        request = ExportTraceServiceRequest()
        _fill(request, _object("the body", document), 0)
        return request.SerializeToString()
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the JSON body is no ExportTraceServiceRequest: {error}") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _check_depth(document: object) -> None:
    level = [document]
    depth = 0
    while level := [value for value in level if isinstance(value, (tuple, list))]:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        level = [inner for value in level for inner in _inner(value)]


def _inner(value: Any) -> Iterable[Any]:
    return (inner for _, inner in value) if isinstance(value, tuple) else value


def _object(name: str, value: object) -> _Members:
    if not isinstance(value, tuple):
        raise ValueError(f"{name}: expected an object")
    return value


def _fields(message: Message) -> dict[str, Any]:
    return {
        field.json_name: field
        for field in message.DESCRIPTOR.fields
        if field.json_name not in _PROFILES
    }


def _fill(message: Message, members: _Members, depth: int) -> None:
    if depth > _MAX_MESSAGES:
        raise ValueError("it is nested too deeply")
    fields = _fields(message)
    for name, value in members:
        field = fields.get(name)
        if field is None:
            continue
        if value is None:
            message.ClearField(field.name)
            continue
        if field.is_repeated:
            message.ClearField(field.name)
            if not isinstance(value, list):
                raise ValueError(f"{name}: expected a list")
            _fill_list(getattr(message, field.name), field, value, depth)
        elif field.message_type is not None:
            message.ClearField(field.name)
            inner = getattr(message, field.name)
            inner.SetInParent()
            _fill(inner, _object(name, value), depth + 1)
        else:
            scalar = _scalar(field, value)
            message.ClearField(field.name)
            if scalar is not None:
                setattr(message, field.name, scalar)


def _fill_list(items: Any, field: FieldDescriptor, values: list[Any], depth: int) -> None:
    for value in values:
        if field.message_type is None:
            items.append(_scalar(field, value))
        else:
            members = () if value is None else _object(field.json_name, value)
            _fill(items.add(), members, depth + 1)


def _scalar(field: FieldDescriptor, value: object) -> Any:
    """What a field is set to; None for nothing. Raises ``ValueError`` naming the field."""
    name = field.json_name
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _id(value) if name in _IDS else _bytes(name, value)
    if field.type == FieldDescriptor.TYPE_STRING:
        if not isinstance(value, str) or isinstance(value, _Number):
            raise ValueError(f"{name}: expected a string")
        return _SURROGATE.sub("\ufffd", value)
    if field.type == FieldDescriptor.TYPE_BOOL:
        if not isinstance(value, bool):
            raise ValueError(f"{name}: expected true or false")
        return value
    if not isinstance(value, str):
        raise ValueError(f"{name}: expected a number")
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return _double(name, value)
    if field.enum_type is not None and not _NUMBER.fullmatch(value):
        return _named(field.enum_type, value)
    return _integer(name, value, *_RANGES[field.type])


def _id(value: object) -> bytes:
    if not isinstance(value, str) or isinstance(value, _Number) or not _HEX.fullmatch(value):
        return b"\x00"  # an id of no valid length, so that this span alone is refused
    return bytes.fromhex(value)


def _bytes(name: str, value: object) -> bytes:
    if (
        not isinstance(value, str)
        or isinstance(value, _Number)
        or not _BASE64.fullmatch(value)
        or len(digits := value.rstrip("=")) % 4 == 1
    ):
        raise ValueError(f"{name}: expected base64")
    return base64.urlsafe_b64decode(
        digits.replace("+", "-").replace("/", "_") + "=" * (-len(digits) % 4)
    )


def _integer(name: str, text: str, low: int, high: int) -> int:
    if not (match := _NUMBER.fullmatch(text)):
        raise ValueError(f"{name}: expected an integer")
    if match[1] is None and match[2] is None:
        digits = text.lstrip("-").lstrip("0") or "0"
        number = int(digits) if len(digits) <= 20 else high + 1
        number = -number if text.startswith("-") else number
    else:
        double = float(text)
        if not double.is_integer():  # infinity is none either
            raise ValueError(f"{name}: expected an integer")
        number = int(double)
    if not low <= number <= high:
        raise ValueError(f"{name}: expected an integer in range")
    return number


def _double(name: str, text: str) -> float:
    if text in _NON_FINITE:
        return _NON_FINITE[text]
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name}: expected a number")
    if math.isinf(double := float(text)):
        raise ValueError(f"{name}: expected a number in range")
    return double


def _named(names: EnumDescriptor, value: str) -> int | None:
    return {known.name: known.number for known in names.values}.get(value)
