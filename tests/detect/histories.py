"""Histories of messages written down in a few words, as rows of a store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from strayline_collector.store.duckdb.store import DuckDBStore

EPOCH = "0123456789abcdef"
S = 1_000_000_000
ALIKE = ("tenant-1.queue-10", "tenant-8.queue-60")
"""DuckDB's hash of one text is the same for both."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery of message ``n``: where, when, and how it ended."""

    n: int
    lane: int
    tag: int
    received: int
    settled: int
    settlement: str | None = "ack"
    redelivered: bool = False
    key: str | None = None
    k: int | None = None
    queue: str = "work"
    priority: int | None = None
    death: tuple[str, ...] = ()
    fits: bool = True
    failed: bool = False
    service: str = "consumer"
    host: str = "h"

    @property
    def started(self) -> int:
        return self.received

    def but(self, **changes: Any) -> Attempt:
        return replace(self, **changes)


def publish_row(n: int, **more: Any) -> dict[str, Any]:
    """A publish of message ``n``, confirmed, alone on its channel at its time ``n``."""
    return {
        "batch": 1, "first_batch": 1, "message": f"{EPOCH}.1.{n}", "source": "shim", "broker": "rabbit", "vhost": "/", "exchange": "x", "routing_key": "k",
        "service": "producer", "instance": "p1", "host": "h", "epoch": EPOCH, "channel": 1, "n": n, "stamp_ok": True,
        "message_id": f"m{n}", "outcome": "confirmed", "trace_id": f"{n:032x}", "span_id": f"{n:016x}",
        "operation": "op", "operation_span_id": f"{n:016x}", "start_ns": n, "end_ns": n,
        "ordering_key": None, "k": None, "body_hash": hashlib.sha256(str(n).encode()).hexdigest()[:16], "delay_ms": None,
        "type": None, "mandatory": True, "expiration_ms": None, "reply_to": None, "priority": None, **more,
    }  # fmt: skip


def delivery_row(index: int, a: Attempt) -> dict[str, Any]:
    stamp = f"1.{EPOCH}.1.{a.n}.0000" + (f".{a.key}.{a.k}" if a.key else "")
    return {
        "batch": 1, "first_batch": 1, "message": f"{EPOCH}.1.{a.n}" if a.fits else None, "source": "shim", "broker": "rabbit", "vhost": "/", "queue": a.queue,
        "exchange": "x" if a.fits and not a.death else "", "routing_key": "k" if a.fits and not a.death else a.queue,
        "service": a.service, "instance": "c", "host": a.host, "epoch": "c" * 16, "channel": a.lane, "delivery_tag": a.tag,
        "redelivered": a.redelivered, "stamp": stamp, "stamp_ok": a.fits, "priority": a.priority, "trace_id": f"{a.n:032x}", "span_id": f"{index + 1_000_000:016x}",
        "publish_trace_id": f"{a.n:032x}" if a.fits else None, "publish_span_id": f"{a.n:016x}" if a.fits else None,
        "message_id": f"m{a.n}", "received_ns": a.received, "handled_start_ns": a.started,
        "handled_end_ns": a.settled, "failed": a.failed, "settlement": a.settlement, "settled_ns": None if a.settlement is None else a.settled,
        "death": json.dumps(a.death) if a.death else None,
    }  # fmt: skip


def rows_of(
    attempts: list[Attempt],
    queue_arguments: dict[str, Any] | None = None,
    publishes: Mapping[int, Mapping[str, Any]] | None = None,
    census: list[dict[str, Any]] | None = None,
    topology: list[dict[str, Any]] | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """A history as rows by table. ``publishes`` changes or adds rows by ``n``; ``topology`` and
    ``census`` (their documents, of the consumer) add facts."""
    wanted = publishes or {}
    keys = {a.n: {"ordering_key": a.key, "k": a.k, "priority": a.priority} for a in attempts}
    return {
        "publish_facts": [
            publish_row(n, **{**keys.get(n, {}), **wanted.get(n, {})})
            for n in sorted({*keys, *wanted})
        ],
        "delivery_facts": [delivery_row(index, a) for index, a in enumerate(attempts)],
        "census": [
            {
                "batch": 1, "service": "consumer", "instance": "c", "epoch": "c" * 16,
                "at_ns": document.get("at_unix_nano", 1), "census": json.dumps(document),
            }
            for document in census or []
        ],
        "topology_facts": [
            {**_FACT, **fact, "arguments": json.dumps(fact.get("arguments", {}))}
            for fact in [
                *([] if queue_arguments is None else [queue("work", **queue_arguments)]),
                *(topology or []),
            ]
        ],
    }  # fmt: skip


def write(store: DuckDBStore, attempts: list[Attempt], *facts: Any, **more: Any) -> None:
    """Puts ``rows_of`` a history into the store's tables, as one load."""
    put(store, rows_of(attempts, *facts, **more))


_FACT = {
    "batch": 1, "source": "shim", "role": "intended", "complete": False, "broker": "rabbit", "vhost": "/",
    "service": "consumer", "instance": "c", "epoch": "c" * 16, "action": "declare", "seen_ns": 1, "durable": True,
    "type": None, "source_name": None, "destination": None, "destination_kind": None, "routing_key": None, "name": None,
}  # fmt: skip


def queue(name: str, **arguments: Any) -> dict[str, Any]:
    return {"kind": "queue", "name": name, "arguments": arguments}


def exchange(name: str, type: str) -> dict[str, Any]:  # noqa: A002 - AMQP's word
    return {"kind": "exchange", "name": name, "type": type}


def binding(source: str, destination: str, key: str) -> dict[str, Any]:
    return {
        "kind": "binding", "action": "bind", "source_name": source, "destination": destination,
        "destination_kind": "queue", "routing_key": key,
    }  # fmt: skip


TABLES = (
    "loaded", "meta", "publish_facts", "delivery_facts", "settlement_facts", "topology_facts", "topology_sources", "level_facts", "census",
    "processes", "judgements", "findings", "spans", "call_minutes", "rolled", "trace_directory",
)  # fmt: skip


def emptied(store: DuckDBStore) -> DuckDBStore:
    """The same store with nothing in it: opening one takes longer than judging a small history."""
    with store.write() as session:
        for table in TABLES:
            session.execute(f"DELETE FROM {table}")
    return store


def away(store: DuckDBStore, from_s: int, to_s: int) -> None:
    """No collector listened; what is unsure begins 15 s before, at ``from_s``, and ends 15 s after."""
    with store.write() as session:
        session.execute(
            "INSERT INTO meta VALUES ($key, $to)",
            {"key": f"absent:{(from_s + 15) * S}", "to": str((to_s - 15) * S)},
        )


def put(store: DuckDBStore, rows: Mapping[str, list[dict[str, Any]]], batch: int = 1) -> None:
    """Rows into tables, as load ``batch``."""
    with store.write() as session:
        session.execute(
            "INSERT INTO loaded BY NAME SELECT $batch AS batch, 1 AS segment, $batch AS byte_offset, 1 AS loaded_ns, 0 AS spans, 0 AS traces",
            {"batch": batch},
        )
        for table, lines in rows.items():
            if lines:
                session.register("rows_in", pa.Table.from_pylist(lines))
                session.execute(f"INSERT INTO {table} BY NAME SELECT * FROM rows_in")
