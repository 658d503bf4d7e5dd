"""Parameters that several calls of the API take, each described once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import Query

from strayline_collector.errors import BadInput
from strayline_collector.store.ports import Session

MAX_PAGE: Final = 1000

Time = Annotated[str | None, Query(description="RFC 3339 or unix nanoseconds", max_length=64)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Cursor = Annotated[str | None, Query(max_length=128, description="next_cursor of the page before")]
Text = Annotated[str | None, Query(max_length=1024)]
Query_ = Annotated[
    str | None, Query(max_length=4096, description="a query line, as docs/search.md tells")
]
Picked_ = Annotated[
    str,
    Query(
        max_length=80,
        description="began after, began before (unix ns), least and most duration (ns), joined by ~",
    ),
]
Read = Callable[[Callable[[Session], Any]], Any]
"""Answers with what a query gives of one snapshot."""


def offset_of(cursor: str | None) -> int:
    """Where a page begins: ``next_cursor`` of the page before. Raises ``BadInput``."""
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdigit() or int(cursor) > 10_000_000:
        raise BadInput(f"cursor={cursor}: give next_cursor of the page before, as it was")
    return int(cursor)
