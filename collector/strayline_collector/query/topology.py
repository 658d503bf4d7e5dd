"""The topology as it was declared, seen and documented."""

from __future__ import annotations

import json
from typing import Any

from strayline_collector.query.times import rfc3339
from strayline_collector.query.wire import (
    BindingInfo,
    ExchangeInfo,
    PolicyInfo,
    QueueInfo,
    Topology,
)
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session


def read_topology(session: Session, at_ns: int | None) -> Topology:
    """Exchanges, queues, bindings and policies with the time they surely held; ``at_ns`` keeps what
    may have held then."""
    rows = session.rows(load("query/topology"), {"at_ns": at_ns})
    return Topology(
        exchanges=[
            ExchangeInfo(
                name=r["name"],
                type=r["type"],
                durable=r["durable"],
                internal=r["internal"],
                **_common(r),
            )
            for r in rows
            if r["kind"] == "exchange"
        ],
        queues=[
            QueueInfo(name=r["name"], durable=r["durable"], **_common(r))
            for r in rows
            if r["kind"] == "queue"
        ],
        bindings=[
            BindingInfo(
                source=r["source_name"],
                destination=r["destination"],
                destination_kind=r["destination_kind"] or "queue",
                routing_key=r["routing_key"] or "",
                **_common(r),
            )
            for r in rows
            if r["kind"] == "binding"
        ],
        policies=[_policy(r) for r in rows if r["kind"] == "policy"],
    )


def _policy(row: Row) -> PolicyInfo:
    common = _common(row)
    rest = common.pop("arguments")
    return PolicyInfo(
        name=row["name"],
        apply_to=row["type"] or "all",
        pattern=rest.get("pattern", ""),
        priority=rest.get("priority", 0),
        definition=rest.get("definition", {}),
        **common,
    )


def _common(row: Row) -> Any:
    return {
        "arguments": json.loads(row["arguments"]) if row["arguments"] else {},
        "role": row["role"],
        "complete": bool(row["complete"]),
        "service": row["service"],
        "broker": row["broker"],
        "vhost": row["vhost"],
        "possibly_from": None if row["possibly_from"] is None else rfc3339(row["possibly_from"]),
        "told_by": row["source"],
        "surely_from": rfc3339(row["surely_from"]),
        "surely_to": rfc3339(row["surely_to"]),
        "possibly_to": None if row["possibly_to"] is None else rfc3339(row["possibly_to"]),
    }
