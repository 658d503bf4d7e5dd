"""OTLP values as JSON text that keeps every type apart.

Strings, booleans and integers are themselves; doubles always show a point or exponent; bytes,
key-value lists and non-finite doubles wear their OTLP field name, so that nothing is lost and
nothing is mistaken. The same text comes out whichever decoder writes it.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


def plain(value: AnyValue, depth: int = 0) -> Any:
    """An ``AnyValue`` as what ``json.dumps`` writes. Nesting beyond 64 levels becomes null: no
    sender means it, and a recursion error would cost its neighbours. So does an index into a
    table of strings, which profiles have and traces do not."""
    kind = value.WhichOneof("value")
    if kind is None or kind == "string_value_strindex" or depth > 64:
        return None
    if kind == "double_value":
        number = value.double_value
        if math.isfinite(number):
            return number
        return {
            "doubleValue": "NaN"
            if math.isnan(number)
            else "Infinity"
            if number > 0
            else "-Infinity"
        }
    if kind == "bytes_value":
        return {"bytesValue": base64.b64encode(value.bytes_value).decode()}
    if kind == "array_value":
        return [plain(item, depth + 1) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {
            "kvlistValue": {
                item.key: plain(item.value, depth + 1) for item in value.kvlist_value.values
            }
        }
    return getattr(value, kind)


def attributes(items: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes by name; of a name given twice the last stands (the specification allows none)."""
    return {item.key: plain(item.value) for item in items}


def text(value: object) -> str:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
