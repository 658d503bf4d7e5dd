"""What a page is: a name, where it stands in the URL, and what it asks the API."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from strayline_dashboard.client import ApiProblem, Client

Fetch = Callable[[Client, str, Mapping[str, str]], Any]
"""Client, the rest of the path, query parameters → what the page's renderer draws."""

_LAST: Final = re.compile(r"(\d{1,4})([smhd])")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


Question = Callable[[str, Mapping[str, str]], str | None]
"""The rest of the path, query parameters → an address at the dashboard's own origin."""


@dataclass(frozen=True, slots=True)
class Page:
    """``path`` is the first segment of the URL; ``label`` its place in the navigation, None for
    pages one gets to from others. ``asks``: what its renderer asks for at once by itself, letter by
    letter as it does."""

    name: str
    path: str
    label: str | None
    fetch: Fetch
    asks: Question | None = None


def time_range(params: Mapping[str, str]) -> dict[str, Any]:
    """``start`` and ``end`` for the API, from the URL: ``last=15m`` up to now, or ``start`` and
    ``end`` as they are; neither means everything stored. Raises ``ApiProblem``."""
    last = params.get("last")
    if not last:
        return {"start": params.get("start") or None, "end": params.get("end") or None}
    match = _LAST.fullmatch(last)
    if match is None:
        raise ApiProblem(f"last={last}: expected a number and s, m, h or d, for example last=15m")
    length_ns = int(match[1]) * _UNITS_S[match[2]] * 1_000_000_000
    return {"start": time.time_ns() - length_ns, "end": None}
