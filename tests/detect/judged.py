"""Histories judged, in one load or in several: what a detector said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from strayline_collector.detect import DETECTORS
from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import Attempt, delivery_row, publish_row, put


def runner_of(store: DuckDBStore, only: Sequence[str]) -> Runner:
    return Runner(store, detectors=[d for d in DETECTORS if not only or d.name in only])


def verdicts(
    store: DuckDBStore, kind: str, *, now_ns: int | None = None, only: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Settles; the verdicts of a kind, ``n`` beside each. ``only``: the detectors that run."""
    runner = runner_of(store, only)
    runner.settle(now_ns)
    assert not runner.failures
    with store.read() as session:
        rows = session.rows(
            "SELECT * FROM verdicts WHERE kind = $kind ORDER BY message, queue, role",
            {"kind": kind},
        )
    return [{**row, "n": int(row["message"].rsplit(".", 1)[1])} for row in rows]


def in_loads(
    store: DuckDBStore, loads: Sequence[Sequence[Attempt]], only: Sequence[str] = ()
) -> None:
    """Each publish with its first delivery's load or, by an odd ``n``, in the last one; judged after
    every load."""
    runner = runner_of(store, only)
    known: set[int] = set()
    index = 0
    for batch, attempts in enumerate(loads, start=1):
        last = batch == len(loads)
        due = {a.n for a in attempts} if not last else {a.n for part in loads for a in part}
        publishes = [publish_row(n) for n in sorted(due - known) if n % 2 == 0 or last]
        known |= {row["n"] for row in publishes}
        deliveries: list[dict[str, Any]] = []
        for attempt in attempts:
            deliveries.append(delivery_row(index, attempt))
            index += 1
        rows = {"publish_facts": publishes, "delivery_facts": deliveries}
        for row in (*publishes, *deliveries):
            row.update(batch=batch, first_batch=batch)
        put(store, rows, batch)
        runner.run()
        assert not runner.failures
