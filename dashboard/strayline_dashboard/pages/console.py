"""SQL over what is stored, and how the collector was started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strayline_dashboard.client import Client
from strayline_dashboard.pages.page import Page


def fetch_sql(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """What can be read, and the limits. The answer itself is asked for by the page."""
    return client.get("/api/v1/sql/schema")


def fetch_settings(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """Figures, settings, and detectors that failed."""
    return {
        "status": client.get("/api/v1/status"),
        "settings": client.get("/api/v1/settings"),
        "failed_detectors": client.get("/api/v1/coverage")["failed_detectors"],
    }


SQL = Page("sql", "sql", "SQL", fetch_sql)
SETTINGS = Page("settings", "settings", "Settings", fetch_settings)
