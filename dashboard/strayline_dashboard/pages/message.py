"""The journey of one message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from strayline_dashboard.client import ApiProblem, Client
from strayline_dashboard.pages.page import Page


def fetch(client: Client, rest: str, params: Mapping[str, str]) -> Any:
    """Publish, the bindings it may have come along, deliveries and settlements, its findings."""
    message = client.get(f"/api/v1/messages/{quote(rest, safe='')}/journey")
    names = list(dict.fromkeys(ref["id"] for ref in message["findings"]))
    return {
        "message": message,
        "routes": [_route(client, message, queue) for queue in message["queues"]],
        "findings": [client.get(f"/api/v1/findings/{name}") for name in names[:10]],
    }


def _route(client: Client, message: Mapping[str, Any], queue: str) -> Any:
    """What is known of the way into one queue; None where nothing is."""
    place = {"name": queue, "broker": message["broker"], "vhost": message["vhost"]}
    try:
        return client.get("/api/v1/queues/routes", place)
    except ApiProblem as problem:
        if problem.away or problem.locked:
            raise
        return None


PAGE = Page("message", "message", None, fetch)
