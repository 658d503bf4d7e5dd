"""Lists as Arrow, for who asks for that: the answer's items as rows, typed as the wire says.

A column is what the wire's shape has, so that an empty page has the same columns as a full one.
What has no fixed shape (attributes, evidence) is JSON text. The cursor goes into a header.
"""

from __future__ import annotations

import asyncio
import json
import types
from collections.abc import Mapping
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from strayline_collector.query.sql import ARROW, wants_arrow

CURSOR: Final = b"strayline-next-cursor"
_PLAIN: Final[dict[Any, pa.DataType]] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
}


class Columns:
    """Turns JSON lists into Arrow streams on their way out, where the client accepts one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not wants_arrow(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        parts: list[bytes] = []

        async def held(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_list(scope, message):
                start = message
            elif start is None:
                await send(message)
            else:
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    model = scope["route"].response_model
                    body, cursor = await asyncio.to_thread(_stream, b"".join(parts), model)
                    await send({**start, "headers": _headers(start, len(body), cursor)})
                    await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, held)


def _is_list(scope: Scope, start: Message) -> bool:
    """Whether an answer begins that has ``items``, as JSON."""
    model = getattr(scope.get("route"), "response_model", None)
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return (
        start["status"] == 200
        and kind.startswith("application/json")
        and isinstance(model, type)
        and "items" in getattr(model, "__annotations__", {})
    )


def _headers(start: Message, length: int, cursor: str | None) -> list[tuple[bytes, bytes]]:
    replaced = (b"content-type", b"content-length")
    kept = [(name, value) for name, value in start["headers"] if name.lower() not in replaced]
    own = [(b"content-type", ARROW.encode()), (b"content-length", str(length).encode())]
    return [*kept, *own, *([] if cursor is None else [(CURSOR, cursor.encode())])]


def _stream(body: bytes, model: type) -> tuple[bytes, str | None]:
    told = json.loads(body)
    (row,) = get_args(get_type_hints(model)["items"])
    kind = arrow_type(row)
    items = pa.array([_fitted(item, kind) for item in told["items"]], kind)
    table = pa.Table.from_batches([pa.RecordBatch.from_struct_array(items)])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes(), told.get("next_cursor")


def arrow_type(hint: Any) -> pa.DataType:
    """Of a wire type; text where it has no fixed shape."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        kinds = {arrow_type(argument) for argument in arguments if argument is not type(None)}
        return kinds.pop() if len(kinds) == 1 else pa.string()
    if origin is Literal:
        return _PLAIN.get(type(arguments[0]), pa.string())
    if origin is list:
        return pa.list_(arrow_type(arguments[0]))
    if isinstance(hint, type) and hasattr(hint, "__total__"):
        return pa.struct([(n, arrow_type(h)) for n, h in get_type_hints(hint).items()])
    return pa.string()


def _fitted(value: Any, kind: pa.DataType) -> Any:
    """``value`` with JSON text where ``kind`` is text and it is something else."""
    if value is None:
        return None
    if isinstance(kind, pa.StructType):
        told: Mapping[str, Any] = value
        return {field.name: _fitted(told.get(field.name), field.type) for field in kind}
    if isinstance(kind, pa.ListType):
        return [_fitted(item, kind.value_type) for item in value]
    if pa.types.is_string(kind) and not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return value
