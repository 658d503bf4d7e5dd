"""Histories of messages written down in a few words, as rows of a store."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from strayline_collector.store.duckdb.store import DuckDBStore

EPOCH = "0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery of message ``n``: where, when, and how it ended."""

    n: int
    lane: int
    tag: int
    received: int
    settled: int
    settlement: str = "ack"
    redelivered: bool = False
    key: str | None = None
    k: int | None = None
    queue: str = "work"
    priority: int | None = None
    death: tuple[str, ...] = ()

    @property
    def started(self) -> int:
        return self.received

    def but(self, **changes: Any) -> Attempt:
        return replace(self, **changes)


def _rows(attempts: list[Attempt]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    publishes: dict[int, dict[str, Any]] = {}
    deliveries: list[dict[str, Any]] = []
    for index, a in enumerate(attempts):
        message = f"{EPOCH}.1.{a.n}"
        stamp = f"1.{EPOCH}.1.{a.n}.0000" + (f".{a.key}.{a.k}" if a.key else "")
        publishes[a.n] = {
            "batch": 1, "message": message, "source": "shim", "broker": "rabbit", "vhost": "/", "exchange": "x", "routing_key": "k",
            "service": "producer", "instance": "p1", "host": "h", "epoch": EPOCH, "channel": 1, "n": a.n, "stamp_ok": True,
            "ordering_key": a.key, "k": a.k, "message_id": f"m{a.n}", "outcome": "confirmed", "trace_id": f"{a.n:032x}", "span_id": f"{a.n:016x}",
            "operation": "op", "operation_span_id": f"{a.n:016x}", "start_ns": a.n, "end_ns": a.n,
        }  # fmt: skip
        deliveries.append({
            "batch": 1, "message": message, "source": "shim", "broker": "rabbit", "vhost": "/", "queue": a.queue, "exchange": "x", "routing_key": "k",
            "service": "consumer", "instance": "c", "host": "h", "epoch": "c" * 16, "channel": a.lane, "delivery_tag": a.tag,
            "redelivered": a.redelivered, "stamp": stamp, "stamp_ok": True, "priority": a.priority, "trace_id": f"{a.n:032x}", "span_id": f"{index + 1_000_000:016x}",
            "publish_trace_id": f"{a.n:032x}", "publish_span_id": f"{a.n:016x}", "received_ns": a.received, "handled_start_ns": a.started,
            "handled_end_ns": a.settled, "failed": False, "settlement": a.settlement, "settled_ns": a.settled,
            "death": json.dumps(a.death) if a.death else None,
        })  # fmt: skip
    return list(publishes.values()), deliveries


def write(
    store: DuckDBStore, attempts: list[Attempt], queue_arguments: dict[str, Any] | None = None
) -> None:
    """Puts a history into the store's tables, as one load."""
    publishes, deliveries = _rows(attempts)
    with store.write() as session:
        session.execute("INSERT INTO loaded VALUES (1, 1, 1, 1)")
        for table, rows in (("publish_facts", publishes), ("delivery_facts", deliveries)):
            session.register("rows_in", pa.Table.from_pylist(rows))
            session.execute(f"INSERT INTO {table} BY NAME SELECT * FROM rows_in")
        if queue_arguments is not None:
            session.execute(
                "INSERT INTO topology_facts BY NAME SELECT 1 AS batch, 'shim' AS source, 'intended' AS role, false AS complete, 'rabbit' AS broker,"
                " '/' AS vhost, 'consumer' AS service, 'declare' AS action, 'queue' AS kind, 'work' AS name, true AS durable, $arguments AS arguments, 1 AS seen_ns",
                {"arguments": json.dumps(queue_arguments)},
            )
