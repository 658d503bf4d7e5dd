"""However a history arrives, what is said of it in the end is what one judgement of all of it says."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import pytest

from strayline_collector.detect import DETECTORS
from strayline_collector.detect.detector import Detector
from strayline_collector.detect.order import OrderMemory
from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import emptied
from tests.detect.loads import anew, arrive, stream, told
from tests.detect.simulator import simulate

ORDER = tuple(detector for detector in DETECTORS if detector.name == "reordered")


def holds(
    store: DuckDBStore, seed: int, detectors: tuple[Detector, ...], *, restarts: float = 0
) -> None:
    chance = random.Random(seed)
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    calm = seed % 2 == 1
    for number in range(seed * 40, seed * 40 + (10 if calm else 40)):
        history = stream(number, chance) if calm else simulate(number, 77)
        for table, lines in history.rows().items():
            rows[table] += lines
    rows["delivery_facts"].sort(key=lambda row: row["received_ns"])
    rows["publish_facts"].sort(key=lambda row: row["start_ns"])
    emptied(store)
    loads = chance.choice([4, 10, 16])
    runner = arrive(
        store, lambda: Runner(store, detectors=detectors), rows, loads, chance, calm=calm, restarts=restarts
    )  # fmt: skip
    runner.settle()
    assert not runner.failures
    found = told(store)
    assert found
    assert found == anew(store, detectors=detectors)


@pytest.mark.parametrize("seed", range(6))
def test_order_judged_load_by_load_is_order_judged_at_once(store: DuckDBStore, seed: int) -> None:
    holds(store, seed, ORDER)


@pytest.mark.parametrize("seed", range(10, 12))
def test_everything_judged_load_by_load_is_everything_judged_at_once(
    store: DuckDBStore, seed: int
) -> None:
    holds(store, seed, DETECTORS)


@pytest.mark.parametrize("pause_s", [0, 10])
@pytest.mark.parametrize("seed", range(20, 24))
def test_a_restart_goes_on_from_what_was_written_down(
    store: DuckDBStore, seed: int, pause_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strayline_collector.detect.runner.WRITE_PAUSE_S", pause_s)
    recalled: list[int] = []
    read = OrderMemory.read

    def counted(self: OrderMemory, written: bytes) -> None:
        recalled.append(len(written))
        read(self, written)

    monkeypatch.setattr(OrderMemory, "read", counted)
    holds(store, seed, ORDER, restarts=0.5)
    assert recalled


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(100, 200))
def test_a_hundred_histories(store: DuckDBStore, seed: int) -> None:
    holds(store, seed, DETECTORS, restarts=0.1)
