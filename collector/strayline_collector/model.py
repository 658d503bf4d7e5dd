"""What the composition root offers the API, besides a store to read from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from strayline_collector.query.wire import Configured, Settled, Status


class Control(Protocol):
    """The running collector, as the API sees it."""

    async def settle(self, now_ns: int | None) -> Settled:
        """Loads everything received so far, judges it as complete, and returns when status,
        graph and findings are current. ``now_ns`` is the event time to judge absence at
        (unix nanoseconds; None: the newest event).
        """
        ...

    def status(self) -> Status:
        """Figures for ``GET /api/v1/status``."""
        ...

    def configured(self) -> Configured:
        """How it was started, for ``GET /api/v1/settings``."""
        ...

    def judging(self) -> tuple[frozenset[str], Mapping[str, str]]:
        """The queues that a contract names; of each detector whose last run failed its traceback."""
        ...

    def metrics(self) -> str:
        """Figures for ``GET /metrics``, in Prometheus' text format."""
        ...

    def doors_open(self) -> bool:
        """False once it stops: what would go on for ever has to end."""
        ...

    def not_ready(self) -> list[str]:
        """Why the collector should not be sent traffic, one clear line each; empty when ready."""
        ...
