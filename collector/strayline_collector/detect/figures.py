"""Findings as figures for ``GET /metrics``, by kind, verdict, severity and queue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from strayline_collector.metrics import Counter, Levels, Metric
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Store

QUEUES: Final = 50
"""So many queues have series of their own; the others share ``other``, so that a scrape stays small."""
LABELS: Final = ("kind", "verdict", "severity", "queue")


class Opened:
    """Counts findings as they open, since this process began."""

    def __init__(self) -> None:
        self._queues: set[str] = set()
        self.counter = Counter(
            "strayline_findings_opened_total",
            "Findings that opened, or opened again, since the start",
            LABELS,
        )

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            queue = row["queue"] or ""
            if len(self._queues) < QUEUES:
                self._queues.add(queue)
            shown = queue if queue in self._queues else "other"
            self.counter.add(1, row["kind"], row["verdict"] or "", row["severity"], shown)


def standing(store: Store) -> list[Metric]:
    """What stands now: findings, and the messages that they name."""

    def read(column: str) -> dict[tuple[str, ...], float]:
        with store.read() as session:
            rows = session.rows(load("detect/finding_figures"), {"queues": QUEUES})
        return {tuple(row[name] for name in LABELS): row[column] for row in rows}

    return [
        Levels(
            "strayline_findings",
            "Findings that stand, provisional and open",
            LABELS,
            lambda: read("findings"),
        ),
        Levels(
            "strayline_finding_messages",
            "Messages that standing findings name",
            LABELS,
            lambda: read("messages"),
        ),
    ]
