"""Services, exchanges and queues, who sends to whom, and how that was at another time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from strayline_dashboard.client import ApiProblem, Client
from strayline_dashboard.pages.page import Page, time_range

_DAY_NS: Final = 86_400_000_000_000
AGAINST_NS: Final = {"before": None, "day": _DAY_NS, "week": 7 * _DAY_NS}
"""How far back the range lies that the map is compared with; None: right before this one."""


def fetch(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """The graph at the level and of the range in the URL, beside that of another range if asked."""
    level = "service" if params.get("level") == "service" else "messaging"
    within = time_range(params)
    against = params.get("against")
    return client.get("/api/v1/graph", {"level": level, **within, **_beside(within, against)})


def _beside(within: Mapping[str, Any], against: str | None) -> dict[str, Any]:
    if not against:
        return {}
    if against not in AGAINST_NS:
        raise ApiProblem(f"against={against}: expected one of {', '.join(AGAINST_NS)}")
    if within["start"] is None:
        raise ApiProblem("Choose a range of time first: without one there is nothing before it.")
    start_ns = _ns(within["start"], "start")
    end_ns = time.time_ns() if within["end"] is None else _ns(within["end"], "end")
    # both ends belong to a range
    back_ns = AGAINST_NS[against] or end_ns - start_ns + 1
    return {"compare_start": start_ns - back_ns, "compare_end": end_ns - back_ns}


def _ns(told: Any, name: str) -> int:
    """RFC 3339 or unix ns, as the API takes them."""
    text = str(told)
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ApiProblem(
            f"{name}={text}: expected RFC 3339 (2026-01-31T12:00:00Z) or unix nanoseconds"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000) * 1000


PAGE = Page("map", "map", "Map", fetch)
