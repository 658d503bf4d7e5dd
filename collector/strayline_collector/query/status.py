"""How many spans and traces there are: each load notes it."""

from __future__ import annotations

from dataclasses import dataclass

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Store


@dataclass(frozen=True, slots=True)
class Counts:
    """Distinct spans (trace, span, kind) and traces, Strayline's own spans not among them."""

    spans: int
    traces: int


class SpanCounts:
    """Counts of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self) -> Counts:
        with self._store.read() as session:
            rows = session.rows(load("load/last"))
        return Counts(int(rows[0]["spans"]), int(rows[0]["traces"])) if rows else Counts(0, 0)
