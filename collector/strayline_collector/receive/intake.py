"""What every door does with a request: check it, count it, make it durable."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from strayline_collector.decode.examined import Examined
from strayline_collector.decode.otlp import examine
from strayline_collector.errors import BadInput, Overloaded, TooLarge
from strayline_collector.metrics import Counter, Metric
from strayline_collector.receive.journal import Journal

BIG_BYTES: Final = 1024 * 1024
"""Bodies from this on are examined off the event loop."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Answer to a request: spans kept and refused, and which rule refused them."""

    accepted: int
    rejected: int
    message: str = ""


Answer = Callable[[Accepted | Exception], None]


@dataclass(slots=True)
class Counters:
    """Since the start of this process."""

    accepted_spans: int = 0
    rejected_spans: int = 0
    metrics_requests: int = 0
    logs_requests: int = 0
    bytes: int = 0
    recent: deque[list[float]] = field(default_factory=deque[list[float]])
    """Second, spans accepted in it."""

    def add(self, accepted: int, rejected: int, size: int) -> None:
        self.accepted_spans += accepted
        self.rejected_spans += rejected
        self.bytes += size
        second = float(int(time.monotonic()))
        if self.recent and self.recent[-1][0] == second:
            self.recent[-1][1] += accepted
        else:
            self.recent.append([second, accepted])
            while self.recent[0][0] < second - 10.0:
                self.recent.popleft()

    def spans_per_s(self) -> float:
        """Over the last ten seconds."""
        horizon = time.monotonic() - 10.0
        return sum(count for second, count in self.recent.copy() if second >= horizon) / 10.0


class Intake:
    """One per collector. ``wake`` tells the loader that something was appended; ``passed_on`` gets
    each body once it is durable."""

    def __init__(
        self,
        journal: Journal,
        wake: Callable[[], None],
        passed_on: Callable[[bytes], None] | None = None,
    ) -> None:
        self._journal = journal
        self._wake = wake
        self._passed_on = passed_on
        self.counters = Counters()
        self._requests = Counter(
            "strayline_requests_total",
            "Export requests of traces, by door and outcome",
            ("door", "outcome"),
        )
        self._refused = Counter(
            "strayline_refused_total", "Requests refused, by reason", ("reason",)
        )

    def metrics(self) -> list[Metric]:
        return [self._requests, self._refused]

    def submit(self, door: str, body: bytes, answer: Answer) -> None:
        """Takes protobuf ``ExportTraceServiceRequest`` bytes; calls ``answer`` on the event loop
        once they are durable, or with why they are not. Raises ``BadInput`` and ``Overloaded``.
        """
        self._keep(door, body, examine(body), answer)

    async def traces(self, body: bytes, door: str = "other") -> Accepted:
        """As ``submit``, returning the answer or raising it."""
        examined = (
            examine(body) if len(body) < BIG_BYTES else await asyncio.to_thread(examine, body)
        )
        future: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()

        def answer(result: Accepted | Exception) -> None:
            if future.done():  # the client went away while we wrote
                return
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

        self._keep(door, body, examined, answer)
        return await future

    def refused(self, door: str, error: Exception) -> None:
        """Counts a request that was answered with an error."""
        self._requests.add(1, door, "refused")
        self._refused.add(1, _reason(error))

    def _keep(self, door: str, body: bytes, examined: Examined, answer: Answer) -> None:
        def durable(error: Exception | None) -> None:
            if error is not None:
                answer(error)
                return
            self._requests.add(1, door, "accepted")
            self.counters.add(examined.accepted, examined.rejected, len(body))
            if examined.accepted:
                self._wake()
                if self._passed_on is not None:
                    self._passed_on(body)
            answer(_accepted(examined))

        if examined.accepted:
            self._journal.submit(body, examined.accepted, durable)
        else:
            durable(None)


def _accepted(examined: Examined) -> Accepted:
    message = (
        f"{examined.rejected} spans refused: trace_id must be 16 bytes and span_id 8 bytes, not all zero"
        if examined.rejected
        else ""
    )
    return Accepted(examined.accepted, examined.rejected, message)


def _reason(error: Exception) -> str:
    if isinstance(error, BadInput):
        return "malformed"
    if isinstance(error, TooLarge):
        return "too_large"
    return "overloaded" if isinstance(error, Overloaded) else "other"
