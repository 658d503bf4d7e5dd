"""A detector that says what a test tells it, to see what becomes of verdicts."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pyarrow as pa

from strayline_collector.detect.detector import Detector
from strayline_collector.detect.runner import Runner
from strayline_collector.query.findings import change_triage
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Session
from tests.detect.histories import put

MINUTE_NS = 60 * 1_000_000_000
_TEXTS = (
    "key", "kind", "verdict", "cause", "severity", "confidence", "role", "message", "trace_id", "producer_span_id",
    "message_id", "environment", "broker", "vhost", "queue", "exchange", "routing_key", "producer_service",
    "consumer_service", "evidence",
)  # fmt: skip
_SCHEMA = pa.schema(
    [(n, pa.string()) for n in _TEXTS]
    + [(n, pa.int64()) for n in ("event_ns", "facts_until_ns", "batch")]
)


def verdict(message: str, at_min: float = 0, **more: Any) -> dict[str, Any]:
    """A message late after a requeue, at that minute of event time."""
    at_ns = int(at_min * MINUTE_NS)
    return {
        "key": "all", "kind": "reordered", "verdict": None, "cause": "requeue", "severity": "warning", "confidence": "proven",
        "role": "late", "message": message, "trace_id": "1" * 32, "producer_span_id": "2" * 16, "message_id": None,
        "environment": None, "broker": "rabbit", "vhost": "/", "queue": "work", "exchange": "x", "routing_key": "k",
        "producer_service": "orders", "consumer_service": "billing", "evidence": "{}",
        "event_ns": at_ns, "facts_until_ns": at_ns, "batch": 1, **more,
    }  # fmt: skip


class Judge:
    """Judges a store again and again, by what is said then."""

    def __init__(self, store: DuckDBStore, **options: Any) -> None:
        self.store = store
        self.rows: list[dict[str, Any]] = []
        self._versions = itertools.count(1)
        told = Detector(
            "told",
            touched="SELECT 'all' AS key WHERE $since >= 0",
            judge="SELECT * FROM said",
            prepare=self._register,
            version=lambda _: f"{time.time_ns()} {next(self._versions)}",
        )
        self.detectors = (told,)
        self.runner = Runner(store, detectors=self.detectors, **options)
        with store.read() as session:
            fresh = not session.rows("SELECT 1 FROM loaded")
        if fresh:
            put(store, {})

    def _register(self, session: Session) -> None:
        session.register("said", pa.Table.from_pylist(self.rows, _SCHEMA))

    def __call__(self, *rows: dict[str, Any], live: bool = False) -> list[dict[str, Any]]:
        """Says ``rows`` and nothing else; the findings there are then, retracted ones too."""
        self.rows = list(rows)
        if live:
            self.runner.run()
        else:
            self.runner.settle()
        assert not self.runner.failures
        with self.store.read() as session:
            return session.rows("SELECT * FROM findings ORDER BY first_seen_ns, id")

    def triage(self, finding_id: str, *, now_ns: int | None = None, **change: Any) -> None:
        with self.store.write() as session:
            change_triage(session, finding_id, change, now_ns or time.time_ns())
