"""What a page is: a name, where it stands in the URL, and what it asks the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from strayline_dashboard.client import Client

Fetch = Callable[[Client, str, Mapping[str, str]], Any]
"""Client, the rest of the path, query parameters → what the page's renderer draws."""


@dataclass(frozen=True, slots=True)
class Page:
    """``path`` is the first segment of the URL; ``label`` its place in the navigation, None for
    pages one gets to from others; ``live`` pages ask again every few seconds."""

    name: str
    path: str
    label: str | None
    fetch: Fetch
    live: bool = False
