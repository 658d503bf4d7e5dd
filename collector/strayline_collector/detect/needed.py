"""What the reordering detector is to look at, beside what came in order."""

from __future__ import annotations

from strayline_collector.detect.retries import register_retries
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session


def register_needed(session: Session) -> None:
    """Registers ``retries`` and ``needed`` for ``detect/reordered``: see there."""
    register_retries(session)
    session.register("needed", session.table(load("detect/reordered_needed")))
