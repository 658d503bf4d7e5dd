"""Services, exchanges and queues, and who sends to whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strayline_dashboard.client import Client
from strayline_dashboard.pages.page import Page


def fetch(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """The graph at the level in the URL."""
    level = "service" if params.get("level") == "service" else "messaging"
    return client.get("/api/v1/graph", {"level": level})


PAGE = Page("map", "map", "Map", fetch)
