"""kill -9 at any moment under load: every acknowledged span is there after the restart, once."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import grpc
import httpx
import pytest

from tests.support.collector import RunningCollector, running_collector
from tests.support.otlp import EXPORT, PROTOBUF, body

BLOCKED_STORE = """
import threading
from strayline_collector.store.duckdb.store import DuckDBStore
DuckDBStore.append = lambda *_, **__: threading.Event().wait()
"""
"""Nothing is loaded: all that is received stays in the journal."""


@dataclass
class Sent:
    """What the senders know. A trace's number says how many spans it has."""

    acknowledged: set[int] = field(default_factory=set)
    tries: Counter[int] = field(default_factory=Counter)
    unanswered: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def trying(self, number: int) -> bytes:
        with self.lock:
            self.tries[number] += 1
        return body(number, spans=spans_of(number), filler=number % 5 * 100)

    def answered(self, number: int) -> None:
        with self.lock:
            self.acknowledged.add(number)

    def lost(self, number: int) -> None:
        with self.lock:
            self.unanswered.append(number)


def spans_of(number: int) -> int:
    """1 to 20, now and then 500."""
    return 500 if number % 97 == 0 else 1 + number % 20


def send_http(address: str, sent: Sent, numbers: list[int], twice: bool) -> None:
    """Sends until the collector is gone; ``twice``: as a client whose answers get lost."""
    with httpx.Client(base_url=f"http://{address}", timeout=10) as client:
        for number in numbers:
            try:
                for _ in range(1 + twice):
                    content = sent.trying(number)
                    answer = client.post("/v1/traces", content=content, headers=PROTOBUF)
                    if answer.status_code == 200:
                        sent.answered(number)
            except httpx.HTTPError:
                return sent.lost(number)
    raise AssertionError("the senders ran out of traces")


def send_grpc(address: str, sent: Sent, numbers: list[int]) -> None:
    """The same over gRPC."""
    with grpc.insecure_channel(address) as channel:
        export = channel.unary_unary(EXPORT)
        for number in numbers:
            try:
                export(sent.trying(number), timeout=10)
                sent.answered(number)
            except grpc.RpcError:
                return sent.lost(number)
    raise AssertionError("the senders ran out of traces")


def load_and_kill(collector: RunningCollector, sent: Sent, first: int, after_s: float) -> None:
    """Five senders; dead ``after_s`` seconds after the first acknowledgement."""
    again, sent.unanswered = sent.unanswered, []
    known = len(sent.acknowledged)

    def numbers(sender: int) -> list[int]:
        start = first + sender * 1_000_000
        return again + list(range(start, start + 50_000))

    http, rpc = collector.otlp_http, collector.otlp_grpc
    senders = [
        threading.Thread(target=send_http, args=(http, sent, numbers(0), False)),
        threading.Thread(target=send_http, args=(http, sent, numbers(1), False)),
        threading.Thread(target=send_http, args=(http, sent, numbers(2), True)),
        threading.Thread(target=send_grpc, args=(rpc, sent, numbers(3))),
        threading.Thread(target=send_grpc, args=(rpc, sent, numbers(4))),
    ]
    for sender in senders:
        sender.start()
    deadline = time.monotonic() + 30
    while len(sent.acknowledged) == known:
        assert time.monotonic() < deadline, "nothing was acknowledged"
        time.sleep(0.001)
    time.sleep(after_s)
    collector.kill()
    for sender in senders:
        sender.join()


def check(collector: RunningCollector, sent: Sent) -> None:
    """What the API shows is what was acknowledged, and of the rest whole requests at most."""
    collector.settle()
    shown = {int(item["trace_id"], 16): item["spans"] for item in all_traces(collector)}
    missing = sent.acknowledged - shown.keys()
    assert not missing, f"{len(missing)} of {len(sent.acknowledged)} acknowledged are gone"
    assert not shown.keys() - sent.tries.keys()
    assert {n: c for n, c in shown.items() if c != spans_of(n)} == {}
    assert collector.get("/api/v1/status")["spans"] == sum(shown.values())
    (sample,) = random.sample(sorted(sent.acknowledged), 1)
    assert len(collector.get(f"/api/v1/traces/{sample:032x}")["spans"]) == spans_of(sample)


def check_rows(db: Path, sent: Sent) -> None:
    """What was sent once is stored once, row by row: the replay itself repeats nothing."""
    with duckdb.connect(str(db), read_only=True) as connection:
        rows = connection.execute("SELECT trace_id, count(*) FROM spans GROUP BY ALL").fetchall()
    for trace_id, count in rows:
        number = int(trace_id, 16)
        assert count <= spans_of(number) * sent.tries[number]


def all_traces(collector: RunningCollector) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = collector.get("/api/v1/traces", limit=1000, **({"cursor": cursor} if cursor else {}))
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


def rounds(db: Path, rng: random.Random, count: int) -> None:
    """Kills one collector after another on the same file."""
    sent = Sent()
    for round_ in range(count):
        started = time.monotonic()
        with running_collector(db) as collector:
            doors_s = time.monotonic() - started
            if round_:
                collector.settle()
                print(
                    f"round {round_}: {len(sent.acknowledged)} requests acknowledged so far, "
                    f"doors open after {doors_s:.2f} s, all replayed after "
                    f"{time.monotonic() - started:.2f} s"
                )
                check(collector, sent)
            first = 1 + round_ * 10_000_000 + rng.randrange(100_000)
            load_and_kill(collector, sent, first, rng.uniform(0.0, 1.5))
    with running_collector(db) as collector:
        check(collector, sent)
        collector.terminate()
    check_rows(db, sent)


def test_killed_under_load_every_acknowledged_span_is_there_once(
    tmp_path: Path, rng: random.Random
) -> None:
    rounds(tmp_path / "s.duckdb", rng, 3)


@pytest.mark.deep
@pytest.mark.timeout(900)
@pytest.mark.parametrize("file", range(6))
def test_killed_thirty_times(tmp_path: Path, rng: random.Random, file: int) -> None:
    """Six files, each killed five times."""
    rounds(tmp_path / "s.duckdb", rng, 5)


def journalled(db: Path, mib: int) -> int:
    """Has a collector acknowledge ``mib`` MiB that it does not load, and kills it. Requests sent."""
    with (
        running_collector(db, prelude=BLOCKED_STORE) as collector,
        httpx.Client(base_url=f"http://{collector.otlp_http}", timeout=30) as client,
    ):
        number = sent = 0
        while sent < mib * 1024 * 1024:
            number += 1
            content = body(number, spans=512, filler=100)
            sent += len(content)
            assert client.post("/v1/traces", content=content, headers=PROTOBUF).status_code == 200
        collector.kill()
    return number


@pytest.mark.parametrize(
    "mib", [8, pytest.param(66, marks=[pytest.mark.deep, pytest.mark.timeout(600)])]
)
def test_a_journal_full_of_requests_is_replayed(tmp_path: Path, mib: int) -> None:
    """66 MiB is more than a segment. Doors open before the replay is through."""
    db = tmp_path / "s.duckdb"
    requests = journalled(db, mib)
    started = time.monotonic()
    with running_collector(db) as collector:
        doors_s = time.monotonic() - started
        collector.settle()
        replayed_s = time.monotonic() - started
        assert collector.get("/api/v1/status")["spans"] == requests * 512
        print(
            f"{mib} MiB, {requests * 512} spans: doors open after {doors_s:.2f} s, "
            f"all replayed and judged after {replayed_s:.2f} s"
        )
        collector.kill()
    with running_collector(db) as collector:
        collector.settle()
        assert collector.get("/api/v1/status")["spans"] == requests * 512
