"""Queues, and of one queue the order in which it gave its messages out, the ways into it, and what can
be judged of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from strayline_dashboard.client import Client
from strayline_dashboard.pages.page import Page, time_range

POINTS: Final = 750
"""Messages drawn at most; what lies between them is told by the envelope."""


def fetch_list(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """Every queue with its figures, and what is judged of each."""
    queues = client.get("/api/v1/queues", {"limit": 500, **time_range(params)})
    coverage = client.get("/api/v1/coverage", time_range(params))
    return {
        "items": queues["items"],
        "truncated": queues["next_cursor"] is not None,
        "coverage": coverage["items"],
        "unnamed": coverage["unnamed"],
        "failed_detectors": coverage["failed_detectors"],
    }


def fetch_one(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """What the chosen tab shows of one queue, and its findings."""
    place = {name: params.get(name) or None for name in ("name", "broker", "vhost")}
    tab = params.get("tab") if params.get("tab") in ("routes", "coverage") else "order"
    listed = client.get("/api/v1/findings", {"queue": place["name"], "limit": 50, "messages": "none"})  # fmt: skip
    told: dict[str, Any] = {"place": place, "tab": tab, "findings": listed["items"]}
    if tab == "routes":
        told["routes"] = client.get("/api/v1/queues/routes", {**place, **time_range(params)})
    elif tab == "coverage":
        every = client.get("/api/v1/coverage", time_range(params))["items"]
        told["coverage"] = [row for row in every if row["queue"] == place["name"]]
    else:
        basis = "completion" if params.get("basis") == "completion" else "delivery"
        # `last` in the URL is a range of time
        window = {"first": params.get("from") or None, "last": params.get("to") or None}
        told["order"] = client.get(
            "/api/v1/queues/order",
            {**place, "basis": basis, "limit": POINTS, **window, **time_range(params)},
        )
    return told


LIST = Page("queues", "queues", "Queues", fetch_list)
ONE = Page("queue", "queue", None, fetch_one)
