"""Where messages surely went, for the question whether anybody is ever seen there."""

from __future__ import annotations

import pyarrow as pa

from strayline_collector.detect.expected import EXPECTED_SCHEMA, expectations
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session


def register_hops(session: Session) -> None:
    """Registers ``expected`` (see ``detect/expected``) for ``detect/uninstrumented``."""
    said = session.rows(load("detect/topology_said"))
    queues = any(row["kind"] == "queue" and row["action"] == "declare" for row in said)
    candidates = session.rows(load("detect/expected_candidates")) if queues else []
    rows = expectations(candidates, said)
    session.register("expected", pa.Table.from_pylist(rows, EXPECTED_SCHEMA))
