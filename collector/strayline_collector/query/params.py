"""Parameters that several calls of the API take, each described once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import Query

from strayline_collector.errors import BadInput
from strayline_collector.store.ports import Session

MAX_PAGE: Final = 1000

Time = Annotated[str | None, Query(description="RFC 3339 or unix nanoseconds", max_length=64)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Few = Annotated[
    int | None,
    Query(
        ge=1,
        le=MAX_PAGE,
        description="at most so many; more are told by `next_cursor`; without it all",
    ),
]
"""Of lists that are short where nothing runs wild, so that all of one is a good answer."""
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
DEFAULT_EXCHANGE: Final = "(default)"
"""What the exchange without a name is called."""
Read = Callable[[Callable[[Session], Any]], Any]
"""Answers with what a query gives of one snapshot."""


def offset_of(cursor: str | None) -> int:
    """Where a page begins: ``next_cursor`` of the page before. Raises ``BadInput``."""
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdigit() or int(cursor) > 10_000_000:
        raise BadInput(f"cursor={cursor}: give next_cursor of the page before, as it was")
    return int(cursor)


def exchange_named(told: str) -> str:
    """The exchange as stored, of what it is called."""
    return "" if told == DEFAULT_EXCHANGE else told


def paged(answer: Mapping[str, Any], limit: int | None, offset: int) -> dict[str, Any]:
    """A whole list's answer with what of its ``items`` stands on one page; ``limit`` None: the rest."""
    items = answer["items"]
    end = len(items) if limit is None else offset + limit
    return {
        **answer,
        "items": items[offset:end],
        "next_cursor": str(end) if end < len(items) else None,
    }
