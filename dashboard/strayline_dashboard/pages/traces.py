"""The list of traces, one trace, and two beside one another.

Their renderers ask the API themselves, by way of this server: a trace of 100,000 spans would take
seconds as data of a callback, and a query line has more to say than whether it failed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from strayline_dashboard.client import Client
from strayline_dashboard.pages.page import Page

_ID: Final = re.compile(r"([0-9a-fA-F]{32})")


def fetch(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """Nothing: what the renderer needs stands in the URL."""
    return {}


def outline_of(rest: str, params: Mapping[str, str]) -> str | None:
    """The trace as ``trace.js`` asks for it."""
    match = _ID.fullmatch(rest)
    if match is None:
        return None
    stitch = "false" if params.get("stitch") == "false" else "true"
    clock = "&clock=corrected" if params.get("clock") == "corrected" else ""
    return f"/data/api/v1/traces/{match[1].lower()}/outline?stitch={stitch}{clock}"


LIST = Page("traces", "traces", "Traces", fetch)
TRACE = Page("trace", "trace", None, fetch, outline_of)
