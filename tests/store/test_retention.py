"""What is too old or too much goes from every table at once, and its room is used again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from strayline_collector.detect.runner import Runner
from strayline_collector.errors import UsageError
from strayline_collector.query.calls import read_calls
from strayline_collector.query.status import SpanCounts
from strayline_collector.query.times import BEGINNING, END
from strayline_collector.settings import CollectorSettings, parse_wait
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.duckdb.retain import (
    DAY_NS,
    HOUR_NS,
    TABLES,
    Retention,
    outlived,
    step,
)
from strayline_collector.store.duckdb.roll import roll
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.faults.test_clock import SHIFTED, send
from tests.support.collector import running_collector
from tests.support.corpus import load_recording
from tests.support.faults import wait_for
from tests.support.synthetic import tables

HOLD_ON = {
    "meta": "about the file",
    "loaded": "a line a load: where the journal is read on from, and running counts",
    "resources": "a thousand at most",
    "processes": "a line a process, for the watermark",
    "broker_names": "a line a broker",
    "queue_places": "a line a queue and broker, generated names left out",
    "queue_readers": "a line a queue, broker and service, generated names left out",
    "topology_facts": "what holds until the contrary is told",
    "topology_sources": "documents as they were given",
    "findings": "keep their summary",
    "frozen_findings": "say which do",
    "notices": "are to be told yet; their own queue is bounded",
    "memories": "of detectors, which forget by themselves",
}


def _rolls(*hours: float) -> list[dict[str, Any]]:
    return [
        {"batch": n, "loaded_ns": 20_000 * DAY_NS + int(hour * HOUR_NS), "spans": n * 100}
        for n, hour in enumerate(hours, start=1)
    ]


def test_a_day_goes_when_all_of_it_is_too_old() -> None:
    rolls = _rolls(1, 23, 25, 50)
    kept = Retention(age_ns=2 * DAY_NS)
    now = 20_000 * DAY_NS
    assert outlived(rolls, kept, now_ns=now + 71 * HOUR_NS, used_bytes=0) == 0
    assert outlived(rolls, kept, now_ns=now + 72 * HOUR_NS, used_bytes=0) == 2


def test_too_much_lets_the_oldest_day_go_or_of_a_single_day_the_oldest_hours() -> None:
    kept = Retention(size_bytes=1000)
    assert outlived(_rolls(1, 23, 25, 50), kept, now_ns=0, used_bytes=1000) == 0
    assert outlived(_rolls(1, 23, 25, 50), kept, now_ns=0, used_bytes=1001) == 2
    assert outlived(_rolls(1, 1.5, 2.5, 3), kept, now_ns=0, used_bytes=1001) == 2
    assert outlived(_rolls(1, 1.1, 1.2, 1.3), kept, now_ns=0, used_bytes=1001) == 1


def test_much_goes_in_steps() -> None:
    rolls = [{"batch": n, "loaded_ns": 0, "spans": n * 200_000} for n in range(1, 8)]
    assert step(rolls, 7) == 3
    assert step(rolls, 2) == 2
    assert step(rolls, 0) is None


def test_old_telemetry_goes_from_every_table_and_a_finding_keeps_its_summary() -> None:
    store = DuckDBStore.open(":memory:", retention=Retention(age_ns=DAY_NS))
    load_recording(store, "b_misroute", received_ns=1)
    Runner(store).settle()
    with store.read() as session:
        before = session.rows("SELECT * EXCLUDE (updated_ns) FROM findings")
    assert before
    store.maintain()
    with store.read() as session:
        for table, _ in TABLES:
            assert session.rows(f"SELECT count(*) AS n FROM {table}") == [{"n": 0}], table
    assert SpanCounts(store).read().spans == 0
    load_recording(store, "a_healthy_proto", received_ns=time.time_ns())
    Runner(store).settle()
    with store.read() as session:
        assert session.rows("SELECT * EXCLUDE (updated_ns) FROM findings") == before
    store.close()


def test_every_table_is_let_go_of_or_holds_on_for_a_reason(store: DuckDBStore) -> None:
    with store.read() as session:
        there = {row["n"] for row in session.rows("SELECT table_name AS n FROM duckdb_tables()")}
    let_go = {table for table, _ in TABLES}
    assert let_go | HOLD_ON.keys() == there
    assert not let_go & HOLD_ON.keys()


def test_a_running_collector_lets_go_of_what_is_too_old(tmp_path: Path) -> None:
    offset = tmp_path / "offset"
    prelude = "from strayline_collector import load; load.MAINTAIN_S = load.IDLE_MAINTAIN_S = 0.2\n"
    prelude += SHIFTED.format(offset=str(offset))
    with running_collector(
        tmp_path / "s.duckdb", prelude=prelude, retention="1h", max_db_size="1GB"
    ) as collector:

        def kept() -> list[int]:
            return [
                int(trace["trace_id"], 16) for trace in collector.get("/api/v1/traces")["items"]
            ]

        send(collector, 1)
        wait_for(lambda: kept() == [1])
        offset.write_text("7200")  # seconds on; nothing comes meanwhile
        wait_for(lambda: kept() == [])
        send(collector, 2)
        wait_for(lambda: kept() == [2])
        assert collector.get("/api/v1/status")["spans"] == 1


def test_counts_and_graph_are_of_what_is_kept() -> None:
    store = DuckDBStore.open(":memory:", retention=Retention(age_ns=DAY_NS))
    now = time.time_ns()
    for number, table in enumerate(tables(4_000, rows=400, per_s=20), start=1):
        store.append(table, Position(1, number), 1 if number <= 4 else now)
        with store.write() as session:
            roll(session, spans=1)
    store.maintain()
    ranged = {"start_ns": BEGINNING, "end_ns": END}
    with store.read() as session:
        exact = session.rows(load("query/graph_calls"), ranged)
        found = read_calls(session, ranged)
    assert SpanCounts(store).read().spans == 2_400
    assert SpanCounts(store).read().traces == 300
    assert [row["calls"] for row in found] == [row["calls"] for row in exact]
    store.close()


@pytest.mark.timeout(600)
def test_the_file_stops_growing_at_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    limit = 12_000_000
    store = DuckDBStore.open(str(path), retention=Retention(size_bytes=limit))
    seen: list[int] = []
    for number, table in enumerate(tables(600_000, rows=30_000), start=1):
        store.append(_unlike(table, number), Position(1, number), number * HOUR_NS)
        store.maintain()
        seen.append(store.size_bytes())
    with store.read() as session:
        left = session.rows("SELECT count(*) AS n, max(batch) AS newest FROM spans")[0]
    store.close()
    assert 30_000 < left["n"] < 500_000
    assert left["newest"] == len(seen)
    # a row group of 122,880 spans, here two thirds of the limit, goes when its last row does
    assert max(seen) < 3 * limit
    assert max(seen[12:]) <= 1.1 * max(seen[:12])


def _unlike(table: pa.Table, number: int) -> pa.Table:
    place = table.schema.get_field_index("scope")
    texts = pa.array(
        [f'{{"name":"{number}-{i * 2654435761 % 2**32:x}"}}' for i in range(table.num_rows)]
    )
    return table.set_column(place, "scope", texts)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"retention": "90s"}, (90_000_000_000, None)),
        ({"retention": "30m"}, (1_800_000_000_000, None)),
        ({"retention": "12h", "max_db_size": "500MB"}, (12 * HOUR_NS, 500_000_000)),
        ({"retention": "7d", "max_db_size": "2GiB"}, (7 * DAY_NS, 2 * 1024**3)),
        ({}, (None, None)),
    ],
)
def test_limits_are_read(given: dict[str, str], kept: tuple[int | None, int | None]) -> None:
    assert CollectorSettings(**given).kept() == kept


@pytest.mark.parametrize(
    "given",
    [
        {"retention": "7"}, {"retention": "d"}, {"retention": "0s"}, {"retention": "0d"}, {"retention": "-1d"},
        {"retention": ""}, {"retention": "1.5h"}, {"max_db_size": "20XB"}, {"max_db_size": "1MB"},
    ],
)  # fmt: skip
def test_limits_that_mean_nothing_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="--"):
        CollectorSettings(**given).check()


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("0.5", 0.5), ("30s", 30), ("2m", 120), ("-1", -1)]
)
def test_how_long_to_wait_is_read(text: str, seconds: float) -> None:
    assert parse_wait(text, "--lateness") == seconds


@pytest.mark.parametrize("text", ["", "s", "soon", "5x", "1h30m"])
def test_what_is_no_time_to_wait_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=f"--lateness {text}: expected seconds"):
        parse_wait(text, "--lateness")
