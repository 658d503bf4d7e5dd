"""The first look: is traffic flowing, is anything off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strayline_dashboard.client import Client
from strayline_dashboard.pages.page import Page


def fetch(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """Status, rates, newest findings and traces."""
    return {
        "status": client.get("/api/v1/status"),
        "rates": client.get("/api/v1/rates", {"steps": 60}),
        "findings": client.get("/api/v1/findings", {"limit": 8})["items"],
        "traces": client.get("/api/v1/traces", {"limit": 12})["items"],
    }


PAGE = Page("overview", "", "Overview", fetch)
