"""What a span costs in the store, and how long its questions take.

    python -m tests.bench.store [--spans 10000000] [--messages 0] [--per-s 2000] [--db FILE]

Builds a file of so many made-up spans (``tests/support/synthetic.py``; at 2,000 a second ten million
are 83 minutes, at 200 almost 14 hours) with the facts of so many messages in the same time, compacts it, and asks it, alone
and while loads go on. Wall time of single questions, p50 and p95; CPU of loads and of rolling messages up. Informative, never a test.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa

from strayline_collector.query.compare import compare_ranges
from strayline_collector.query.graph import read_graph
from strayline_collector.query.graph_change import read_graph_beside
from strayline_collector.query.latency import read_latency
from strayline_collector.query.search import compile_search
from strayline_collector.query.status import SpanCounts
from strayline_collector.query.times import BEGINNING, END
from strayline_collector.query.trace_text import read_trace
from strayline_collector.query.traces import search_traces
from strayline_collector.store.duckdb.compact import compact
from strayline_collector.store.duckdb.connection import without_pandas
from strayline_collector.store.duckdb.roll_messages import roll_messages
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position, Session
from tests.support.synthetic import tables

HOUR_NS = 3_600_000_000_000
ALWAYS = {"start_ns": BEGINNING, "end_ns": END}
Question = Callable[[Session], object]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--spans", type=int, default=10_000_000)
    parser.add_argument("--messages", type=int, default=0)
    parser.add_argument("--db", default=None)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--per-s", type=int, default=2000, help="spans a second of event time")
    given = parser.parse_args()
    without_pandas()
    with tempfile.TemporaryDirectory() as directory:
        path = given.db or str(Path(directory) / "bench.duckdb")
        if not Path(path).exists():
            build(path, given.spans, given.per_s)
            if given.messages:
                _add_messages(path, given.messages)
        _sizes(path)
        _ask(path, given.rounds)


def build(path: str, spans: int, per_s: int) -> None:
    store = DuckDBStore.open(path, memory_limit="1GB")
    loading, slowest, made = 0.0, 0.0, 0
    for number, table in enumerate(tables(spans, per_s=per_s), start=1):
        started, wall = time.process_time(), time.perf_counter()
        store.append(table, Position(1, number), int(table["received_ns"][-1].as_py()))
        loading += time.process_time() - started
        slowest = max(slowest, time.perf_counter() - wall)
        made += table.num_rows
        if number % 8 == 0:
            store.maintain()
    started = time.process_time()
    store.close()
    closing = time.process_time() - started
    print(f"{made:,} spans in loads of 122,880")
    print(
        f"  insert and derive      {loading / made * 1e6:8.2f} µs CPU a span, slowest load {slowest:.2f} s wall"
    )
    print(f"  last checkpoint        {closing:8.2f} s CPU")  # fmt: skip


_MESSAGE: Final = """
    SELECT i, $first_ns + i * $step_ns AS at_ns, ['orders.events', 'notify', ''][1 + i % 3] AS exchange,
        ['order.created', '', 'work'][1 + i % 3] AS routing_key, ['billing.orders', 'mail.in', 'work'][1 + i % 3] AS queue,
        1 + i * $loads // $messages AS batch, printf('%032x', i) AS trace_id, printf('%016x', i) AS span_id, 'e.1.' || i AS message
    FROM range($messages) r(i)
"""
_PUBLISHES: Final = f"""
    INSERT INTO publish_facts BY NAME
    SELECT batch, batch AS first_batch, message, 'shim' AS source, 'rabbit@shop' AS broker, '/' AS vhost, exchange, routing_key,
        ['orders', 'shipping', 'gateway'][1 + i % 3] AS service, 'p' AS instance, 'h' AS host, true AS stamp_ok, 'confirmed' AS outcome, trace_id, span_id,
        'op' AS operation, span_id AS operation_span_id, at_ns AS start_ns, at_ns + 400_000 + hash(i) % 2_000_000 AS end_ns
    FROM ({_MESSAGE})
