"""A full disk: nothing more is acknowledged, questions are answered, and it goes on with room."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.support.collector import RunningCollector, running_collector
from tests.support.faults import Ballast, full_disk, inside, small_disks, wait_for
from tests.support.otlp import PROTOBUF, body

SPANS = 100


class Sender:
    """Knows what was acknowledged."""

    def __init__(self, collector: RunningCollector) -> None:
        self._client = httpx.Client(base_url=f"http://{collector.otlp_http}", timeout=30)
        self.acknowledged = 0
        self._number = 0

    def send(self) -> int:
        """One request of ``SPANS`` spans, some 150 kB; the status it was answered with."""
        self._number += 1
        content = body(self._number, spans=SPANS, filler=1400)
        answer = self._client.post("/v1/traces", content=content, headers=PROTOBUF)
        self.acknowledged += answer.status_code == 200
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) > 0
        else:
            assert answer.status_code == 200, answer.text
        return answer.status_code

    def until_refused(self) -> None:
        for _ in range(4_000):
            if self.send() == 503:
                return
        raise AssertionError("everything was taken")

    def close(self) -> None:
        self._client.close()


def ready(collector: RunningCollector) -> str:
    """Empty when ready, else why not."""
    answer = httpx.get(f"http://{collector.api}/ready", timeout=30)
    return "" if answer.status_code == 200 else answer.json()["detail"]


def answers(collector: RunningCollector) -> int:
    """Asks what a person would; gives the number of spans that are shown."""
    collector.get("/api/v1/traces", limit=10)
    collector.get("/api/v1/graph")
    return collector.get("/api/v1/status")["spans"]


def full_and_room_again(
    collector: RunningCollector,
    fill_up: Callable[[], object],
    keep_full: Callable[[], object],
    make_room: Callable[[], object],
) -> int:
    """The whole story; how many spans were acknowledged."""
    with closing(Sender(collector)) as sender:
        return _story(collector, sender, fill_up, keep_full, make_room)


def _story(
    collector: RunningCollector,
    sender: Sender,
    fill_up: Callable[[], object],
    keep_full: Callable[[], object],
    make_room: Callable[[], object],
) -> int:
    for _ in range(5):
        assert sender.send() == 200
    collector.settle()
    assert answers(collector) == 5 * SPANS
    fill_up()
    sender.until_refused()
    keep_full()  # what is loaded meanwhile gives room back
    reason = wait_for(lambda: ready(collector))
    assert "\n" not in reason
    assert "Traceback" not in reason
    assert answers(collector) >= 5 * SPANS
    wait_for(lambda: sender.send() == 503)
    make_room()
    wait_for(lambda: sender.send() == 200)
    wait_for(lambda: not ready(collector))
    collector.settle()
    assert answers(collector) == sender.acknowledged * SPANS
    return sender.acknowledged * SPANS


@pytest.mark.parametrize("which", ["journal", "database", "both"])
def test_a_full_disk(tmp_path: Path, which: str) -> None:
    """Which of the two hits the wall: one on a small file system of its own, or both on one."""
    db = tmp_path / "disk" / "s.duckdb"
    journal = Path(f"{db}.journal")
    journal.mkdir(parents=True)
    disks = {"journal": {journal: 32}, "database": {db.parent: 256, journal: 48}, "both": {db.parent: 64}}  # fmt: skip
    under = small_disks(disks[which])
    if under is None:
        pytest.skip("no file system can be mounted here; the injected one below stays")
    said = tmp_path / "stderr"
    with said.open("w") as stderr, running_collector(db, under=under, stderr=stderr) as collector:
        walled = inside(collector.process, journal if which == "journal" else db.parent)
        ballast = Ballast(walled)
        try:
            spans = full_and_room_again(
                collector,
                lambda: ballast.fill(leave=3_000_000),
                # the database alone: it is the journal that was filled up behind it
                (lambda: None) if which == "database" else ballast.keep_full,
                ballast.remove,
            )
        finally:
            ballast.remove()
        # the file system goes with the process: what a restart finds is copied out before
        collector.process.send_signal(signal.SIGSTOP)
        after = tmp_path / "after"
        shutil.copytree(inside(collector.process, db.parent), after)
        collector.kill()
    assert "Traceback" not in said.read_text()
    with running_collector(after / "s.duckdb") as again:
        again.settle()
        assert answers(again) == spans


def test_no_file_can_grow(tmp_path: Path) -> None:
    """The same without a file system of its own."""
    db = tmp_path / "s.duckdb"
    with running_collector(db) as collector:
        limit = full_disk(collector.process)
        spans = full_and_room_again(
            collector,
            limit.__enter__,
            lambda: None,
            lambda: limit.__exit__(None, None, None),
        )
        collector.kill()
    with running_collector(db) as again:
        again.settle()
        assert answers(again) == spans


CHECKPOINT_WITHOUT_ROOM = """
import pathlib, resource
from strayline_collector import load
from strayline_collector.store.duckdb.store import DuckDBStore
load.MAINTAIN_S = 0.2
_maintain = DuckDBStore.maintain
def _without_room(store):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if pathlib.Path({flag!r}).exists():
        pathlib.Path({flag!r}).unlink()
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        _maintain(store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
DuckDBStore.maintain = _without_room
"""
"""The disk is full during one checkpoint when a file is there."""


def test_a_checkpoint_without_room(tmp_path: Path) -> None:
    """After one DuckDB answers nothing any more until the file is opened anew."""
    db, said, flag = tmp_path / "s.duckdb", tmp_path / "stderr", tmp_path / "full"
    prelude = CHECKPOINT_WITHOUT_ROOM.format(flag=str(flag))
    with (
        said.open("w") as stderr,
        running_collector(db, prelude=prelude, stderr=stderr) as collector,
        closing(Sender(collector)) as sender,
    ):
        assert sender.send() == 200
        collector.settle()
        for round_ in range(2):
            flag.touch()
            wait_for(lambda: sender.send() == 200)
            wait_for(lambda: said.read_text().count("opened anew") > round_)  # noqa: B023
            assert answers(collector) >= SPANS
        wait_for(lambda: sender.send() == 200)
        wait_for(lambda: not ready(collector))
        collector.settle()
        assert answers(collector) == sender.acknowledged * SPANS
        collector.kill()
    with running_collector(db) as again:
        again.settle()
        assert answers(again) == sender.acknowledged * SPANS
