"""SQL from outside."""

from __future__ import annotations

from typing import Any

from strayline_collector.query.wire.words import TypedDict


class SqlRelation(TypedDict):
    name: str
    means: str
    """What a row is."""
    columns: list[SqlColumn]


class SqlLimits(TypedDict):
    seconds: float
    rows: int
    answer_bytes: int
    statement_bytes: int
    at_a_time: int


class SqlSchema(TypedDict):
    """``GET /api/v1/sql/schema``: what can be read, and within which limits."""

    relations: list[SqlRelation]
    limits: SqlLimits


class SqlColumn(TypedDict):
    """A column of an answer to SQL: its name and DuckDB's type."""

    name: str
    type: str


class SqlAnswer(TypedDict):
    """``POST /api/v1/sql``: rows hold their values in the columns' order."""

    columns: list[SqlColumn]
    rows: list[list[Any]]
    truncated: bool
    elapsed_ms: float
