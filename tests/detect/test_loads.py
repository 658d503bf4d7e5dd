"""However a history arrives, what is said of it in the end is what one judgement of all of it says."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from strayline_collector.detect import DETECTORS
from strayline_collector.detect.detector import Detector
from strayline_collector.detect.memory import packed, unpacked
from strayline_collector.detect.order import OrderMemory
from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import (
    ALIKE,
    Attempt,
    S,
    delivery_row,
    emptied,
    publish_row,
    put,
    rows_of,
)
from tests.detect.judged import in_loads
from tests.detect.loads import anew, arrive, stream, told
from tests.detect.simulator import simulate

ORDER = tuple(detector for detector in DETECTORS if detector.name == "reordered")


def holds(
    store: DuckDBStore,
    seed: int,
    detectors: tuple[Detector, ...],
    *,
    restarts: float = 0,
    hosts: int = 1,
    skew_ns: int = 0,
) -> None:
    """``skew_ns``: by how much each host's clock is ahead of the one before it."""
    chance = random.Random(seed)
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    calm = seed % 2 == 1
    for number in range(seed * 40, seed * 40 + (10 if calm else 40)):
        history = stream(number, chance) if calm else simulate(number, 77)
        for table, lines in history.rows().items():
            rows[table] += lines
    for row in rows["delivery_facts"]:
        host = row["channel"] % hosts
        row["host"] = f"h{host}"
        for name in ("received_ns", "handled_start_ns", "handled_end_ns", "settled_ns"):
            row[name] = None if row[name] is None else row[name] + host * skew_ns
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


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(n, marks=pytest.mark.deep) for n in (2, 3))])
def test_order_judged_load_by_load_is_order_judged_at_once(store: DuckDBStore, seed: int) -> None:
    holds(store, seed, ORDER)


def test_queues_of_alike_names_are_judged_each_by_its_own(store: DuckDBStore) -> None:
    emptied(store)
    ways = tuple(zip((2, 6), ALIKE, strict=True))
    ahead = [Attempt(n + 2, 1, 1, 10, 20, queue=queue) for n, queue in ways]
    behind = [Attempt(n, 1, 2, 12, 90, queue=queue) for n, queue in ways]
    again = ahead[0].but(tag=3, received=95, settled=99, redelivered=True)
    in_loads(store, [ahead + behind, [again]], ["reordered"])
    found = told(store)
    assert {row[15] for row in found} == {ALIKE[1]}
    assert found == anew(store, detectors=ORDER)


@pytest.mark.parametrize("seed", [10, pytest.param(11, marks=pytest.mark.deep)])
def test_everything_judged_load_by_load_is_everything_judged_at_once(
    store: DuckDBStore, seed: int
) -> None:
    holds(store, seed, DETECTORS)


