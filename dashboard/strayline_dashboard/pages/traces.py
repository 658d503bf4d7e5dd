"""The list of traces, one trace, and two beside one another.

Their renderers ask the API themselves, by way of this server: a trace of 100,000 spans would take
seconds as data of a callback, and a query line has more to say than whether it failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strayline_dashboard.client import Client
from strayline_dashboard.pages.page import Page


def fetch(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """Nothing: what the renderer needs stands in the URL."""
    return {}


LIST = Page("traces", "traces", "Traces", fetch)
TRACE = Page("trace", "trace", None, fetch)
