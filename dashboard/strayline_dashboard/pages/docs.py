"""The documentation that explains what the dashboard shows, as it was shipped with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from strayline_dashboard.client import ApiProblem, Client
from strayline_dashboard.pages.page import Page

_HERE: Final = Path(__file__).resolve()
_PLACES: Final = (_HERE.parents[1] / "docs", _HERE.parents[3] / "docs")
"""In the installed package; in a checkout."""
_NAME: Final = re.compile(r"([a-z]+/)?[a-z0-9_-]+")


def fetch(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """One page as Markdown. Raises ``ApiProblem`` for a page that is not there."""
    name = rest.strip("/")
    if _NAME.fullmatch(name):
        for place in _PLACES:
            file = place / f"{name}.md"
            if file.is_file():
                return {"name": name, "text": file.read_text("utf-8")}
    raise ApiProblem(f"There is no page {name[:80]} in the documentation.")


PAGE = Page("docs", "docs", None, fetch)
