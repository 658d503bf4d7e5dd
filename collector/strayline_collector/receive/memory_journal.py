"""The journal of a store in memory."""

from __future__ import annotations

import threading
import time
from collections import deque

from strayline_collector.errors import Overloaded
from strayline_collector.receive.journal import (
    BEGINNING,
    MEMORY_BYTES,
    Ages,
    Chunk,
    Done,
    Lost,
    append_to,
    fsync_histogram,
)
from strayline_collector.receive.segment import Record
from strayline_collector.store.ports import Position


class MemoryJournal:
    """For a store that keeps nothing: a bounded queue with the same word."""

    def __init__(self, capacity: int = MEMORY_BYTES) -> None:
        self._capacity = capacity
        self._records: deque[Record] = deque()
        self._count = 0
        self._bytes = 0
        self._rows = 0
        self._last_ns = 0
        self._lock = threading.Lock()
        self._ages = Ages()
        self.lost = Lost()
        self.fsync = fsync_histogram()

    def submit(self, body: bytes, rows: int, done: Done) -> None:
        with self._lock:
            if self._bytes and self._bytes + len(body) > self._capacity:
                raise Overloaded("too much is waiting to be loaded; send again later")
            self._count += 1
            self._bytes += len(body)
            self._rows += rows
            self._last_ns = max(self._last_ns, time.time_ns())
            after = Position(1, self._count)
            self._records.append(Record(body, self._last_ns, after, rows))
            self._ages.add(after)
        done(None)

    async def append(self, body: bytes, rows: int = 0) -> None:
        await append_to(self, body, rows)

    def read(self, after: Position | None, max_bytes: int) -> Chunk:
        after = after or BEGINNING
        found: list[Record] = []
        size = 0
        with self._lock:
            for record in self._records:
                if record.after <= after:
                    continue
                found.append(record)
                size += len(record.body)
                if size >= max_bytes:
                    break
        return Chunk(found, found[-1].after if found else after)

    def forget(self, until: Position) -> None:
        with self._lock:
            while self._records and self._records[0].after <= until:
                self._bytes -= len(self._records.popleft().body)
            self._ages.forget(until)

    def end(self) -> Position:
        with self._lock:
            return Position(1, self._count) if self._count else BEGINNING

    def backlog_bytes(self) -> int:
        return self._bytes

    def rows_in(self) -> int:
        return self._rows

    def oldest_s(self) -> float:
        return self._ages.oldest_s()

    def problem(self) -> str | None:
        return None

    def close(self) -> None:
        return None
