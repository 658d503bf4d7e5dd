"""RabbitMQ definitions documents → topology facts, each document replacing its predecessor."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import pyarrow as pa

from strayline_collector.errors import BadInput
from strayline_collector.store.duckdb.places import place_newest
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Store

_TEXT: Final = (
    "document",
    "role",
    "broker",
    "vhost",
    "action",
    "kind",
    "name",
    "type",
    "arguments",
    "source_name",
    "destination",
    "destination_kind",
    "routing_key",
)
_SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name in _TEXT),
        ("complete", pa.bool_()),
        ("durable", pa.bool_()),
        ("auto_delete", pa.bool_()),
        ("exclusive", pa.bool_()),
        ("internal", pa.bool_()),
        ("seen_ns", pa.int64()),
    ]
)


def put_topology(
    store: Store,
    document: Mapping[str, Any],
    *,
    role: Literal["actual", "intended"],
    complete: bool = False,
    valid_from_ns: int | None = None,
    vhost: str | None = None,
    broker: str | None = None,
) -> None:
    """Stores a definitions document (of a broker, or of one vhost) as what holds from
    ``valid_from_ns`` (default: now). It replaces what the same source (role, broker, vhost)
    said before. Raises ``BadInput`` naming the entry that cannot be read; then nothing changes.
    """
    seen_ns = time.time_ns() if valid_from_ns is None else valid_from_ns
    name = json.dumps([role, broker, vhost], separators=(",", ":"))
    rows = [
        {
            **row,
            "document": name,
            "role": role,
            "complete": complete,
            "broker": broker,
            "seen_ns": seen_ns,
        }
        for row in read_definitions(document, vhost)
    ]
    with store.write() as session:
        session.execute(load("detect/topology_end"), {"document": name, "until_ns": seen_ns - 1})
        session.register("said", pa.Table.from_pylist(rows, _SCHEMA))
        session.execute(load("detect/topology_keep"))
        # a load of its own, so that detectors judge again what it touches
        session.execute(load("detect/topology_loaded"), {"now_ns": time.time_ns()})
        place_newest(session)


def read_definitions(document: Mapping[str, Any], vhost: str | None) -> list[Row]:
    """The exchanges, queues, bindings and policies of a definitions document, as topology facts.
    The management API's lists have the same shape.

    Entries of other vhosts are left out when ``vhost`` is given; entries without one belong to
    it (RabbitMQ leaves it out when one vhost is exported). Raises ``BadInput``, for a document too
    that has no section of these: kept, it would say that there is nothing.
    """
    if not any(section in document for section, _ in _SECTIONS):
        raise BadInput(
            f"the document has none of {', '.join(section for section, _ in _SECTIONS)}: give a "
            "definitions document, as rabbitmqctl export_definitions writes it"
        )
    rows: list[Row] = []
    for section, read in _SECTIONS:
        entries: object = document.get(section, [])
        if not isinstance(entries, Sequence) or isinstance(entries, str):
            raise BadInput(f"{section}: expected a list, as RabbitMQ's definitions export has it")
        for index, entry in enumerate(entries):
            if not isinstance(entry, Mapping):
                raise BadInput(f"{section}[{index}]: expected an object")
            where = entry.get("vhost", vhost)
            if vhost is not None and where != vhost:
                continue
            try:
                rows.append({**read(entry), "vhost": where})
            except (KeyError, TypeError) as error:
                raise BadInput(
                    f"{section}[{index}]: {error} is missing or of the wrong type"
                ) from None
    return rows


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry[name]
    if not isinstance(value, str):
        raise TypeError(repr(name))
    return value


def _exchange(entry: Mapping[str, Any]) -> Row:
    return {
        "action": "declare",
        "kind": "exchange",
        "name": _text(entry, "name"),
        "type": _text(entry, "type"),
        "internal": bool(entry.get("internal", False)),
        **_options(entry),
    }


def _queue(entry: Mapping[str, Any]) -> Row:
    return {
        "action": "declare",
        "kind": "queue",
        "name": _text(entry, "name"),
        "exclusive": bool(entry.get("exclusive", False)),
        **_options(entry),
    }


def _policy(entry: Mapping[str, Any]) -> Row:
    """``type`` is what it applies to, ``arguments`` the rest."""
    definition: object = entry["definition"]
    priority: object = entry.get("priority", 0)
    if not isinstance(definition, Mapping):
        raise TypeError("'definition'")
    if not isinstance(priority, int):
        raise TypeError("'priority'")
    rest = {"pattern": _text(entry, "pattern"), "priority": priority, "definition": definition}
    return {
        "action": "declare",
        "kind": "policy",
        "name": _text(entry, "name"),
        "type": entry.get("apply-to", "all"),
        "arguments": json.dumps(rest),
    }


def _binding(entry: Mapping[str, Any]) -> Row:
    return {
        "action": "bind",
        "kind": "binding",
        "source_name": _text(entry, "source"),
        "destination": _text(entry, "destination"),
        "destination_kind": _end(entry),
        "routing_key": _text(entry, "routing_key"),
        "arguments": json.dumps(entry.get("arguments") or {}),
    }


def _end(entry: Mapping[str, Any]) -> str:
    kind: object = entry.get("destination_type", "queue")
    if kind not in ("queue", "exchange"):
        raise TypeError(f"'destination_type' {kind!r}: neither 'queue' nor 'exchange', it")
    return str(kind)


def _options(entry: Mapping[str, Any]) -> Row:
    return {
        "durable": bool(entry.get("durable", True)),
        "auto_delete": bool(entry.get("auto_delete", False)),
        "arguments": json.dumps(entry.get("arguments") or {}),
    }


_SECTIONS: Final = (
    ("exchanges", _exchange),
    ("queues", _queue),
    ("bindings", _binding),
    ("policies", _policy),
)
