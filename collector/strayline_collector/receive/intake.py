"""What both doors do with a request: check it, count it, make it durable."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from strayline_collector.decode.otlp import examine
from strayline_collector.receive.journal import Journal

BIG_BYTES: Final = 256 * 1024
"""Bodies above this are examined off the event loop."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Answer to a request: spans kept and refused, and which rule refused them."""

    accepted: int
    rejected: int
    message: str = ""


@dataclass(slots=True)
class Counters:
    """Since the start of this process."""

    accepted_spans: int = 0
    rejected_spans: int = 0
    metrics_requests: int = 0
    logs_requests: int = 0
    recent: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])

    def add(self, accepted: int, rejected: int) -> None:
        self.accepted_spans += accepted
        self.rejected_spans += rejected
        self.recent.append((time.monotonic(), accepted))
        self._forget()

    def spans_per_s(self) -> float:
        """Over the last ten seconds."""
        self._forget()
        return sum(count for _, count in self.recent) / 10.0

    def _forget(self) -> None:
        horizon = time.monotonic() - 10.0
        while self.recent and self.recent[0][0] < horizon:
            self.recent.popleft()


class Intake:
    """One per collector. ``wake`` tells the loader that something was appended."""

    def __init__(self, journal: Journal, wake: Callable[[], None]) -> None:
        self._journal = journal
        self._wake = wake
        self.counters = Counters()

    async def traces(self, body: bytes) -> Accepted:
        """Takes protobuf ``ExportTraceServiceRequest`` bytes; returns once they are durable.
        Raises ``BadInput`` and ``Overloaded``.
        """
        accepted, rejected = (
            examine(body) if len(body) < BIG_BYTES else await asyncio.to_thread(examine, body)
        )
        if accepted:
            await self._journal.append(body)
            self._wake()
        self.counters.add(accepted, rejected)
        message = (
            f"{rejected} spans refused: trace_id must be 16 bytes and span_id 8 bytes, not all zero"
            if rejected
            else ""
        )
        return Accepted(accepted, rejected, message)
