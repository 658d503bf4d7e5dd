"""How many spans and traces there are, counted anew only after a load."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Store


@dataclass(frozen=True, slots=True)
class Counts:
    """Distinct spans (trace, span, kind) and traces, Strayline's own spans not among them."""

    spans: int
    traces: int


class SpanCounts:
    """Counts of a store, cached by its newest load."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._batch: int | None = None
        self._counts = Counts(0, 0)

    def read(self) -> Counts:
        with self._lock, self._store.read() as session:
            newest = session.rows("SELECT max(batch) AS batch FROM loaded")[0]["batch"]
            if newest != self._batch:
                row = session.rows(load("query/span_counts"))[0]
                self._counts = Counts(int(row["spans"]), int(row["traces"]))
                self._batch = newest
            return self._counts
