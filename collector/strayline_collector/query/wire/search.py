"""What may stand in a query, and what a part of an answer has in common."""

from __future__ import annotations

from typing import Literal

from strayline_collector.query.wire.words import TypedDict


class Completion(TypedDict):
    kind: Literal["field", "attribute", "has", "value"]
    text: str
    insert: str
    """What to put in place: values in quotes where they need them, names with ``=``."""
    spans: int | None
    """How often it was found among the newest spans or messages; null for what is fixed."""


class Completions(TypedDict):
    """``GET /api/v1/search/complete``: each item replaces the characters ``replace_from`` up to
    ``replace_to`` of ``q``, counted from 0."""

    replace_from: int
    replace_to: int
    items: list[Completion]


class Spread(TypedDict):
    """How the newest traces of a search lie in time and duration."""

    traces: int
    """At most 5,000; ``truncated``: more match."""
    truncated: bool
    start_unix_nano: int
    end_unix_nano: int
    least_ns: int
    most_ns: int
    """The rows divide the logarithm between them."""
    columns: int
    rows: int
    cells: list[list[int]]
    """Column, row (from the shortest), traces, of those with errors."""


class Difference(TypedDict):
    """A value that more, or fewer, of the picked traces have than of the rest."""

    field: str
    value: str
    picked: int
    others: int
    picked_share: float
    """Of those read, 0 to 1."""
    other_share: float


class Distinction(TypedDict):
    picked: int
    others: int
    picked_read: int
    """Of each side at most 400, evenly chosen, are read."""
    others_read: int
    items: list[Difference]
    """The largest difference first."""
