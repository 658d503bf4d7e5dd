"""What may stand at the cursor of a query line: names of fields and attributes, ``has:`` words,
values. Looks at the newest spans only, so that it is quick however much is stored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from strayline_collector.errors import BadInput
from strayline_collector.query.search import (
    FIELDS,
    HAS,
    KINDS,
    MESSAGE_FIELDS,
    PROTOCOLS,
    SAME_NAME,
    STATUSES,
    pointer,
)
from strayline_collector.query.search_line import begun_at, quoted, quoted_name, unquoted
from strayline_collector.query.wire import Completion, Completions
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session

NEWEST_SPANS: Final = 5_000
"""Some 20 ms where their attributes are read."""
_STATIC: Final[dict[str, tuple[str, ...]]] = {
    "kind": tuple(KINDS),
    "status": tuple(STATUSES),
    "protocol": PROTOCOLS,
    "has": HAS,
}
_UNITS: Final = ("ms", "s", "us", "m", "ns")
_NAME: Final = re.compile(
    r'(?:"(?P<quoted>(?:[^"\\]|\\.)+)"|(?P<field>[^\s"!=<>~]+))\s*(?P<op>!=|>=|<=|=|>|<|~)\s*',
    re.DOTALL,
)
_REST: Final = re.compile(r'[^\s"=<>~!]*')


@dataclass(frozen=True, slots=True)
class Place:
    """Where the cursor is: what is typed of a ``field``'s value, or (None) of a name. ``start`` and
    ``end`` bound what a completion replaces, in characters from 0."""

    field: str | None
    typed: str
    start: int
    end: int
    service: str | None
    """Of the other terms: whose names and values are wanted."""


def place_of(q: str, position: int) -> Place:
    """The place of a cursor before which ``position`` characters stand. Raises ``BadInput``."""
    if not 0 <= position <= len(q):
        raise BadInput(f"position={position}: expected 0 to {len(q)}, the length of q")
    terms, start = begun_at(q[:position])
    rest = _REST.match(q, position)
    end = position if rest is None else rest.end()
    service = next((t.value for t in terms if (t.field, t.op, t.negated) == ("service", "=", False)), None)  # fmt: skip
    if q[start:position].startswith("!"):
        start += 1
    if q.startswith("has:", start) and position >= start + 4:
        return Place("has", q[start + 4 : position], start + 4, end, service)
    told = _NAME.match(q, start, position)
    if told is None:
        return Place(None, q[start:position].removeprefix('"'), start, end, service)
    value = q[told.end() : position]
    if value.startswith('"') and q[position : position + 1] == '"':
        end = position + 1
    field = told["field"] if told["quoted"] is None else unquoted(told["quoted"])
    return Place(field, value.removeprefix('"'), told.end(), end, service)


def complete(session: Session, q: str, position: int, limit: int) -> Completions:
    """At most ``limit`` completions, those that begin with what is typed first."""
    place = place_of(q, position)
    if place.field is None:
        items = _names(session, place, limit)
    elif place.field in _STATIC:
        items = [_item("value", text) for text in _matching(_STATIC[place.field], place.typed)]
    elif place.field == "duration":
        items = [_item("value", text) for text in _durations(place.typed)]
    else:
        items = _values(session, place, limit)
    return Completions(replace_from=place.start, replace_to=place.end, items=items[:limit])


def _names(session: Session, place: Place, limit: int) -> list[Completion]:
    found = [
        Completion(kind="field", text=name, insert=f"{name}=", spans=None)
        for name in _matching(FIELDS, place.typed)
    ]
    found += [
        Completion(kind="has", text=f"has:{word}", insert=f"has:{word}", spans=None)
        for word in HAS
        if f"has:{word}".startswith(place.typed)
    ]
    rows = session.rows(load("query/complete_names"), _bounds(session, place, limit))
    found += [
        Completion(
            kind="attribute",
            text=row["text"],
            insert=f"{quoted_name(row['text'])}=",
            spans=row["spans"],
        )
        for row in rows
        if row["text"] and row["text"] not in FIELDS
    ]
    typed = place.typed.lower()
    return sorted(found, key=lambda item: not item["text"].lower().startswith(typed))


def _values(session: Session, place: Place, limit: int) -> list[Completion]:
    bounds = _bounds(session, place, limit)
    name = place.field or ""
    if name in MESSAGE_FIELDS:
        rows = session.rows(load("query/complete_messages"), {**bounds, "field": name})
    elif name == "trace_id":
        return []
    else:
        paths: dict[str, Any] = {}
        if name in ("service", "operation"):
            value = "service" if name == "service" else "name"
        else:
            names = next((same for same in SAME_NAME if name in same), (name,))
            paths = {f"path{i}": f"/{pointer(n)}" for i, n in enumerate(names)}
            told = ", ".join(f"json_extract_string(attributes, ${path})" for path in paths)
            value = f"coalesce({told})"
        service = None if name == "service" else place.service
        sql = load("query/complete_values").replace("/* value */", value)
        rows = session.rows(sql, {**bounds, **paths, "service": service})
    return [_item("value", row["text"], row["spans"]) for row in rows]


def _bounds(session: Session, place: Place, limit: int) -> dict[str, Any]:
    since = session.rows(load("query/complete_since"), {"rows": NEWEST_SPANS})[0]["since"]
    return {"since": since, "rows": NEWEST_SPANS, "typed": place.typed, "limit": limit}


def _durations(typed: str) -> Iterable[str]:
    if typed.replace(".", "", 1).isdigit():
        return [f"{typed}{unit}" for unit in _UNITS]
    return [text for text in ("10ms", "100ms", "1s", "10s") if text.startswith(typed)]


def _matching(texts: Iterable[str], typed: str) -> list[str]:
    low = typed.lower()
    found = [text for text in texts if low in text]
    return sorted(found, key=lambda text: not text.startswith(low))


def _item(kind: Literal["value"], text: str, spans: int | None = None) -> Completion:
    return Completion(kind=kind, text=text, insert=quoted(text), spans=spans)
