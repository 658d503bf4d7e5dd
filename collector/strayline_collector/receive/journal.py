"""What a journal is: what was received and is not in the store yet, and the word that it was accepted.

``FileJournal`` keeps it on the disk, ``MemoryJournal`` is for a store that keeps nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from strayline_collector.metrics import Histogram
from strayline_collector.receive.segment import Record
from strayline_collector.store.ports import Position

MEMORY_BYTES: Final = 64 * 2**20
_MARK_S: Final = 0.05
BEGINNING: Final = Position(0, 0)

Done = Callable[[Exception | None], None]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records in order, and the position after them and whatever damage was among them."""

    records: list[Record]
    after: Position


@dataclass(slots=True)
class Lost:
    """What the disk did not give back: bytes of records that were damaged, and in how many places."""

    places: int = 0
    bytes: int = 0


class Journal(Protocol):
    """Appended from the event loop, read by the one loader."""

    def submit(self, body: bytes, rows: int, done: Done) -> None:
        """Calls ``done`` on the event loop: with None once ``body`` is durable, with
        ``Overloaded`` when the disk takes too long. Raises ``Overloaded`` when there is no
        room to begin with."""
        ...

    async def append(self, body: bytes, rows: int = 0) -> None:
        """As ``submit``, returning when durable."""
        ...

    def read(self, after: Position | None, max_bytes: int) -> Chunk:
        """Records after a position, oldest first, up to about ``max_bytes`` of bodies."""
        ...

    def forget(self, until: Position) -> None:
        """Everything up to ``until`` is in the store."""
        ...

    def end(self) -> Position:
        """The position after the last durable record."""
        ...

    def backlog_bytes(self) -> int:
        """Durable and not forgotten."""
        ...

    def rows_in(self) -> int:
        """Rows appended by this process."""
        ...

    def oldest_s(self) -> float:
        """Seconds since the oldest record that is not forgotten became durable; 0 without any."""
        ...

    def problem(self) -> str | None:
        """Why nothing can be accepted right now; None when all is well."""
        ...

    @property
    def lost(self) -> Lost: ...

    @property
    def fsync(self) -> Histogram: ...

    def close(self) -> None: ...


def fsync_histogram() -> Histogram:
    return Histogram(
        "strayline_journal_fsync_seconds", "Writing a group of requests to disk, fdatasync included"
    )


class Ages:
    """When what is not forgotten became durable, on the monotonic clock."""

    def __init__(self) -> None:
        self._marks: deque[tuple[Position, float]] = deque()

    def add(self, after: Position) -> None:
        now = time.monotonic()
        if not self._marks or now - self._marks[-1][1] > _MARK_S:
            self._marks.append((after, now))
        else:
            # the first of a mark's records gives its age, the last its position
            self._marks[-1] = (after, self._marks[-1][1])

    def forget(self, until: Position) -> None:
        while self._marks and self._marks[0][0] <= until:
            self._marks.popleft()

    def oldest_s(self) -> float:
        try:
            return time.monotonic() - self._marks[0][1]
        except IndexError:
            return 0.0


async def append_to(journal: Journal, body: bytes, rows: int) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(error: Exception | None) -> None:
        if future.done():  # the client went away while we wrote
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    journal.submit(body, rows, done)
    await future
