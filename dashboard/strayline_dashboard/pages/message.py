"""The journey of one message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from strayline_dashboard.client import Client
from strayline_dashboard.pages.page import Page


def fetch(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """Publish, deliveries and settlements."""
    return client.get(f"/api/v1/messages/{quote(rest, safe='')}/journey")


PAGE = Page("message", "message", None, fetch)
