"""Which services there are, by when each was first heard of: what decides their colours, the same on
every page and in every browser."""

from __future__ import annotations

import threading
import time
from typing import Final

from strayline_dashboard.client import ApiProblem, Client

FRESH_S: Final = 10.0
MOST: Final = 200
"""There are a dozen colours."""


class Services:
    """Asked for at most every ``FRESH_S``; what was known stays where the collector is away."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._names: list[str] = []
        self._until = 0.0
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        with self._lock:
            if time.monotonic() >= self._until:
                try:
                    told = self._client.get("/api/v1/services/seen", {"limit": MOST})
                    self._names = [item["name"] for item in told["items"]]
                except ApiProblem:
                    pass
                self._until = time.monotonic() + FRESH_S
            return self._names
