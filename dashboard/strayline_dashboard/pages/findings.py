"""What is off, with the evidence beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from strayline_dashboard.client import ApiProblem, Client
from strayline_dashboard.pages.page import Page

FILTERS: Final = ("kind", "severity", "status", "triage", "confidence", "queue", "cursor")


def fetch(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """The list, filtered by the URL, and the finding that the URL names (else the first). What the
    list may be filtered by is told from everything that there is."""
    filters = {name: params.get(name) or None for name in FILTERS}
    page = client.get("/api/v1/findings", {**filters, "limit": 200, "messages": "none"})
    items = page["items"]
    chosen = rest or (items[0]["id"] if items else "")
    whole = page if not any(filters.values()) else client.get("/api/v1/findings", {"limit": 1000, "messages": "none"})  # fmt: skip
    # an empty inbox says something only where messages were seen
    silent = not whole["items"] and not client.get("/api/v1/queues", {"limit": 1})["items"]
    return {
        "items": items,
        "silent": silent,
        "next_cursor": page["next_cursor"],
        "kinds": _tally(whole["items"], lambda f: f["kind"]),
        "queues": _tally(whole["items"], lambda f: f["subject"]["queue"]),
        "selected": _one(client, chosen) if chosen else None,
        "named": bool(rest),
    }


def _one(client: Client, name: str) -> Any:
    """The finding, or why it cannot be shown: the list beside it stands."""
    try:
        return client.get(f"/api/v1/findings/{quote(name, safe='')}")
    except ApiProblem as problem:
        if problem.away or problem.locked:
            raise
        return {"id": name, "problem": str(problem)}


def _tally(items: list[dict[str, Any]], name: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for item in items:
        if (key := name(item)) is not None:
            found[key] = found.get(key, 0) + 1
    return dict(sorted(found.items()))


PAGE = Page("findings", "findings", "Findings", fetch)
