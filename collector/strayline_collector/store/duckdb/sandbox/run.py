"""Running one statement from outside: read-only, in its own cursor, watched while it runs."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from strayline_collector.errors import BadInput, Stopped
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.duckdb.sandbox.guarded import (
    ROW_PREFIX,
    WITH_PREFIX,
    guard,
    measuring,
)
from strayline_collector.store.duckdb.sandbox.rules import Tree, check
from strayline_collector.store.ports import Asked, Limits

LOOK_EVERY_S: Final = 0.02
ROWS_AT_ONCE: Final = 2048


def ask(connection: duckdb.DuckDBPyConnection, sql: str, limits: Limits) -> Asked:
    """Answers one SELECT. Raises ``BadInput`` for what may not or cannot be run, ``Stopped`` for
    what took more time or memory than it may."""
    started = time.monotonic()
    cursor = connection.cursor()
    try:
        with _watched(cursor, limits) as watch:
            try:
                text = _sound(cursor, sql, limits)
                if "asked_spans" in text:
                    cursor.execute(load("sandbox/spans"))
                cursor.execute("BEGIN TRANSACTION READ ONLY")
                schema, batches, truncated = _read(cursor, text, limits)
            except (duckdb.OutOfMemoryException, MemoryError):
                raise Stopped("the query needs more memory than the collector's limit") from None
            except (duckdb.Error, RuntimeError) as error:
                watch.explain()
                raise BadInput(_first_paragraph(error)) from None
            watch.explain()
    finally:
        with contextlib.suppress(duckdb.Error):
            cursor.rollback()
        cursor.close()
    return Asked(schema, batches, truncated, (time.monotonic() - started) * 1000)


def _sound(cursor: duckdb.DuckDBPyConnection, sql: str, limits: Limits) -> str:
    """The statement that is run in place of ``sql``: written anew from its checked tree."""
    try:
        size = len(sql.encode())
    except UnicodeEncodeError:
        raise BadInput("the statement is no Unicode text") from None
    if size > limits.text_bytes:
        raise BadInput(f"the statement is longer than {limits.text_bytes:,} bytes")
    if "\0" in sql:
        raise BadInput("the statement holds a null character")
    # the cursor's: duckdb.extract_statements reads files for some
    statements = cursor.extract_statements(sql)
    if len(statements) != 1 or not statements[0].type == duckdb.StatementType.SELECT:
        raise BadInput("exactly one SELECT is answered")
    try:
        node = _tree(cursor, sql)
        check(node)
        return _text(
            cursor, guard(node, lambda most: _measure(cursor, most), lambda e: _name(cursor, e))
        )
    except RecursionError:
        raise BadInput("the statement is too deeply nested") from None


def _tree(cursor: duckdb.DuckDBPyConnection, sql: str) -> Tree:
    document = _document(cursor, sql)
    if document.get("error_type") == "not implemented":  # a PRAGMA, which is said to be a SELECT
        raise BadInput("exactly one SELECT is answered")
    if document.get("error"):
        raise BadInput(str(document.get("error_message", "it cannot be parsed")))
    if len(document["statements"]) != 1:
        raise BadInput("exactly one SELECT is answered")
    statement = document["statements"][0]
    if statement.get("named_param_map"):
        raise BadInput("parameters are not bound here; write the values")
    return statement["node"]


def _document(cursor: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    found = cursor.execute("SELECT json_serialize_sql($sql::VARCHAR)", {"sql": sql}).fetchone()
    assert found is not None
    return json.loads(found[0])


def _text(cursor: duckdb.DuckDBPyConnection, node: Tree) -> str:
    document = {"error": False, "statements": [{"node": node, "named_param_map": []}]}
    found = cursor.execute(
        "SELECT json_deserialize_sql($tree::JSON)", {"tree": json.dumps(document)}
    ).fetchone()
    assert found is not None
    return str(found[0])


def _measure(cursor: duckdb.DuckDBPyConnection, most: int) -> Tree:
    return _document(cursor, measuring(most))["statements"][0]["node"]["select_list"][0]


def _name(cursor: duckdb.DuckDBPyConnection, expression: Tree) -> str:
    bare = _document(cursor, "SELECT 1")["statements"][0]["node"]
    return _text(cursor, {**bare, "select_list": [expression]}).removeprefix("SELECT ")[:1000]


def _read(
    cursor: duckdb.DuckDBPyConnection, text: str, limits: Limits
) -> tuple[pa.Schema, list[pa.RecordBatch], bool]:
    """Batches as they come, up to the limits; whether there would have been more."""
    reader = cursor.execute(text).to_arrow_reader(ROWS_AT_ONCE)
    batches: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in reader:
        if rows + batch.num_rows > limits.rows:
            batches.append(batch.slice(0, limits.rows - rows))
            return reader.schema, batches, True
        rows += batch.num_rows
        size += batch.nbytes
        if size > limits.answer_bytes:
            return reader.schema, batches, True
        batches.append(batch)
    return reader.schema, batches, False


class _Watch:
    """Interrupts a cursor when its time is over, or when the process has grown by more than the
    database's own limit and the query's allowance explain."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, limits: Limits) -> None:
        self._cursor = cursor
        self._limits = limits
        self._over = threading.Event()
        self._ceiling = max(_resident_bytes(), _limit_bytes(cursor)) + limits.memory_bytes
        self._reason: str | None = None
        self._thread = threading.Thread(target=self._look, name="sql-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def explain(self) -> None:
        """Raises ``Stopped`` with the reason when it was the watch that ended the query."""
        if self._reason is not None:
            raise Stopped(self._reason)

    def _look(self) -> None:
        deadline = time.monotonic() + self._limits.seconds
        while not self._over.wait(LOOK_EVERY_S):
            if self._reason is None and time.monotonic() > deadline:
                self._reason = f"the query took longer than {self._limits.seconds:g} s"
            if self._reason is None and _resident_bytes() > self._ceiling:
                self._reason = (
                    f"the query needs more than {self._limits.memory_bytes:,} bytes of memory"
                )
            if self._reason is not None:
                # again until it ends: what comes between two statements is forgotten
                self._cursor.interrupt()


@contextlib.contextmanager
def _watched(cursor: duckdb.DuckDBPyConnection, limits: Limits) -> Generator[_Watch]:
    watch = _Watch(cursor, limits)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no /proc: time and DuckDB's own limit remain
        return 0


def _limit_bytes(cursor: duckdb.DuckDBPyConnection) -> int:
    found = cursor.execute("SELECT current_setting('memory_limit')").fetchone()
    assert found is not None
    number, unit = str(found[0]).split()
    return int(float(number) * {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}[unit])  # fmt: skip


def _first_paragraph(error: BaseException) -> str:
    """What is wrong, without the rewritten statement that it quotes."""
    first = " ".join(str(error).partition("\n")[0].split())
    for prefix in (WITH_PREFIX, ROW_PREFIX):
        first = first.replace(prefix, "")
    return first[:500] or type(error).__name__
