"""Calls whose called side is still on its way: its span comes with another process's next export, and until
then the call looks like one of a peer outside."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

HELD_NS: Final = 10_000_000_000
"""OpenTelemetry's processors send every five seconds unless told otherwise."""
BEFORE_NS: Final = 60_000_000_000


def without_awaited(session: Session, calls: Iterable[Row], seen: Mapping[str, int]) -> list[Row]:
    """``calls`` of a graph (``query/calls.read_calls``) less the edges to a peer outside all of whose calls
    began in the last ``HELD_NS``, at an address whose spans came for others in the minute before."""
    kept = list(calls)
    since_ns = time.time_ns() - HELD_NS
    if seen["end_ns"] < since_ns or not any(row["external"] for row in kept):
        return kept
    bounds = {"since_ns": since_ns, "before_ns": since_ns - BEFORE_NS}
    awaited = {
        (row["source"], row["target"], row["protocol"]): row["calls"]
        for row in session.rows(load("query/graph_awaited"), bounds)
    }
    return [
        row
        for row in kept
        if not row["external"]
        or awaited.get((row["source"], row["target"], row["protocol"]), 0) < row["calls"]
    ]
