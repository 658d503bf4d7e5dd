"""What contracts ask of queues beyond what their brokers promise: order, and single handling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import pyarrow as pa

from strayline_collector.contract.model import Contract
from strayline_collector.detect.detector import Detector
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

_PLACE: Final = ("environment", "broker", "vhost", "queue")
PROMISES_SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name in _PLACE),
        ("ordered", pa.bool_()),
        ("exactly_once", pa.bool_()),
    ]
)
NOTHING_PROMISED: Final = PROMISES_SCHEMA.empty_table()
ASKING: Final = frozenset({"reordered", "duplicated"})
"""The detectors whose severity rests on it."""


def promises(contract: Contract, queues: Iterable[Row]) -> list[Row]:
    """Of the ``queues`` that were seen (environment, broker, vhost, queue) those of which a contract
    asks something. ``ordered``: of all its messages; ``x-strayline-ordered: key`` asks for what
    an ordering key asks for by itself."""
    found: list[Row] = []
    for row in queues:
        channels = [c for _, c in contract.queues if c.names(row["queue"], row["vhost"])]
        ordered = any(c.ordered == "queue" for c in channels)
        exactly_once = any(c.exactly_once for c in channels)
        if ordered or exactly_once:
            place = {name: row[name] for name in _PLACE}
            found.append({**place, "ordered": ordered, "exactly_once": exactly_once})
    return found


def promised(detector: Detector, contract: Contract) -> Detector:
    """``detector`` with ``promises`` registered for its SQL; judged anew when the contract changes."""
    if detector.name not in ASKING:
        return detector

    def register(session: Session) -> bool | None:
        rows = promises(contract, session.rows(load("detect/queues_seen"))) if contract else []
        session.register("promises", pa.Table.from_pylist(rows, PROMISES_SCHEMA))
        return None if detector.prepare is None else detector.prepare(session)

    return replace(detector, prepare=register, version=lambda _: contract.digest)
