"""The first look: is traffic flowing, is anything off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from strayline_dashboard.client import Client
from strayline_dashboard.pages.page import Page, time_range

TAIL: Final = 60


def fetch(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """Status and where to send to, rates, newest findings and traces."""
    status = client.get("/api/v1/status")
    if not status["spans"]:
        return {"status": status, "settings": client.get("/api/v1/settings")}
    between = time_range(params)
    return {
        "status": status,
        "rates": client.get("/api/v1/rates", {"steps": 60, **between}),
        "findings": client.get("/api/v1/findings", {"limit": 30, "messages": "none"})["items"],
        "traces": client.get("/api/v1/traces", {"limit": TAIL, **between})["items"],
    }


PAGE = Page("overview", "", "Overview", fetch)
