"""The DuckDB store: one process owns the file, one writer at a time, readers on snapshots."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from strayline_collector.errors import GivenUp, StoreError
from strayline_collector.store.duckdb.connection import MEMORY
from strayline_collector.store.duckdb.loading import Added, add_spans
from strayline_collector.store.duckdb.opened import Opened
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.duckdb.retain import Retention, drop, outlived, step
from strayline_collector.store.duckdb.roll import roll
from strayline_collector.store.duckdb.sandbox import run
from strayline_collector.store.ports import Asked, Limits, Params, Position, Row

RETAIN_S: Final = 1.0
"""After this long housekeeping drops no more, and lets the next loads go first."""


class DuckDBSession:
    """One transaction on a cursor of its own. Keeps ``ports.Session``."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor

    def execute(self, sql: str, params: Params | None = None) -> None:
        self._run(sql, params)

    def rows(self, sql: str, params: Params | None = None) -> list[Row]:
        result = self._run(sql, params)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def table(self, sql: str, params: Params | None = None) -> pa.Table:
        return self._run(sql, params).to_arrow_table()

    def register(self, name: str, table: pa.Table) -> None:
        self._cursor.register(name, table)

    def _run(self, sql: str, params: Params | None) -> duckdb.DuckDBPyConnection:
        try:
            return self._cursor.execute(sql, dict(params) if params else None)
        except duckdb.FatalException as error:
            raise GivenUp(f"{_first_line(sql)}: {_one_line(error)}") from None
        except duckdb.Error as error:
            raise StoreError(f"{_first_line(sql)}: {error}") from error


class DuckDBStore:
    """Keeps ``ports.Store`` in one DuckDB file, or in memory."""

    def __init__(self, opened: Opened, path: str, retention: Retention) -> None:
        self._opened = opened
        self._retention = retention
        self._path = path
        self._writer = threading.Lock()
        self._closed = False

    @classmethod
    def open(
        cls, path: str, *, memory_limit: str | None = None, retention: Retention | None = None
    ) -> DuckDBStore:
        """Opens or creates. ``memory_limit`` as DuckDB writes it (``2GB``). Raises ``StoreError``."""
        return cls(Opened(path, memory_limit), path, retention or Retention())

    @contextmanager
    def read(self) -> Generator[DuckDBSession]:
        cursor = self._opened.begin()
        try:
            yield DuckDBSession(cursor)
        finally:
            _end(cursor, commit=False)

    @contextmanager
    def write(self) -> Generator[DuckDBSession]:
        with self._writer:
            cursor = self._opened.begin()
            done = False
            try:
                yield DuckDBSession(cursor)
                done = True
            finally:
                _end(cursor, commit=done)

    def append(self, spans: pa.Table, position: Position, received_ns: int) -> int:
        with self.write() as session:
            last = session.rows(load("load/last"))
            newest = last[0] if last else {"batch": 0, "spans": 0, "traces": 0}
            if last and position <= Position(newest["segment"], newest["byte_offset"]):
                return int(newest["batch"])
            batch = int(newest["batch"]) + 1
            added = add_spans(session, batch, spans) if spans.num_rows else Added(0, 0, batch)
            session.execute(
                load("load/loaded"),
                {
                    "batch": batch,
                    "segment": position.segment,
                    "byte_offset": position.byte_offset,
                    "loaded_ns": received_ns,
                    "spans": newest["spans"] + added.spans,
                    "traces": newest["traces"] + added.traces,
                    "about_since": added.about_since,
                },
            )
            roll(session)
            return batch

    def ask(self, sql: str, limits: Limits) -> Asked:
        return run.ask(self._opened.connection, sql, limits)

    def position(self) -> Position | None:
        with self.read() as session:
            last = session.rows(load("load/last"))
        return Position(last[0]["segment"], last[0]["byte_offset"]) if last else None

    def maintain(self) -> None:
        """Drops what retention lets go and moves the write-ahead log into the file. Called off the
        acknowledgement path."""
        dropped = self._retain()
        with self._writer:
            cursor = self._opened.connection.cursor()
            try:
                cursor.execute("CHECKPOINT")
                if dropped:
                    # the first writes that the rows are gone, the second frees their blocks
                    cursor.execute("CHECKPOINT")
            except duckdb.FatalException as error:
                raise StoreError(f"{self._path}: no checkpoint: {_one_line(error)}") from None
            except duckdb.Error:
                # a reader's transaction holds it off; the next load tries again
                return
            finally:
                cursor.close()

    def _retain(self) -> bool:
        if self._retention == Retention():
            return False
        with self.write() as session:
            roll(session, spans=1)
        with self.read() as session:
            rolls = session.rows(load("retain/rolls"))
            used = session.rows(load("retain/used"))[0]
        until = outlived(
            rolls, self._retention, now_ns=time.time_ns(), used_bytes=int(used["bytes"])
        )
        deadline = time.monotonic() + RETAIN_S
        dropped = False
        while (upto := step(rolls, until)) is not None:
            with self.write() as session:
                drop(session, upto)
                rolls = session.rows(load("retain/rolls"))
            dropped = True
            if time.monotonic() > deadline:
                break
        return dropped

    def size_bytes(self) -> int:
        if self._path == MEMORY:
            with self.read() as session:
                return int(
                    session.rows(
                        "SELECT sum(memory_usage_bytes)::BIGINT AS n FROM duckdb_memory()"
                    )[0]["n"]
                    or 0
                )
        return sum(
            file.stat().st_size
            for file in (Path(self._path), Path(self._path + ".wal"))
            if file.exists()
        )

    def close(self) -> None:
        with self._writer:
            if self._closed:
                return
            self._closed = True
            deadline = time.monotonic() + 5
            while True:
                try:
                    self._opened.connection.execute("CHECKPOINT")
                    break
                except duckdb.FatalException:
                    break  # no room: the log has it
                except duckdb.Error:
                    # a last reader; the write-ahead log keeps everything should it stay
                    if time.monotonic() > deadline:
                        break
                    time.sleep(0.05)
            self._opened.connection.close()


def _end(cursor: duckdb.DuckDBPyConnection, *, commit: bool) -> None:
    try:
        if commit:
            cursor.commit()
        else:
            cursor.rollback()
    except duckdb.Error as error:
        # else a failed statement has ended the transaction already
        if commit:
            raise StoreError(f"nothing is stored: {_one_line(error)}") from None
    finally:
        cursor.close()


def _one_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _first_line(sql: str) -> str:
    lines = (line.strip() for line in sql.splitlines())
    return next((line for line in lines if line), "")[:120]
