"""Header tables: they hold anything, in any size, from anybody."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from strayline import redact
from strayline.guard import survived
from strayline.propagation import extract, from_traceparent, is_default, remote_parent

MAX_CONTEXT_HEADER: Final = 8192
"""Longer trace headers are nobody's."""
MAX_DEATHS: Final = 32
REPLY_TO: Final = "amq.rabbitmq.reply-to"
HEADER_EXCHANGES: Final = frozenset({"amq.headers", "amq.match"})
"""Those that every vhost has."""
_COPIES: Final = ("CC", "BCC")


_NOTHING: Final = Context()


def told_by(headers: Mapping[str, Any]) -> tuple[SpanContext | None, Context]:
    """The publish that a header table names, and the context that comes with it, which need not
    hold that again."""
    if is_default() and "tracestate" not in headers and "baggage" not in headers:
        header = headers.get("traceparent")
        if header is None:
            return None, _NOTHING
        if isinstance(header, str) and len(header) <= MAX_CONTEXT_HEADER:
            return from_traceparent(header), _NOTHING
    found = extract(_Table(headers).get, headers.keys)
    return remote_parent(found), found


class _Table:
    """A header table as a carrier of text."""

    __slots__ = ("_headers",)

    def __init__(self, headers: Mapping[str, Any]) -> None:
        self._headers = headers

    def get(self, name: str) -> str | None:
        value = self._headers.get(name)
        if value is None:
            return None
        if isinstance(value, bytes | bytearray):
            value = bytes(value[: MAX_CONTEXT_HEADER + 1]).decode("ascii", "replace")
        return value if isinstance(value, str) and len(value) <= MAX_CONTEXT_HEADER else None


def destination(exchange: str, routing_key: str, queue: str = "") -> str:
    """``{exchange}:{routing key}[:{queue}]``, empty parts left out, a queue named like its key
    once (conventions 1.44)."""
    parts = (exchange, routing_key, "" if queue == routing_key else queue)
    return ":".join(part for part in parts if part) or "amq.default"


def is_anonymous(name: str) -> bool:
    """Whether a queue's name was made up by the broker; direct reply-to counts."""
    return name.startswith(("amq.gen-", REPLY_TO))


def readable(name: str) -> str:
    """A name as span names have it: few different ones, so without a reply address's token."""
    return REPLY_TO if name.startswith(REPLY_TO) else name


def deaths(table: Any) -> list[str]:
    """``x-death`` as ``queue|reason|count|exchange|key`` per entry, newest first as the broker has it."""
    found: list[str] = []
    with survived("reading x-death"):
        for entry in (table if isinstance(table, list) else [])[:MAX_DEATHS]:
            keys = entry.get("routing-keys") or [""]
            parts = (
                entry.get("queue"),
                entry.get("reason"),
                entry.get("count"),
                entry.get("exchange"),
                keys[0],
            )
            found.append("|".join("" if part is None else _text(part) for part in parts))
    return found


def routing_headers(headers: Mapping[str, Any], *, all_of_them: bool) -> str | None:
    """JSON of the header values that routing needs: for a headers exchange all, else the further
    keys of CC and BCC. None where one of them must not be recorded: a route cannot be judged by
    some of its headers."""
    if not all_of_them and "CC" not in headers and "BCC" not in headers:
        return None
    told = {
        key: list(headers[key]) for key in _COPIES if isinstance(headers.get(key), list | tuple)
    }
    if all_of_them:
        told = {**{key: _recorded(value) for key, value in headers.items()}, **told}
    elif not told:
        return None
    return None if redact.attributes(told) != told else json.dumps(told, default=_text)


def _recorded(value: Any) -> Any:
    """A header value as routes compare it: bytes by the text that they spell, a time by its seconds.
    An empty object stands for what is there and no plain value."""
    if isinstance(value, bytes | bytearray):
        with contextlib.suppress(UnicodeDecodeError):
            return value.decode()
    if isinstance(value, datetime):
        return int(value.timestamp())
    return value if value is None or isinstance(value, str | bool | int | float) else {}


def whole(value: Any) -> int | None:
    """An integer that is none of Python's booleans."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def size(headers: Mapping[str, Any]) -> int:
    """Bytes that a table takes in a frame, rather too many than too few."""
    return sum(len(str(key)) + 8 + _value_size(value) for key, value in headers.items())


def _value_size(value: Any) -> int:
    if isinstance(value, str | bytes | bytearray):
        return len(value) * (3 if isinstance(value, str) and not value.isascii() else 1)
    if isinstance(value, Mapping):
        return size(value)
    if isinstance(value, Iterable):
        return sum(8 + _value_size(item) for item in value)
    return 16


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
