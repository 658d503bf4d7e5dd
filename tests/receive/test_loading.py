"""From the acknowledgement to the store: soon, once, and whatever the disk does; and what is told of it."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from strayline_collector.decode.otlp import decode
from strayline_collector.load import Loader
from strayline_collector.metrics import Counter, Gauge, Histogram, render
from strayline_collector.receive.file_journal import FileJournal
from strayline_collector.receive.segment import HEAD_BYTES
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.bench.receive import request
from tests.support import otlp
from tests.support.collector import RunningCollector, collector_command, running_collector
from tests.support.faults import full_disk, wait_for

PROTOBUF = {"content-type": "application/x-protobuf"}


def post(collector: RunningCollector, body: bytes) -> int:
    url = f"http://{collector.otlp_http}/v1/traces"
    return httpx.post(url, content=body, headers=PROTOBUF, timeout=30).status_code


def figures(collector: RunningCollector) -> dict[str, float]:
    """Samples of ``/metrics`` by name and labels."""
    answer = httpx.get(f"http://{collector.api}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_what_is_acknowledged_becomes_visible_by_itself_and_is_told_of() -> None:
    with running_collector() as collector:
        assert post(collector, request(20, 1)) == 200
        assert post(collector, b"\xff\xff") == 400
        wait_for(lambda: collector.get("/api/v1/status")["spans"] == 20, timeout=10)
        found = figures(collector)
        ingest = collector.get("/api/v1/status")["ingest"]
        files = [os.path.realpath(file) for file in open_files(collector)]
    assert [file for file in files if file.endswith((".segment", ".duckdb", ".wal"))] == []
    assert found['strayline_requests_total{door="http",outcome="accepted"}'] == 1
    assert found['strayline_requests_total{door="http",outcome="refused"}'] == 1
    assert found['strayline_refused_total{reason="malformed"}'] == 1
    assert found["strayline_spans_accepted_total"] == found["strayline_loaded_rows_total"] == 20
    assert found["strayline_load_seconds_count"] == 1
    assert found["strayline_journal_lag_bytes"] == found["strayline_memory_in_flight_bytes"] == 0
    assert found["strayline_batch_rows"] == 20
    assert 0 <= found["strayline_linger_seconds"] < 1
    assert found["strayline_ready"] == 1
    assert (ingest["batch_rows"], ingest["journal_lag_bytes"], ingest["problem"]) == (20, 0, None)
    assert ingest["linger_ms"] < 1000


def open_files(collector: RunningCollector) -> list[Path]:
    return list(Path(f"/proc/{collector.process.pid}/fd").iterdir())


def test_the_documented_figures_are_those_there_are() -> None:
    docs = Path(__file__).parents[2] / "docs"
    tables = [
        line
        for page in ("operations.md", "formats.md")
        for line in (docs / page).read_text().splitlines()
        if line.startswith("| `strayline_") or "/metrics`: `strayline_" in line
    ]
    documented = set(re.findall(r"`(strayline_\w+)", "\n".join(tables)))
    nobody = "http://127.0.0.1:9"
    with collector_command("--forward", nobody, "--webhook", nobody) as collector:
        collector.replay("b_misroute")  # some are there once they count something
        assert post(collector, b"\xff\xff") == 400
        collector.settle()
        text = httpx.get(f"http://{collector.api}/metrics").text
    assert set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE)) == documented


def test_a_store_without_room_loses_nothing_and_goes_on_by_itself(tmp_path: Path) -> None:
    with running_collector(tmp_path / "s.duckdb") as collector:
        assert post(collector, request(64, 1)) == 200
        collector.settle()
        assert post(collector, request(5120, 2)) == 200
        with full_disk(collector.process):
            wait_for(lambda: collector.get("/api/v1/status")["ingest"]["problem"])
            ready = httpx.get(f"http://{collector.api}/ready")
            assert ready.status_code == 503
            assert post(collector, request(64, 3)) == 503
        wait_for(lambda: httpx.get(f"http://{collector.api}/ready").status_code == 200)
        assert post(collector, request(64, 4)) == 200
        collector.settle()
        assert collector.get("/api/v1/status")["spans"] == 64 + 5120 + 64


def test_a_journal_that_outlives_its_load_is_not_loaded_twice(tmp_path: Path) -> None:
    store = DuckDBStore.open(str(tmp_path / "s.duckdb"))
    journal = FileJournal(tmp_path / "j", store.position())

    async def append() -> None:
        await asyncio.gather(*(journal.append(request(8, seed), 8) for seed in range(4)))

    asyncio.run(append())
    journal.close()
    (segment,) = (tmp_path / "j").iterdir()
    kept = segment.read_bytes()
    for _ in range(2):  # the second finds it as after a crash between commit and deletion
        segment.write_bytes(kept)
        journal = FileJournal(tmp_path / "j", store.position())
        loader = Loader(journal, store, lambda: None)
        loader.start()
        loader.drain()
        loader.stop()
        journal.close()
        assert spans(store) == 32
    store.close()


def test_damage_in_the_journal_is_counted_and_the_rest_is_loaded(tmp_path: Path) -> None:
    store = DuckDBStore.open(str(tmp_path / "s.duckdb"))
    bodies = [request(8, seed) for seed in range(3)]
    journal = FileJournal(tmp_path / "j", None)

    async def append() -> None:
        for body in bodies:
            await journal.append(body, 8)

    asyncio.run(append())
    journal.close()
    (segment,) = (tmp_path / "j").iterdir()
    data = bytearray(segment.read_bytes())
    data[2 * HEAD_BYTES + len(bodies[0]) + 10] ^= 1
    segment.write_bytes(data)
    journal = FileJournal(tmp_path / "j", store.position())
    loader = Loader(journal, store, lambda: None)
    loader.start()
    loader.drain()
    assert spans(store) == 16
    assert (journal.lost.places, journal.lost.bytes) == (1, HEAD_BYTES + len(bodies[1]))
    loader.stop()
    journal.close()
    store.close()


def test_a_full_batch_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strayline_collector.load.LEAST_LINGER_S", 60.0)
    monkeypatch.setattr("strayline_collector.load.FRESH_S", 120.0)
    monkeypatch.setattr("strayline_collector.load.BATCH_ROWS", 16)
    store = DuckDBStore.open(":memory:")
    journal = FileJournal(tmp_path / "j", None)
    loaded = threading.Event()
    loader = Loader(journal, store, loaded.set)
    loader.start()

    async def append() -> None:
        await journal.append(request(8, 1), 8)
        loader.wake()
        await asyncio.sleep(0.2)
        assert not loaded.is_set()
        await journal.append(request(8, 2), 8)

    asyncio.run(append())
    started = time.monotonic()
    assert loaded.wait(20)
    assert time.monotonic() - started < 20
    assert spans(store) == 16
    loader.stop()
    journal.close()
    store.close()


def test_requests_that_unfold_to_more_than_one_may_are_loaded_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three requests of 160 KiB are 120 MiB each once the resource stands beside every span."""
    decoded: list[int] = []

    def measured(bodies: list[bytes], received_ns: int) -> pa.Table:
        table = decode(bodies, received_ns)
        decoded.append(table.nbytes)
        return table

    monkeypatch.setattr("strayline_collector.load.decode", measured)
    store = DuckDBStore.open(":memory:")
    journal = FileJournal(tmp_path / "j", None)
    bodies = [otlp.request(number, spans=1000) for number in range(1, 4)]
    for body in bodies:
        resource = body.resource_spans[0].resource
        resource.attributes.add(key="notes").value.string_value = "x" * 125_000

    async def append() -> None:
        small = (otlp.request(number, spans=2) for number in range(4, 9))
        for each in (*bodies, *small):
            await journal.append(each.SerializeToString(), 1)

    asyncio.run(append())
    loader = Loader(journal, store, lambda: None)
    loader.start()
    loader.drain()
    loader.stop()
    journal.close()
    assert spans(store) == 3 * 1000 + 5 * 2
    assert len(decoded) > 1
    assert max(decoded) < 300 * 2**20
    store.close()


def test_figures_are_written_as_prometheus_reads_them() -> None:
    counter = Counter("a_total", "A", ("door",))
    counter.add(2, 'x"y\n')
    seconds = Histogram("b_seconds", "B", (0.1, 1))
    seconds.observe(0.05)
    seconds.observe(5)
    text = render([counter, seconds, Gauge("c", "C", lambda: None), Gauge("d", "D", lambda: 1.5)])
    assert text == (
        '# HELP a_total A\n# TYPE a_total counter\na_total{door="x\\"y\\n"} 2\n'
        "# HELP b_seconds B\n# TYPE b_seconds histogram\n"
        'b_seconds_bucket{le="0.1"} 1\nb_seconds_bucket{le="1"} 1\nb_seconds_bucket{le="+Inf"} 2\n'
        "b_seconds_sum 5.05\nb_seconds_count 2\n# HELP d D\n# TYPE d gauge\nd 1.5\n"
    )


def spans(store: DuckDBStore) -> int:
    with store.read() as session:
        return int(session.rows("SELECT count(*) AS n FROM spans")[0]["n"])
