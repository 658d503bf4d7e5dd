"""The list of traces, one trace, and two beside one another.

Their renderers ask the API themselves, by way of this server: a trace of 100,000 spans would take
seconds as data of a callback, and a query line has more to say than whether it failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strayline_dashboard.client import Client
from strayline_dashboard.pages.page import Page


def fetch_list(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """Traces that match the query line, and the services to choose from."""
    filters = {name: params.get(name) for name in ("q", "service", "sort", "cursor")}
    return {
        "traces": client.get("/api/v1/traces", {**filters, "limit": 100}),
        "services": client.get("/api/v1/services")["items"],
    }


def fetch(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """Nothing: what the renderer needs stands in the URL."""
    return {}


LIST = Page("traces", "traces", "Traces", fetch_list)
TRACE = Page("trace", "trace", None, fetch)
