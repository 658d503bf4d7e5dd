"""OTLP values as JSON text that keeps every type apart.

Strings, booleans and integers are themselves; doubles always show a point or exponent; bytes,
key-value lists and non-finite doubles wear their OTLP field name, so that nothing is lost and
nothing is mistaken. The same text comes out whichever decoder writes it, and ``fill`` makes of it
what came in.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
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


def fill(target: RepeatedCompositeFieldContainer[KeyValue], told: Mapping[str, Any]) -> None:
    """Adds to a message's field what ``attributes`` made of it: the way back."""
    for key, value in told.items():
        set_value(target.add(key=key).value, value)


def set_value(target: AnyValue, told: Any) -> None:
    """Sets an empty ``AnyValue`` to what ``plain`` made of it."""
    if isinstance(told, str):
        target.string_value = told
    elif isinstance(told, bool):  # before int: a bool is one
        target.bool_value = told
    elif isinstance(told, int):
        target.int_value = told
    elif isinstance(told, float):
        target.double_value = told
    elif isinstance(told, list):
        target.array_value.SetInParent()
        for item in told:
            set_value(target.array_value.values.add(), item)
    elif isinstance(told, dict):
        name, content = next(iter(told.items()))
        if name == "bytesValue":
            target.bytes_value = base64.b64decode(content)
        elif name == "doubleValue":
            target.double_value = float(content)
        else:
            target.kvlist_value.SetInParent()
            fill(target.kvlist_value.values, content)
    else:
        target.SetInParent()


def text(value: object) -> str:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
