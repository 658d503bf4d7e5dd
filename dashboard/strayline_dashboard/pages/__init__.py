"""The pages, in the order of the navigation. Add one here and a renderer in ``assets/``."""

from __future__ import annotations

from typing import Final

from strayline_dashboard.pages import (
    console,
    docs,
    findings,
    map,  # noqa: A004
    message,
    overview,
    queues,
    traces,
)
from strayline_dashboard.pages.page import Page

PAGES: Final = (
    overview.PAGE,
    map.PAGE,
    traces.LIST,
    traces.TRACE,
    findings.PAGE,
    queues.LIST,
    queues.ONE,
    message.PAGE,
    console.SQL,
    console.SETTINGS,
    docs.PAGE,
)


def page_of(path: str) -> tuple[Page, str] | None:
    """The page that a URL path names and what follows its name; None for no page."""
    head, _, rest = path.strip("/").partition("/")
    page = next((page for page in PAGES if page.path == head), None)
    return None if page is None else (page, rest)