"""
_DELIVERIES: Final = f"""
    INSERT INTO delivery_facts BY NAME
    SELECT batch, batch AS first_batch, message, 'shim' AS source, 'rabbit@shop' AS broker, '/' AS vhost, queue, exchange, routing_key,
        ['billing', 'mail', 'stock'][1 + i % 3] AS service, 'c' AS instance, 'h' AS host, false AS redelivered, true AS stamp_ok, trace_id,
        printf('%016x', 9_000_000_000 + i) AS span_id, trace_id AS publish_trace_id, span_id AS publish_span_id, false AS failed,
        at_ns + 3_000_000 + hash(i) % 9_000_000 AS received_ns, received_ns AS handled_start_ns, received_ns + hash(i) % 50_000_000 AS handled_end_ns
    FROM ({_MESSAGE})
"""
_DIRECTORY: Final = (
    f"INSERT INTO trace_directory SELECT key_of(trace_id) AS trace_key, batch FROM ({_MESSAGE})"
)


def _add_messages(path: str, messages: int) -> None:
    """As a shim's facts would stand there, spread over the spans' time and loads."""
    store = DuckDBStore.open(path, memory_limit="1GB")
    with store.write() as session:
        known = session.rows(
            "SELECT min(start_ns) AS first_ns, max(start_ns) AS last_ns, max(batch) AS loads FROM spans"
        )[0]
        step_ns = (known["last_ns"] - known["first_ns"]) // max(1, messages)
        params = {
            "first_ns": known["first_ns"],
            "step_ns": step_ns,
            "loads": known["loads"],
            "messages": messages,
        }
        for sql in (_PUBLISHES, _DELIVERIES, _DIRECTORY):
            session.execute(sql, params)
        session.execute("DELETE FROM messages_rolled")
        session.execute("DELETE FROM message_minutes")
    started = time.process_time()
    with store.write() as session:
        roll_messages(session, int(known["loads"]))
    rolling = time.process_time() - started
    with store.read() as session:
        rows = session.rows("SELECT count(*) AS n FROM message_minutes")[0]["n"]
    store.close()
    print(
        f"{messages:,} messages, rolled up in {rolling / messages * 1e6:.2f} µs CPU each to {rows:,} rows"
    )


def _sizes(path: str) -> None:
    found = compact(path, "1GB")
    store = DuckDBStore.open(path, memory_limit="1GB")
    with store.read() as session:
        blocks = session.rows(
            "SELECT count(DISTINCT block_id) * 262144 AS bytes FROM pragma_storage_info('spans') WHERE block_id >= 0"
        )[0]["bytes"]
        columns = session.rows(
            "SELECT column_name AS name, count(DISTINCT block_id) AS blocks FROM pragma_storage_info('spans')"
            " WHERE block_id >= 0 GROUP BY ALL ORDER BY blocks DESC LIMIT 5"
        )
    store.close()
    print(f"  spans table            {blocks / found.spans:8.1f} bytes a span after compaction")
    print(
        f"  whole file             {found.after / found.spans:8.1f} bytes a span, {found.before / found.spans:.1f} before"
    )
    print(f"  most room              {', '.join(c['name'] for c in columns)}")  # fmt: skip
    started = time.perf_counter()
    store = DuckDBStore.open(path, memory_limit="1GB")
    print(
        f"  opening                {(time.perf_counter() - started) * 1e3:8.1f} ms, {found.after / 1e9:.2f} GB"
    )
    store.close()  # fmt: skip


def _ask(path: str, rounds: int) -> None:
    store = DuckDBStore.open(path, memory_limit="1GB")
    with store.read() as session:
        newest = session.rows("SELECT start_ns FROM spans ORDER BY start_ns DESC LIMIT 1")[0][
            "start_ns"
        ]
        ids = [
            row["trace_id"]
            for row in session.rows("SELECT DISTINCT trace_id FROM spans USING SAMPLE 2000 ROWS")
        ]
    chance = random.Random(7)  # fmt: skip
    hour = {"start_ns": newest - HOUR_NS, "end_ns": newest}
    earlier = {"start_ns": newest - 2 * HOUR_NS, "end_ns": newest - HOUR_NS - 1}

    def search(q: str, range_ns: dict[str, int]) -> Question:
        return lambda s: search_traces(
            s, compile_search(q, range_ns=range_ns, service=None, sort=None), limit=20
        )

    user = "enduser.id=user-123456"
    questions: dict[str, Question] = {
        "trace by id": lambda s: read_trace(s, chance.choice(ids), stitched=True),
        "newest 20, service and duration, 1 h": search("service=billing duration>100ms", hour),
        "common attribute value, 1 h": search("shop.cart.total>90", hour),
        "rare attribute value, 1 h": search(user, hour),
        "rare attribute value, everything": search(user, ALWAYS),
        "service graph, 1 h": lambda s: read_graph(s, hour, "service"),
        "service graph, everything": lambda s: read_graph(s, ALWAYS, "service"),
        "graph beside the hour before, 1 h": lambda s: read_graph_beside(
            s, hour, earlier, "service"
        ),
        "ranges compared, 1 h": lambda s: compare_ranges(s, earlier, hour, service=None),
        "where latency sits, 1 h": lambda s: read_latency(s, hour, client=None, server=None),
        "status": lambda _: SpanCounts(store).read(),
    }
    print(f"\n{'ms wall':40}{'p50':>10}{'p95':>10}{'p50 busy':>10}{'p95 busy':>10}")
    alone = {name: _times(store, ask, rounds) for name, ask in questions.items()}
    stop = threading.Event()
    loads: list[float] = []
    loader = threading.Thread(target=_keep_loading, args=(store, newest, stop, loads))
    loader.start()
    try:
        busy = {name: _times(store, ask, rounds) for name, ask in questions.items()}
    finally:
        stop.set()
        loader.join()
    for name in questions:
        figures = (*alone[name], *busy[name])
        print(f"{name:40}" + "".join(f"{figure:>10.1f}" for figure in figures))
    small = sorted(loads)
    print(
        f"\nloads of 4,000 spans beside them: {small[len(small) // 2] * 1e3:.0f} ms p50, {small[-1] * 1e3:.0f} ms slowest"
    )
    print(f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:,.0f} MB")
    store.close()  # fmt: skip


def _times(store: DuckDBStore, ask: Question, rounds: int) -> tuple[float, float]:
    taken: list[float] = []
    until = time.monotonic() + 30
    while len(taken) < rounds and (len(taken) < 3 or time.monotonic() < until):
        started = time.perf_counter()
        with store.read() as session:
            ask(session)
        taken.append((time.perf_counter() - started) * 1e3)
    taken.sort()
    return taken[len(taken) // 2], taken[int(len(taken) * 0.95)]


def _keep_loading(
    store: DuckDBStore, newest: int, stop: threading.Event, taken: list[float]
) -> None:
    """Four loads a second: the live rate."""
    number = (store.position() or Position(1, 0)).byte_offset
    with _made_elsewhere(newest) as made:
        for table in made:
            number += 1
            started = time.perf_counter()
            store.append(pa.Table.from_batches([table]), Position(1, number), time.time_ns())
            taken.append(time.perf_counter() - started)
            if stop.wait(max(0.0, 0.25 - taken[-1])):
                return


@contextmanager
def _made_elsewhere(newest: int) -> Generator[pa.RecordBatchReader]:
    """Tables of 4,000 spans, by another process: made here they would keep the interpreter for 30 ms
    at a time from who asks, which the decoder of a collector does not."""
    code = f"""
import sys, pyarrow as pa
from tests.support.synthetic import SCHEMA, tables
with pa.ipc.new_stream(sys.stdout.buffer, SCHEMA) as out:
    for table in tables(10_000_000, seed=2, rows=4_000, start_ns={newest}):
        out.write_table(table)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield pa.ipc.open_stream(process.stdout)
        finally:
            process.kill()


if __name__ == "__main__":
    main()
