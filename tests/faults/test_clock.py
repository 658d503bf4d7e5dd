"""A clock that is set back: what arrives later never looks older, and waiting times stay sane."""

from __future__ import annotations

from pathlib import Path

import duckdb
import httpx
import pytest

from tests.support.collector import RunningCollector, running_collector
from tests.support.otlp import PROTOBUF, body

SHIFTED = """
import pathlib, time
_ns = time.time_ns
def _offset_s():
    try:
        return int(pathlib.Path({offset!r}).read_text() or 0)
    except FileNotFoundError:
        return 0
time.time_ns = lambda: _ns() + _offset_s() * 10**9
time.time = lambda: time.time_ns() / 1e9
"""
"""The wall clock is as many seconds off as a file says; the monotonic one goes on."""

DAY_S = 86_400


def send(collector: RunningCollector, number: int) -> None:
    answer = httpx.post(
        f"http://{collector.otlp_http}/v1/traces", content=body(number), headers=PROTOBUF
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_clock_set_back_a_day(tmp_path: Path, kind: str) -> None:
    offset = tmp_path / "offset"
    db = ":memory:" if kind == "memory" else tmp_path / "s.duckdb"
    with running_collector(db, prelude=SHIFTED.format(offset=str(offset))) as collector:
        for number in range(1, 7):
            offset.write_text(str((0, -DAY_S, 3600)[number % 3]))
            send(collector, number)
        collector.settle()
        status = collector.get("/api/v1/status")
        assert status["spans"] == 6
        assert 0 <= status["ingest"]["spans_per_s"] < 1000
        assert status["detection"]["lag_s"] is None or status["detection"]["lag_s"] >= 0
        assert len(collector.get("/api/v1/traces", limit=100)["items"]) == 6
        collector.terminate()
    if kind == "file":
        with duckdb.connect(str(db), read_only=True) as connection:
            rows = connection.execute(
                "SELECT trace_id, received_ns FROM spans ORDER BY trace_id"
            ).fetchall()
        received = [received_ns for _, received_ns in rows]
        assert received == sorted(received)


def test_a_restart_after_the_clock_was_set_back(tmp_path: Path) -> None:
    """Times of arrival are what each process' own clock says, and nothing is lost or twice for it."""
    offset, db = tmp_path / "offset", tmp_path / "s.duckdb"
    for number, shift in ((1, DAY_S), (2, 0), (3, -DAY_S)):
        offset.write_text(str(shift))
        with running_collector(db, prelude=SHIFTED.format(offset=str(offset))) as collector:
            send(collector, number)
            collector.settle()
            assert collector.get("/api/v1/status")["spans"] == number
            assert len(collector.get("/api/v1/traces")["items"]) == number
            collector.kill() if number == 2 else collector.terminate()
