"""Writing a store's file anew: without what was deleted, its directories in order of their keys.

The old file stays until the new one is whole and on the disk, and is replaced in one step.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from strayline_collector.errors import StoreError
from strayline_collector.store.duckdb.connection import open_database
from strayline_collector.store.duckdb.queries import load, statements

_ORDER: Final = {
    "trace_directory": "trace_key, batch",
    "message_directory": "message_key, batch",
    "call_minutes": "minute, batch",
    "call_starts": "start_ns, batch",
    "service_minutes": "minute, batch",
    "message_minutes": "minute, batch",
}
"""Narrow tables that are looked up by more than the order of arrival, which the others keep."""

_TABLES: Final = "SELECT table_name FROM duckdb_tables() WHERE database_name = $name AND NOT temporary ORDER BY ALL"


@dataclass(frozen=True, slots=True)
class Compacted:
    """Sizes of the file in bytes, and what it holds."""

    before: int
    after: int
    spans: int


def compact(path: str, memory_limit: str | None = None) -> Compacted:
    """Rewrites ``path``, brought up to date first. Raises ``StoreError`` when it is in use, not
    ours or damaged, or the disk is full; the file then stays as it was."""
    if not Path(path).is_file():
        raise StoreError(f"{path}: no such file; --db names the database to compact")
    fresh = Path(path + ".compact")
    _remove(fresh)
    # opened it is checked, brought up to date, and leaves no log behind
    with open_database(path, memory_limit) as connection:
        used = connection.execute(load("retain/used")).fetchone()
    assert used is not None
    _refuse_without_room(path, int(used[0]))
    before = Path(path).stat().st_size
    try:
        spans = _rewrite(path, fresh, memory_limit)
    except (duckdb.Error, OSError) as error:
        raise StoreError(
            f"{path}: cannot be rewritten: {str(error).splitlines()[0]}; the file was left as it is"
        ) from None
    finally:
        _remove(fresh)
    return Compacted(before, Path(path).stat().st_size, spans)


def _refuse_without_room(path: str, needed: int) -> None:
    """``needed``: the old file's blocks in use, about what the new one takes (measured: 99 %)."""
    free = shutil.disk_usage(Path(path).resolve().parent).free
    if free < needed:
        raise StoreError(
            f"{path}: writing it anew takes about {needed / 1e6:,.1f} MB beside it, and {free / 1e6:,.1f} MB"
            " are free; make room or drop more (--retention, --max-db-size); the file was left as it is"
        )


def _rewrite(path: str, fresh: Path, memory_limit: str | None) -> int:
    config: dict[str, str | bool | int | float | list[str]] = {
        "storage_compatibility_version": "v1.5.0"
    }
    if memory_limit is not None:
        config["memory_limit"] = memory_limit
    with duckdb.connect(str(fresh), config=config) as connection:
        for statement in statements("schema"):
            connection.execute(statement)
        # read-only still keeps a collector out while this runs
        connection.execute(f"ATTACH '{path.replace(chr(39), chr(39) * 2)}' AS old (READ_ONLY)")
        tables = [row[0] for row in connection.execute(_TABLES, {"name": "old"}).fetchall()]
        for table in tables:
            order = f" ORDER BY {_ORDER[table]}" if table in _ORDER else ""
            connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM old.{table}{order}")  # noqa: S608 - our own names
        for table in tables:
            old, new = (_count(connection, name) for name in (f"old.{table}", table))
            if old != new:
                raise OSError(f"{table} has {new} rows of {old}")
        spans = _count(connection, "spans")
        connection.execute("CHECKPOINT")
        _sync(fresh)
        os.replace(fresh, path)
        _sync(Path(path).resolve().parent)
    return spans


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - our own names
    assert row is not None
    return int(row[0])


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(fresh: Path) -> None:
    for path in (fresh, Path(f"{fresh}.wal")):
        path.unlink(missing_ok=True)