@pytest.mark.parametrize("pause_s", [0, 10])
@pytest.mark.parametrize(
    "seed", [21, *(pytest.param(seed, marks=pytest.mark.deep) for seed in (20, *range(22, 30)))]
)
def test_a_restart_goes_on_from_what_was_written_down(
    store: DuckDBStore, seed: int, pause_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strayline_collector.detect.runner.WRITE_PAUSE_S", pause_s)
    recalled: list[int] = []
    read = OrderMemory.read

    def counted(self: OrderMemory, written: bytes) -> bool:
        recalled.append(len(written))
        return read(self, written)

    monkeypatch.setattr(OrderMemory, "read", counted)
    holds(store, seed, ORDER, restarts=0.5)
    assert recalled


@pytest.mark.parametrize(
    ("seed", "silent_ns", "gone_ns", "skew_ns"),
    [
        (40, 0, 10**18, 70),
        (41, 0, 0, 1000),
        *(
            pytest.param(seed, *after, (0, 30, 200, 5000)[seed % 4], marks=pytest.mark.deep)
            for seed in range(42, 60)
            for after in ((0, 10**18), (200, 10**18), (0, 0), (100, 500))
        ),
    ],
)
def test_channels_that_ended_are_one_and_nothing_is_said_otherwise(
    store: DuckDBStore,
    seed: int,
    silent_ns: int,
    gone_ns: int,
    skew_ns: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("strayline_collector.detect.order.SILENT_NS", silent_ns)
    monkeypatch.setattr("strayline_collector.detect.order.GONE_NS", gone_ns)
    monkeypatch.setattr("strayline_collector.detect.order.REMEMBERED", 0)
    holds(store, seed, ORDER, restarts=0.1, hosts=2 + seed % 2, skew_ns=skew_ns)


def day(number: int) -> dict[str, list[dict[str, Any]]]:
    """A producer and a consumer process of one day: one message comes late, one is taken from a channel that closes."""
    at, producer, consumer = number * 86_400 * S, f"{number:016x}", f"{number + 1000:016x}"
    attempts = [Attempt(n, 1, n, n * 10, n * 10 + 5) for n in (1, 3, 4, 5)]
    attempts += [Attempt(2, 1, 6, 90, 95), Attempt(6, 1, 7, 60, 99, None), Attempt(7, 1, 8, 70, 75)]
    attempts += [Attempt(6, 2, 1, 100, 105, redelivered=True)]
    deliveries = [delivery_row(number * 100 + index, a) for index, a in enumerate(attempts)]
    for row in deliveries:
        n = row["message"].rsplit(".", 1)[1]
        row |= {
            "message": f"{producer}.1.{n}",
            "stamp": f"1.{producer}.1.{n}.0000",
            "epoch": consumer,
        }
        row |= {
            name: row[name] + at for name in ("received_ns", "handled_start_ns", "handled_end_ns")
        }
        row["settled_ns"] = None if row["settled_ns"] is None else row["settled_ns"] + at
    publishes = [
        publish_row(n, message=f"{producer}.1.{n}", epoch=producer, instance=producer, start_ns=at + n, end_ns=at + n)
        for n in range(1, 8)
    ]  # fmt: skip
    for row in (*publishes, *deliveries):
        row.update(batch=number, first_batch=number)
    return {"publish_facts": publishes, "delivery_facts": deliveries}


def test_what_retention_dropped_is_forgotten_and_nothing_is_said_otherwise(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strayline_collector.detect.order.REMEMBERED", 0)
    emptied(store)
    memories: list[OrderMemory] = []

    def remembering() -> OrderMemory:
        memories.append(OrderMemory())
        return memories[-1]

    order = (replace(ORDER[0], memory=remembering),)
    runner = Runner(store, detectors=order)
    rows: list[int] = []
    for number in range(1, 25):
        put(store, day(number), number)
        with store.write() as session:
            for table in ("publish_facts", "delivery_facts", "judgements"):
                column = "batch" if table == "judgements" else "first_batch"
                session.execute(
                    f"DELETE FROM {table} WHERE {column} <= $gone", {"gone": number - 5}
                )
        runner.run()
        assert not runner.failures
        rows.append(len(unpacked(memories[0].written())[0]["lanes"]) + len(unpacked(memories[0].written())[0]["named"]))  # fmt: skip
    assert max(rows[12:]) <= max(rows[:12])
    found = told(store)
    assert {row[4] for row in found} >= {"channel_closed", "unknown"}
    assert found == anew(store, detectors=order)


LATE = {
    "by the clock of a host that is gone": Attempt(30, 1, 9, received=50, settled=55, host="away"),
    "done before, by the clock of a host that is gone": Attempt(
        30, 1, 9, received=150, settled=155, host="away"
    ),
    "by the tag of a channel that ended, whose clock stepped": Attempt(
        30, 2, 1, received=400, settled=405
    ),
}


@pytest.mark.parametrize("late", LATE)
def test_what_comes_late_by_a_channel_that_ended_is_judged_with_what_came_by_it(
    store: DuckDBStore, late: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strayline_collector.detect.order.SILENT_NS", 100)
    monkeypatch.setattr("strayline_collector.detect.order.GONE_NS", 100)
    emptied(store)
    ended = [
        Attempt(1, 1, 5, received=100, settled=200, host="away"),
        Attempt(2, 2, 5, received=110, settled=115),
    ]
    loads = [ended, [Attempt(n, 3, n, received=300 + n, settled=305 + n) for n in range(3, 20)]]
    runner = Runner(store, detectors=ORDER)
    for batch, attempts in enumerate([*loads, [LATE[late]]], 1):
        rows = rows_of(attempts)
        for row in (*rows["publish_facts"], *rows["delivery_facts"]):
            row |= {"batch": batch, "first_batch": batch, "span_id": f"{batch}{row['span_id'][1:]}"}
            if "delivery_tag" in row:
                row["epoch"] = f"{row['channel']:016x}"
        put(store, rows, batch)
        runner.run()
    runner.settle()
    found = told(store)
    assert found
    assert found == anew(store, detectors=ORDER)


def test_what_another_version_wrote_down_is_judged_anew() -> None:
    memory = OrderMemory()
    tables, said = unpacked(memory.written())
    assert memory.read(packed(tables, said))
    tables["lanes"] = tables["lanes"].drop_columns(["last_tag"])
    assert not memory.read(packed(tables, said))


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(100, 200))
def test_a_hundred_histories(store: DuckDBStore, seed: int) -> None:
    holds(store, seed, DETECTORS, restarts=0.1)
