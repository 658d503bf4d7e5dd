"""The journal: durable before acknowledged, read on from anywhere, whatever the disk does."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.errors import Overloaded
from strayline_collector.receive import file_journal
from strayline_collector.receive.file_journal import FileJournal
from strayline_collector.receive.memory_journal import MemoryJournal
from strayline_collector.receive.segment import HEAD_BYTES
from strayline_collector.store.ports import Position


def append(journal: FileJournal | MemoryJournal, *bodies: bytes) -> None:
    async def all_at_once() -> None:
        await asyncio.gather(*(journal.append(body) for body in bodies))

    asyncio.run(all_at_once())


def written(directory: Path, *bodies: bytes) -> Path:
    """A segment that a process has left behind."""
    journal = FileJournal(directory, None)
    append(journal, *bodies)
    journal.close()
    (segment,) = directory.glob("*.segment")
    return segment


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_what_was_appended_is_read_in_order_and_forgotten_on_request(
    tmp_path: Path, kind: str
) -> None:
    journal = FileJournal(tmp_path / "j", None) if kind == "file" else MemoryJournal()
    append(journal, b"a", b"b", b"c")
    records = journal.read(None, 10**6).records
    assert [record.body for record in records] == [b"a", b"b", b"c"]
    assert [r.body for r in journal.read(records[0].after, 10**6).records] == [b"b", b"c"]
    assert journal.end() == records[-1].after
    journal.forget(records[1].after)
    assert [r.body for r in journal.read(records[1].after, 10**6).records] == [b"c"]
    journal.close()


def test_a_new_process_reads_what_the_last_one_acknowledged(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "j", None)
    append(journal, b"a", b"b")
    loaded = journal.read(None, 1).records[0].after
    journal.close()
    again = FileJournal(tmp_path / "j", loaded)
    append(again, b"c")
    assert [r.body for r in again.read(loaded, 10**6).records] == [b"b", b"c"]
    again.close()


def test_a_clean_end_leaves_no_segment(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "j", None)
    append(journal, b"a")
    journal.forget(journal.end())
    journal.close()
    assert list((tmp_path / "j").iterdir()) == []


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 250), flip=st.none() | st.integers(0, 250))
def test_damage_costs_the_records_it_lies_in_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int | None
) -> None:
    directory = tmp_path_factory.mktemp("j")
    bodies = [b"first record", b"second record", b"third record"]
    segment = written(directory, *bodies)
    data = bytearray(segment.read_bytes())
    ends = [sum(HEAD_BYTES + len(b) for b in bodies[: n + 1]) for n in range(3)]
    data = data[: max(0, len(data) - cut)]
    if flip is not None and flip < len(data):
        data[flip] ^= 0xFF
    segment.write_bytes(data)
    starts = [0, *ends[:2]]
    sound = [
        body
        for body, start, end in zip(bodies, starts, ends, strict=True)
        if end <= len(data) and not (flip is not None and start <= flip < end)
    ]
    again = FileJournal(directory, None)
    append(again, b"later")
    assert [r.body for r in again.read(None, 10**6).records] == [*sound, b"later"]
    again.forget(again.end())
    again.close()
    assert list(directory.iterdir()) == []


def test_damage_between_sound_records_is_counted_once_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    segment = written(tmp_path / "j", b"a" * 100, b"b" * 100, b"c" * 100)
    data = bytearray(segment.read_bytes())
    data[HEAD_BYTES + 100 + 3] ^= 1  # in the second record's head
    segment.write_bytes(data)
    again = FileJournal(tmp_path / "j", None)
    for _ in range(2):
        assert [r.body[:1] for r in again.read(None, 10**6).records] == [b"a", b"c"]
    assert (again.lost.places, again.lost.bytes) == (1, HEAD_BYTES + 100)
    assert caplog.text.count("damaged") == 1
    again.close()


def test_a_head_that_a_body_brings_along_is_no_record(tmp_path: Path) -> None:
    stale = written(tmp_path / "other", b"forged").read_bytes()
    segment = written(tmp_path / "j", b"before", b"x" + stale + b"y", b"after")
    data = bytearray(segment.read_bytes())
    data[HEAD_BYTES + len(b"before")] ^= 1  # the head before the body with the head in it
    segment.write_bytes(data)
    again = FileJournal(tmp_path / "j", None)
    assert [r.body for r in again.read(None, 10**6).records] == [b"before", b"after"]
    again.close()


def test_more_than_memory_holds_comes_back_from_disk_in_order_and_once(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "j", None, memory_bytes=250)
    position = None
    seen: list[bytes] = []
    expected: list[bytes] = []
    for round_ in range(6):
        for number in range(round_ + 1):
            body = b"%d.%d" % (round_, number) * 20
            expected.append(body)
            append(journal, body)
        chunk = journal.read(position, 150)
        seen += [record.body for record in chunk.records]
        position = chunk.after
        journal.forget(position)
    while (chunk := journal.read(position, 150)).records:
        seen += [record.body for record in chunk.records]
        position = chunk.after
        journal.forget(position)
    assert seen == expected
    assert (position, journal.backlog_bytes()) == (journal.end(), 0)
    journal.close()


def test_segments_roll_and_go_once_their_records_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_journal, "SEGMENT_BYTES", 1000)
    journal = FileJournal(tmp_path / "j", None)
    for number in range(10):
        append(journal, b"%d" % number * 400)
    assert len(list((tmp_path / "j").iterdir())) == 4
    chunk = journal.read(None, 1300)
    assert len(chunk.records) == 4
    journal.forget(chunk.after)
    assert len(list((tmp_path / "j").iterdir())) == 3
    rest = journal.read(chunk.after, 10**6)
    assert len(rest.records) == 6
    journal.forget(rest.after)
    journal.close()
    assert list((tmp_path / "j").iterdir()) == []


def test_a_full_disk_refuses_and_goes_on_by_itself_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = threading.Event()
    real = os.writev

    def writev(descriptor: int, pieces: list[memoryview]) -> int:
        if full.is_set():
            real(descriptor, [memoryview(b"half of it")])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, pieces)

    journal = FileJournal(tmp_path / "j", None)
    append(journal, b"before")
    monkeypatch.setattr(os, "writev", writev)
    full.set()
    for _ in range(2):
        with pytest.raises(Overloaded, match="No space left"):
            append(journal, b"refused")
    assert "No space left" in (journal.problem() or "")
    full.clear()
    until(lambda: journal.problem() is None)  # without a request that would find out
    append(journal, b"after")
    assert [r.body for r in journal.read(None, 10**6).records] == [b"before", b"after"]
    journal.close()
    again = FileJournal(tmp_path / "j", None)
    assert [r.body for r in again.read(None, 10**6).records] == [b"before", b"after"]
    assert again.lost.places == 0
    again.close()


def test_a_frozen_disk_is_answered_within_a_bound_and_what_it_wrote_late_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_journal, "STALL_S", 0.3)
    thawed = threading.Event()
    real = os.fdatasync

    def fdatasync(descriptor: int) -> None:
        thawed.wait(20)
        real(descriptor)

    journal = FileJournal(tmp_path / "j", None, memory_bytes=1000)
    monkeypatch.setattr(os, "fdatasync", fdatasync)

    async def live() -> None:
        late = [asyncio.create_task(journal.append(body, 1)) for body in (b"late", b"later")]
        started = time.monotonic()
        for answer in late:
            with pytest.raises(Overloaded, match="does not answer"):
                await answer
        assert time.monotonic() - started < 5
        assert "does not answer" in (journal.problem() or "")
        with pytest.raises(Overloaded):
            await journal.append(b"refused at once")
        thawed.set()
        while journal.problem() is not None or journal.rows_in() < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await journal.append(b"after")

    asyncio.run(live())
    found = [r.body for r in journal.read(None, 10**6).records]
    assert found == [b"late", b"later", b"after"]
    journal.close()


def test_what_comes_while_the_disk_writes_shares_the_next_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nobody is told "accepted" before the one that follows its own write."""
    journal = FileJournal(tmp_path / "j", None)
    held = [threading.Event(), threading.Event()]
    begun: list[int] = []
    real = os.fdatasync

    def fdatasync(descriptor: int) -> None:
        begun.append(descriptor)
        held[len(begun) - 1].wait(20)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", fdatasync)

    async def live() -> None:
        first = asyncio.create_task(journal.append(b"first"))
        await _until(lambda: len(begun) == 1)
        others = [asyncio.create_task(journal.append(b"%d" % n)) for n in range(200)]
        await asyncio.sleep(0)  # each has handed over its request
        held[0].set()
        await first
        await _until(lambda: len(begun) == 2)
        assert not any(other.done() for other in others)
        held[1].set()
        await asyncio.gather(*others)

    asyncio.run(live())
    assert len(begun) == 2
    journal.close()
    assert len(FileJournal(tmp_path / "j", None).read(None, 10**6).records) == 201


async def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def test_a_clock_set_back_makes_nothing_older_than_what_came_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = FileJournal(tmp_path / "j", None)
    times = iter([2_000_000_000_000_000_000, 1_000_000_000_000_000_000])
    monkeypatch.setattr(time, "time_ns", lambda: next(times))
    append(journal, b"a")
    append(journal, b"b")
    first, second = journal.read(None, 10**6).records
    assert second.received_ns >= first.received_ns
    monkeypatch.undo()
    journal.close()


def test_a_directory_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "j").write_text("a file in the way")
    with pytest.raises(Exception, match="cannot keep the journal there"):
        FileJournal(tmp_path / "j", Position(0, 0))
