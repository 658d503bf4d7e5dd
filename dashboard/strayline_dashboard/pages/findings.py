"""What is off, with the evidence beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from strayline_dashboard.client import Client
from strayline_dashboard.pages.page import Page


def fetch(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """The list, filtered by the URL, and the finding that the URL names (else the first)."""
    filters = {name: params.get(name) for name in ("kind", "severity", "queue", "triage")}
    items = client.get("/api/v1/findings", {**filters, "limit": 200})["items"]
    chosen = rest or (items[0]["id"] if items else "")
    return {
        "items": items,
        "selected": client.get(f"/api/v1/findings/{quote(chosen, safe='')}") if chosen else None,
    }


PAGE = Page("findings", "findings", "Findings", fetch)
