"""Queues, and the order in which one gave its messages out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strayline_dashboard.client import Client
from strayline_dashboard.pages.page import Page


def fetch_list(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """Every queue with its figures."""
    return client.get("/api/v1/queues", {"limit": 500})


def fetch_order(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """The order of one queue, and what was found in it."""
    place = {name: params.get(name) for name in ("name", "broker", "vhost")}
    basis = "completion" if params.get("basis") == "completion" else "delivery"
    order = client.get("/api/v1/queues/order", {**place, "basis": basis, "limit": 800})
    findings = [client.get(f"/api/v1/findings/{ref['id']}") for ref in order["findings"][:10]]
    return {"order": order, "findings": findings}


LIST = Page("queues", "queues", "Queues", fetch_list)
ORDER = Page("queue", "queue", None, fetch_order)
