"""Compacting keeps everything, frees what was dropped, and never harms the old file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from strayline_collector.errors import StoreError
from strayline_collector.store.duckdb import compact as compacting
from strayline_collector.store.duckdb.compact import compact
from strayline_collector.store.duckdb.retain import drop
from strayline_collector.store.duckdb.roll import roll
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.collector import running_collector
from tests.support.corpus import load_recording, truth
from tests.support.synthetic import tables


def _everything(path: Path) -> dict[str, list[str]]:
    store = DuckDBStore.open(str(path))
    with store.read() as session:
        names = session.rows("SELECT table_name AS n FROM duckdb_tables() ORDER BY ALL")
        found = {
            row["n"]: [str(r) for r in session.rows(f"SELECT * FROM {row['n']} ORDER BY ALL")]
            for row in names
        }
    store.close()
    return found


def _filled(path: Path) -> None:
    store = DuckDBStore.open(str(path))
    load_recording(store, "b_misroute")
    for number, table in enumerate(tables(40_000, rows=10_000), start=1):
        store.append(table, Position(2, number), number)
    with store.write() as session:
        roll(session, spans=1)
    store.close()


def test_everything_is_there_and_the_journal_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "it's.duckdb"
    _filled(path)
    before = _everything(path)
    compact(str(path))
    assert _everything(path) == before
    store = DuckDBStore.open(str(path))
    assert store.position() == Position(2, 4)
    with store.read() as session:
        assert session.rows(
            "SELECT DISTINCT compression FROM pragma_storage_info('spans') WHERE column_name = 'attributes' AND segment_type = 'VARCHAR'"
        ) == [{"compression": "ZSTD"}]
    store.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["it's.duckdb"]


def test_what_was_dropped_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    _filled(path)
    store = DuckDBStore.open(str(path))
    with store.write() as session:
        drop(session, session.rows("SELECT max(batch) AS batch FROM rolled")[0]["batch"])
    store.close()
    found = compact(str(path))
    assert found.spans == 0
    assert found.after < found.before


def test_the_file_of_a_running_collector_is_refused_in_one_line_and_it_goes_on(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.duckdb"
    with running_collector(path) as collector:
        collector.replay("b_misroute")
        with pytest.raises(StoreError, match="in use by another process") as refused:
            compact(str(path))
        assert "\n" not in str(refused.value)
        collector.settle()
        assert collector.get("/api/v1/status")["spans"] == truth("b_misroute")["spans"]
        assert sorted(os.listdir(tmp_path)) == ["s.duckdb", "s.duckdb.journal", "s.duckdb.wal"]
        collector.kill()  # what it had not loaded stays in the journal, which is not compacted
    compact(str(path))
    with running_collector(path) as collector:
        collector.settle()
        assert collector.get("/api/v1/status")["spans"] == truth("b_misroute")["spans"]


@pytest.mark.parametrize("kind", ["missing", "foreign"])
def test_what_is_no_database_of_ours_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s.duckdb"
    if kind == "foreign":
        path.write_text("something of somebody else's, long enough to look like a file\n" * 100)
    with pytest.raises(StoreError, match=r"s\.duckdb"):
        compact(str(path))
    assert path.exists() == (kind == "foreign")


def test_a_failure_midway_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.duckdb"
    _filled(path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compacting.os, "replace", full)
    with pytest.raises(StoreError, match="left as it is"):
        compact(str(path))
    monkeypatch.undo()
    assert path.read_bytes() == before
    # what a crash leaves is swept away by the next run
    Path(f"{path}.compact").write_bytes(b"half")
    compact(str(path))
    assert os.listdir(tmp_path) == ["s.duckdb"]


def test_without_room_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.duckdb"
    _filled(path)
    before = path.read_bytes()
    free = SimpleNamespace(free=len(before) // 2)
    monkeypatch.setattr(compacting.shutil, "disk_usage", lambda _: free)
    with pytest.raises(
        StoreError, match=r"takes about [\d.]+ MB beside it.*left as it is"
    ) as refused:
        compact(str(path))
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["s.duckdb"]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_room_that_ends_midway_loses_nothing(tmp_path: Path, share: float) -> None:
    path = tmp_path / "s.duckdb"
    _filled(path)
    before = path.read_bytes()
    most = int(len(before) * share)
    code = (
        "import resource, sys; from strayline_collector.cli import main;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}));"
        "sys.argv[1:] = ['compact', '--db', sys.argv[1]]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False, timeout=120
    )  # fmt: skip
    assert done.returncode != 0
    (line,) = done.stderr.strip().splitlines()
    assert line.endswith("the file was left as it is")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["s.duckdb"]


def test_the_command_says_what_it_brought(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    _filled(path)
    done = subprocess.run(
        [sys.executable, "-m", "strayline_collector", "compact", "--db", str(path)],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert "MB before" in done.stdout
    missing = subprocess.run(
        [sys.executable, "-m", "strayline_collector", "compact", "--db", str(tmp_path / "no")],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert missing.returncode != 0
    assert "no such file" in missing.stderr
    assert "Traceback" not in missing.stderr
