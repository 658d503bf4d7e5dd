"""The journal: durable before acknowledged, read on from anywhere, torn tails cut."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.receive.journal import FileJournal, MemoryJournal
from strayline_collector.store.ports import Position


def append(journal: FileJournal | MemoryJournal, *bodies: bytes) -> None:
    async def all_at_once() -> None:
        await asyncio.gather(*(journal.append(body) for body in bodies))

    asyncio.run(all_at_once())


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_what_was_appended_is_read_in_order_and_forgotten_on_request(
    tmp_path: Path, kind: str
) -> None:
    journal = FileJournal(tmp_path / "j", None) if kind == "file" else MemoryJournal()
    append(journal, b"a", b"b", b"c")
    records = journal.read(None, 10**6)
    assert [record.body for record in records] == [b"a", b"b", b"c"]
    assert [r.body for r in journal.read(records[0].after, 10**6)] == [b"b", b"c"]
    assert journal.end() == records[-1].after
    journal.forget(records[1].after)
    assert [r.body for r in journal.read(records[1].after, 10**6)] == [b"c"]
    journal.close()


def test_a_new_process_reads_what_the_last_one_acknowledged(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "j", None)
    append(journal, b"a", b"b")
    loaded = journal.read(None, 1)[0].after
    journal.close()
    again = FileJournal(tmp_path / "j", loaded)
    append(again, b"c")
    assert [r.body for r in again.read(loaded, 10**6)] == [b"b", b"c"]
    again.close()


def test_a_clean_end_leaves_no_segment(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "j", None)
    append(journal, b"a")
    journal.forget(journal.end())
    journal.close()
    assert list((tmp_path / "j").iterdir()) == []


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, 200), flip=st.none() | st.integers(0, 200))
def test_a_torn_or_damaged_tail_costs_only_what_follows_it(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int | None
) -> None:
    directory = tmp_path_factory.mktemp("j")
    journal = FileJournal(directory, None)
    bodies = [b"first record", b"second record", b"third record"]
    append(journal, *bodies)
    journal.close()
    (segment,) = directory.glob("*.segment")
    data = bytearray(segment.read_bytes())[: max(0, len(segment.read_bytes()) - cut)]
    if flip is not None and flip < len(data):
        data[flip] ^= 0xFF
    segment.write_bytes(data)
    again = FileJournal(directory, None)
    survived = [record.body for record in again.read(None, 10**6)]
    assert survived == bodies[: len(survived)]
    append(again, b"later")
    assert [r.body for r in again.read(None, 10**6)][-1] == b"later"
    again.close()


def test_a_directory_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "j").write_text("a file in the way")
    with pytest.raises(Exception, match="cannot keep the journal there"):
        FileJournal(tmp_path / "j", Position(0, 0))
