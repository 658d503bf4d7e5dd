"""The list of traces, and one trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from strayline_dashboard.client import Client
from strayline_dashboard.pages.page import Page


def fetch_list(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """Traces that match the query line, and the services to choose from."""
    filters = {name: params.get(name) for name in ("q", "service", "sort", "cursor")}
    return {
        "traces": client.get("/api/v1/traces", {**filters, "limit": 100}),
        "services": client.get("/api/v1/services")["items"],
    }


def fetch_one(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """One trace, stitched across links unless the URL says otherwise, and its findings."""
    stitch = params.get("stitch", "true")
    trace = client.get(f"/api/v1/traces/{quote(rest, safe='')}", {"stitch": stitch})
    ids = sorted({finding for span in trace["spans"] for finding in span["findings"]})
    return {
        "trace": trace,
        "findings": [client.get(f"/api/v1/findings/{name}") for name in ids[:20]],
    }


LIST = Page("traces", "traces", "Traces", fetch_list)
TRACE = Page("trace", "trace", None, fetch_one)
