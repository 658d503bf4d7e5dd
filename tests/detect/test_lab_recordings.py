"""Recorded systems of stock services: the graph is the truth's, every fault is found and nothing else.

What spans leave open (starts of whole milliseconds, what was behind the last that came out) may be missed,
and is counted here."""

from __future__ import annotations

from typing import Any

import pytest

from strayline_collector.detect.runner import Runner
from strayline_collector.query.graph import read_graph
from strayline_collector.query.times import BEGINNING, END
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.support.corpus import LAB, load_recording, truth

MINUTE_NS = 60_000_000_000
SEEN = {"dead_letters": (10, 26), "stolen": (14, 15)}
"""Of the messages that got lost: those that one behind them shows to have left, and all."""


def settled(store: DuckDBStore) -> list[dict[str, Any]]:
    """Verdicts on messages, a minute after all was told."""
    with store.read() as session:
        last = session.rows("SELECT max(end_ns) AS end_ns FROM spans")[0]["end_ns"]
    runner = Runner(store)
    runner.settle(now_ns=last + MINUTE_NS)
    assert not runner.failures
    with store.read() as session:
        return session.rows(
            "SELECT *, CAST(evidence->'$.late_by' AS VARCHAR[]) AS late_by FROM verdicts WHERE role NOT IN ('overtaker', 'original')"
        )


def named(row: dict[str, Any]) -> str:
    """By its publisher's id; by its publish's span where spans tell none (Java)."""
    return row["message_id"] or row["message"]


def edges(store: DuckDBStore, level: str) -> list[list[Any]]:
    """AMQP's, by plain names."""
    with store.read() as session:
        graph = read_graph(session, {"start_ns": BEGINNING, "end_ns": END}, level)
    return sorted(
        [*(end.rpartition("|" if "|" in end else ":")[2] for end in (e["source"], e["target"])), e["calls"]]
        for e in graph["edges"]
        if e["protocol"] == "amqp"
    )  # fmt: skip


@pytest.mark.parametrize(("seed", "times", "chunk"), [(None, 1, 200), (11, 2, 50)])
@pytest.mark.parametrize("name", LAB)
def test_what_happened_is_told_and_nothing_else(
    store: DuckDBStore, name: str, seed: int | None, times: int, chunk: int
) -> None:
    load_recording(store, name, shuffle_seed=seed, times=times, chunk=chunk)
    true = truth(name)
    rows = settled(store)
    for level in ("service", "messaging"):
        assert edges(store, level) == true["edges"][level]

    found: dict[tuple[str, str | None, str | None], set[str]] = {}
    for row in rows:
        if row["severity"] != "info":
            key = (row["kind"], row["verdict"] or row["cause"], row["queue"])
            found.setdefault(key, set()).add(named(row))
    assert found == {(k, v, queue): set(ids) for k, v, queue, ids in true["warnings"]}

    for row in (r for r in rows if r["kind"] == "reordered"):
        for basis in row["late_by"]:
            assert named(row) in true["late"][row["queue"]][basis]["late"]
    clear = {
        (queue, m) for queue, by in true["late"].items() for m in by.get("delivery", {}).get("clear_10ms", [])
    }  # fmt: skip
    assert {(r["queue"], named(r)) for r in rows if "delivery" in (r["late_by"] or [])} >= clear

    dead = {(r["queue"], named(r)) for r in rows if r["kind"] == "dead_lettered"}
    assert dead == {(queue, m) for queue, died in true["dead_lettered"].items() for m in died}

    lost = [(r["queue"], named(r)) for r in rows if r["kind"] == "lost"]
    real = {(queue, m) for queue, messages in true["lost"].items() for m in messages}
    assert set(lost) <= real
    assert (len(lost), len(real)) == SEEN.get(name, (0, 0))
