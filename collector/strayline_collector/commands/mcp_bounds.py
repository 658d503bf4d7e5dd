"""How the answers of ``strayline mcp`` are kept to a size that a model can read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from strayline_collector.commands.mcp_api import ToolProblem

MAX_CHARS: Final = 24_000
"""Of one answer: some 7,000 tokens, of which a model's context holds many."""
CUTS: Final = ((400, 30), (160, 10), (60, 4), (30, 2), (10, 1))
"""Characters of a text and items of a list, tried until an answer fits."""
_FITTED: Final = frozenset({"items", "spans", "rows", "segments"})
"""Lists that were cut to fit on purpose."""


def bounded(document: Any) -> str:
    """As JSON of at most ``MAX_CHARS``: long texts and lists are cut until it fits, and say so."""
    for characters, items in CUTS:
        text = _json(clipped(document, characters, items))
        if len(text) <= MAX_CHARS:
            return text
    raise ToolProblem("the answer is too large however it is cut; ask for less")


def clipped(value: Any, characters: int, items: int) -> Any:
    """``value`` with its texts and lists cut. Lists that were cut to fit on purpose (``items``,
    ``spans``, ``rows``, ``segments``) stay as they are."""
    if isinstance(value, str):
        more = len(value) - characters
        return value if more <= 0 else f"{value[:characters]}… (+{more:,} characters)"
    if isinstance(value, Mapping):
        kept = {
            str(name)[:200]: (
                [clipped(item, characters, items) for item in inner]
                if name in _FITTED and isinstance(inner, list)
                else clipped(inner, characters, items)
            )
            for name, inner in list(value.items())[: items * 4]
        }
        more = len(value) - len(kept)
        return kept if more <= 0 else {**kept, "…": f"{more:,} more"}
    if isinstance(value, list):
        kept = [clipped(item, characters, items) for item in value[:items]]
        more = len(value) - len(kept)
        return kept if more <= 0 else [*kept, f"… {more:,} more"]
    return value


def fitting(items: Sequence[Any]) -> int:
    """How many of ``items``, cut as an answer is first, fit into one."""
    room = MAX_CHARS - 1_500
    for number, item in enumerate(items):
        room -= len(_json(clipped(item, *CUTS[0]))) + 1
        if room < 0:
            return max(1, number)
    return len(items)


def paged(
    fetch: Callable[[int], Any], shape: Callable[[Any], Any], limit: int, more: str
) -> dict[str, Any]:
    """A page of as many as fit, asked for again where fewer do, so that its cursor goes on."""
    page = fetch(limit)
    items = [shape(item) for item in page["items"]]
    fit = fitting(items)
    if fit < len(items):
        page, items = fetch(fit), items[:fit]
    answer: dict[str, Any] = {"items": items, "next_cursor": page["next_cursor"]}
    if page["next_cursor"] is not None:
        answer["cut"] = f"{len(items)} shown, there are more: {more}, or pass next_cursor as cursor"
    return answer


def part(
    name: str,
    page: Mapping[str, Any],
    shape: Callable[[Any], Any],
    offset: int,
    total: int,
    more: str = "",
) -> dict[str, Any]:
    """As much of a page as fits under ``name``, and where to ask on: of lists asked for by offset."""
    fit = [shape(item) for item in page["items"]]
    fit = fit[: fitting(fit)]
    answer: dict[str, Any] = {name: fit}
    if (after := offset + len(fit)) < total:
        answer["cut"] = f"{name} {offset} to {after - 1} of {total}: ask with offset={after}{more}"
    return answer


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
