"""What the rest of the collector may ask of a store. A store is one class that keeps this word.

Tables and columns are those of ``store/duckdb/sql/schema.sql``; SQL handed to a session stays
in the common subset of DuckDB and its lake (no primary keys, enums, sequences), with named
parameters (``$name``), never with values pasted in.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

Params = Mapping[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the journal: everything before it has been read."""

    segment: int
    byte_offset: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What one statement from outside may be, take and give."""

    text_bytes: int = 64 * 1024
    rows: int = 10_000
    answer_bytes: int = 16 * 1024 * 1024
    seconds: float = 10.0
    memory_bytes: int = 512 * 1024 * 1024
    """By which the process may grow beyond the database's own limit."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer to SQL from outside, as Arrow. ``truncated``: there would have been more."""

    schema: pa.Schema
    batches: list[pa.RecordBatch]
    truncated: bool
    elapsed_ms: float


class Session(Protocol):
    """One transaction: a reader's sees one snapshot, a writer's commits as a whole or not at all."""

    def execute(self, sql: str, params: Params | None = None) -> None:
        """Runs one statement. Raises ``StoreError`` naming the statement's first line."""
        ...

    def rows(self, sql: str, params: Params | None = None) -> list[Row]:
        """Runs one SELECT; every row as a dict by column name, in the query's order."""
        ...

    def table(self, sql: str, params: Params | None = None) -> pa.Table:
        """As ``rows``, as Arrow."""
        ...

    def register(self, name: str, table: pa.Table) -> None:
        """Makes ``table`` readable as ``name`` until the session ends."""
        ...


class Store(Protocol):
    """Spans, history, verdicts and findings, durable. All methods may be called from any thread."""

    def read(self) -> AbstractContextManager[Session]:
        """A snapshot. Never waits for a writer."""
        ...

    def write(self) -> AbstractContextManager[Session]:
        """The one writer's transaction; others wait. An exception rolls it back."""
        ...

    def append(self, spans: pa.Table, position: Position, received_ns: int) -> int:
        """Adds decoded spans and derives the history they touch, with ``position``, in one
        transaction. Idempotent: a position that is not after the last one adds nothing.
        Returns the number of the load (``batch``), which only grows.
        """
        ...

    def ask(self, sql: str, limits: Limits) -> Asked:
        """Answers one SELECT from outside in a sandbox: the documented views and functions and
        nothing else. Raises ``BadInput`` and ``Stopped``.
        """
        ...

    def position(self) -> Position | None:
        """How far the journal has been loaded; None in a new store."""
        ...

    def maintain(self) -> None:
        """Housekeeping that may take a while (checkpoints); called between loads."""
        ...

    def size_bytes(self) -> int:
        """Of the file with its write-ahead log; of memory used when there is none."""
        ...

    def close(self) -> None:
        """Checkpoints and lets go of the file. Idempotent."""
        ...
