"""What it takes to let go of half of a large file while loads go on.

    python -m tests.bench.retention [--spans 10000000] [--db FILE]

Builds a file of so many made-up spans (or takes FILE, which it changes), and keeps it under half of its
size (``--max-db-size``): housekeeping after each load of 4,000 spans, four loads a second, as the collector does it.
Wall time of loads and of housekeeping, CPU, and the room on the disk, the write-ahead log with it.
Informative, never a test.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from strayline_collector.store.duckdb.connection import without_pandas
from strayline_collector.store.duckdb.retain import Retention
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.bench.store import build
from tests.support.synthetic import tables

SPANS = "SELECT count(*) AS n FROM spans"
USED = "SELECT used_blocks * block_size AS n FROM pragma_database_size()"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--spans", type=int, default=10_000_000)
    parser.add_argument("--db", default=None)
    parser.add_argument("--loads", type=int, default=120)
    given = parser.parse_args()
    without_pandas()
    with tempfile.TemporaryDirectory() as directory:
        path = given.db or str(Path(directory) / "bench.duckdb")
        if not Path(path).exists():
            build(path, given.spans, 2000)
        _halve(path, given.loads)


def _halve(path: str, loads: int) -> None:
    before = Path(path).stat().st_size
    limit = before // 2
    store = DuckDBStore.open(path, memory_limit="1GB", retention=Retention(size_bytes=limit))
    stored = _told(store, SPANS)
    number = (store.position() or Position(1, 0)).byte_offset
    loading, keeping, rooms = [], [], [before]
    dropped_s = None
    cpu, began = time.process_time(), time.monotonic()
    for table in tables(loads * 4_000, seed=2, rows=4_000, start_ns=time.time_ns()):
        number += 1
        started = time.perf_counter()
        store.append(table, Position(1, number), time.time_ns())
        loaded = time.perf_counter()
        store.maintain()
        done = time.perf_counter()
        loading.append(loaded - started)
        keeping.append(done - loaded)
        rooms.append(store.size_bytes())
        if dropped_s is None and _told(store, USED) <= limit:
            dropped_s = time.monotonic() - began
        time.sleep(max(0.0, 0.25 - (done - started)))
    cpu, wall = time.process_time() - cpu, time.monotonic() - began
    left, used = _told(store, SPANS), _told(store, USED)
    store.close()
    print(f"file {before / 1e6:,.0f} MB, {stored:,} spans; limit {limit / 1e6:,.0f} MB")
    print(f"blocks in use under the limit after {dropped_s:.1f} s wall; {left:,} spans left")
    print(
        f"at the end {used / 1e6:,.0f} MB in use in a file of {Path(path).stat().st_size / 1e6:,.0f} MB, "
        f"at most {max(rooms) / 1e6:,.0f} MB on the disk"
    )
    for name, times in (("load of 4,000 spans", loading), ("housekeeping", keeping)):
        times.sort()
        print(
            f"{name}: {times[len(times) // 2] * 1e3:.0f} ms p50, {times[-1] * 1e3:.0f} ms slowest"
        )
    print(f"CPU {cpu:.1f} s in {wall:.1f} s")


def _told(store: DuckDBStore, sql: str) -> int:
    with store.read() as session:
        return int(session.rows(sql)[0]["n"])


if __name__ == "__main__":
    main()
