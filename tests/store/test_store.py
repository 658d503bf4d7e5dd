"""The DuckDB store keeps the word of ``store/ports.py``."""

from __future__ import annotations

import gc
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pytest

from strayline_collector.decode.otlp import decode
from strayline_collector.errors import StoreError
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.corpus import requests


def test_a_position_is_loaded_once_however_often_it_comes(store: DuckDBStore) -> None:
    spans = decode(requests("a_healthy_proto")[:1], 1)
    first = store.append(spans, Position(1, 10), 1)
    assert store.append(spans, Position(1, 10), 1) == first
    assert store.append(spans, Position(1, 5), 1) == first
    assert store.position() == Position(1, 10)
    with store.read() as session:
        assert session.rows("SELECT count(*) AS n FROM spans")[0]["n"] == spans.num_rows


def test_a_reader_sees_one_snapshot_while_the_writer_goes_on(store: DuckDBStore) -> None:
    spans = decode(requests("a_healthy_proto")[:1], 1)
    with store.read() as session:
        before = session.rows("SELECT count(*) AS n FROM spans")
        writer = threading.Thread(target=store.append, args=(spans, Position(1, 1), 1))
        writer.start()
        writer.join(30)
        assert session.rows("SELECT count(*) AS n FROM spans") == before


def test_an_exception_in_a_write_leaves_nothing_behind(store: DuckDBStore) -> None:
    def failing() -> None:
        with store.write() as session:
            session.execute("INSERT INTO meta VALUES ('x', 'y')")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        failing()
    with store.read() as session:
        assert session.rows("SELECT * FROM meta WHERE key = 'x'") == []


def test_long_text_is_stored_with_zstd(tmp_path: Path) -> None:
    """DuckDB ignores the wish in silence when the file's format is too old."""
    store = DuckDBStore.open(str(tmp_path / "s.duckdb"))
    store.append(decode(requests("a_healthy_proto"), 1), Position(1, 1), 1)
    store.maintain()
    with store.read() as session:
        rows = session.rows(
            "SELECT DISTINCT compression FROM pragma_storage_info('spans') WHERE column_name = 'attributes' AND segment_type = 'VARCHAR'"
        )
    store.close()
    assert [row["compression"] for row in rows] == ["ZSTD"]


def test_reopening_finds_everything(tmp_path: Path) -> None:
    path = str(tmp_path / "s.duckdb")
    store = DuckDBStore.open(path)
    store.append(decode(requests("a_healthy_proto")[:2], 1), Position(3, 4), 1)
    store.close()
    again = DuckDBStore.open(path)
    assert again.position() == Position(3, 4)
    again.close()


@pytest.mark.parametrize("kind", ["text", "duckdb", "newer", "directory"])
def test_a_file_that_is_not_ours_is_refused_in_one_line_and_left_alone(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "other"
    if kind == "text":
        path.write_text("something of somebody else's, long enough to look like a file\n" * 100)
    elif kind == "directory":
        path.mkdir()
    else:
        if kind == "newer":
            DuckDBStore.open(str(path)).close()
        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS theirs (a INTEGER)")
            if kind == "newer":
                connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreError) as refused:
        DuckDBStore.open(str(path))
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_sql_cannot_reach_files_or_settings(store: DuckDBStore, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    for sql in (
        f"SELECT * FROM read_csv('{secret}')",
        f"COPY (SELECT 1) TO '{tmp_path}/x'",
        "SET memory_limit = '1GB'",
        f"ATTACH '{tmp_path}/y.db'",
    ):
        with store.read() as session, pytest.raises(StoreError):
            session.execute(sql)


def test_stores_in_memory_spill_each_into_a_place_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB would have both write the same file, of the directory that they were started in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stores = [DuckDBStore.open(":memory:", memory_limit="48MB") for _ in range(2)]
    with ExitStack() as held:
        sessions = [held.enter_context(store.write()) for store in stores]
        for add, session in enumerate(sessions):
            session.execute(
                "CREATE TEMP TABLE much AS SELECT i + $add AS n, hash(i) AS h, hash(-i) AS g FROM range(3_000_000) r(i)",
                {"add": add},
            )
        places = [*tmp_path.iterdir()]
        assert [place.name[:10] for place in places] == ["strayline-"] * 2
        assert all(place.stat().st_mode & 0o077 == 0 and any(place.iterdir()) for place in places)
        for add, session in enumerate(sessions):
            (row,) = session.rows("SELECT sum(n)::BIGINT AS n FROM much WHERE h = hash(n - $add)", {"add": add})  # fmt: skip
            assert row["n"] == 3_000_000 * 2_999_999 // 2 + 3_000_000 * add
    for store in stores:
        store.close()
    del store, stores, session, sessions, held
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_rights_is_not_called_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, as which tests may run, has every right."""

    def connect(path: str, **_: object) -> None:
        raise duckdb.IOException(f'IO Error: Cannot open file "{path}": Permission denied')

    monkeypatch.setattr(duckdb, "connect", connect)
    with pytest.raises(
        StoreError, match=r"x\.duckdb: may not be opened for writing; give the right"
    ):
        DuckDBStore.open("x.duckdb")
