"""What was received and is not in the store yet, durable before anybody is told "accepted".

A request is appended to a segment file and acknowledged after an ``fdatasync`` that it shares
with whatever else arrived meanwhile (0.4 ms for 250 kB; a database commit would wait for
checkpoints of seconds). The loader reads on from the position that the store has committed, so a
crash at any moment loses nothing acknowledged and loads nothing twice. What was appended is kept
in memory too, as far as its share goes: normally nothing is read back from disk.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from strayline_collector.errors import Overloaded, StoreError
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
from strayline_collector.receive.segment import (
    HEAD_BYTES,
    Damage,
    Record,
    head,
    path_of,
    read_segment,
    segments_in,
)
from strayline_collector.store.ports import Position

log = logging.getLogger(__name__)

SEGMENT_BYTES: Final = 64 * 2**20
BACKLOG_BYTES: Final = 2**30
"""Received and not yet loaded beyond this is refused: the disk is not a queue without end."""
STALL_S: Final = 5.0
"""How long a request waits for the disk. Exporters give up after ten seconds."""
PROBE_S: Final = 0.5
_PROBE: Final = bytes(256 * 1024)
_IOV: Final = 1000


class _Waiting:
    """One request on its way to the disk. ``done`` is None once it was called."""

    __slots__ = ("body", "done", "received_ns", "rows", "since")

    def __init__(self, body: bytes, rows: int, received_ns: int, done: Done) -> None:
        self.body = body
        self.rows = rows
        self.received_ns = received_ns
        self.since = time.monotonic()
        self.done: Done | None = done


class FileJournal:
    """Segments in a directory beside the database; one thread writes.

    ``memory_bytes`` bounds both what waits to be written and what is kept for the loader.
    """

    def __init__(
        self, directory: Path, loaded: Position | None, *, memory_bytes: int = MEMORY_BYTES
    ) -> None:
        self._directory = directory
        self._memory_bytes = memory_bytes
        self._loaded = loaded or BEGINNING
        self._last_ns = 0
        self._lost_at: set[tuple[int, int]] = set()
        self.lost = Lost()
        self.fsync = fsync_histogram()
        try:
            directory.mkdir(exist_ok=True)
            found = segments_in(directory)
            if found:
                self._cut_torn_tail(found[-1])
            self._sizes = {s: path_of(directory, s).stat().st_size for s in found}
            """Bytes of each segment before the current one."""
            self._end = Position(max([*found, self._loaded.segment]) + 1, 0)
            self._file = self._open(self._end.segment)
        except OSError as error:
            raise StoreError(
                f"{directory}: cannot keep the journal there: {error.strerror}"
            ) from None
        self._lock = threading.Lock()
        self._tail: deque[Record] = deque()
        self._tail_bytes = 0
        self._tail_start: Position | None = self._end if not self._unread(self._loaded) else None
        """Where the tail begins; None while records that it lacks have not been read."""
        self._tail_full = False
        """Whether what was written last lies on disk only."""
        self._rows = 0
        self._ages = Ages()
        if self._unread(self._loaded):
            self._ages.add(self._end)
        self._problem: str | None = None
        self._writing_since: float | None = None
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._queued_bytes = 0
        self._pending: deque[_Waiting] = deque()
        self._sweeping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._write_forever, name="journal", daemon=True)
        self._thread.start()

    # -- the event loop's side

    def submit(self, body: bytes, rows: int, done: Done) -> None:
        if self._stuck():
            raise Overloaded(self._frozen())
        if self._queued_bytes and self._queued_bytes + len(body) > self._memory_bytes:
            raise Overloaded("the disk does not keep up; send again later")
        if self.backlog_bytes() + len(body) > BACKLOG_BYTES:
            raise Overloaded("too much is waiting to be loaded; send again later")
        # the clock may be set back: what arrives later never looks older
        self._last_ns = max(self._last_ns, time.time_ns())
        waiting = _Waiting(body, rows, self._last_ns, done)
        self._loop = asyncio.get_running_loop()
        self._queued_bytes += len(body)
        self._pending.append(waiting)
        self._queue.put(waiting)
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_later(STALL_S / 10, self._sweep)

    async def append(self, body: bytes, rows: int = 0) -> None:
        await append_to(self, body, rows)

    def _written(self, batch: list[_Waiting], error: Exception | None) -> None:
        for waiting in batch:
            self._queued_bytes -= len(waiting.body)
            done, waiting.done = waiting.done, None
            if done is not None:
                try:
                    done(error)
                except Exception:  # one door's mistake is not the others'
                    log.exception("an answer failed")
        while self._pending and self._pending[0].done is None:
            self._pending.popleft()

    def _sweep(self) -> None:
        """Tells those who have waited long enough that the disk does not answer. What was sent
        may still become durable; the client sends it again, and it counts once."""
        horizon = time.monotonic() - STALL_S
        while self._pending and (self._pending[0].done is None or self._pending[0].since < horizon):
            waiting = self._pending.popleft()
            done, waiting.done = waiting.done, None
            if done is not None:
                done(Overloaded(self._frozen()))
        self._sweeping = bool(self._pending)
        if self._sweeping:
            asyncio.get_running_loop().call_later(STALL_S / 10, self._sweep)

    # -- the loader's side

    def read(self, after: Position | None, max_bytes: int) -> Chunk:
        after = after or BEGINNING
        with self._lock:
            if self._tail_start is not None and after >= self._tail_start:
                chunk = self._from_memory(after, max_bytes)
                if chunk is not None:
                    return chunk
            end = self._end
            # what memory has is not read from disk
            stop = end if self._tail_start is None else self._tail_start
            segments = [s for s in sorted([*self._sizes, end.segment]) if s >= after.segment]
        chunk = self._from_disk(after, stop, segments, max_bytes)
        with self._lock:
            if self._tail_start is None and chunk.after >= self._end:
                self._tail_start = self._end
        if not chunk.records and chunk.after > after:
            return self.read(chunk.after, max_bytes)  # nothing sound before what memory has
        return chunk

    def forget(self, until: Position) -> None:
        with self._lock:
            self._loaded = max(self._loaded, until)
            while self._tail and self._tail[0].after <= until:
                self._tail_bytes -= len(self._tail.popleft().body)
            if self._tail_start is not None:
                self._tail_start = max(self._tail_start, min(until, self._end))
            self._ages.forget(until)
            gone = [
                s
                for s, size in self._sizes.items()
                if s < until.segment or (s == until.segment and size <= until.byte_offset)
            ]
            for segment in gone:
                del self._sizes[segment]
        for segment in gone:
            path_of(self._directory, segment).unlink(missing_ok=True)

    def end(self) -> Position:
        with self._lock:
            return self._end

    def backlog_bytes(self) -> int:
        with self._lock:
            return self._unread(self._loaded)

    def rows_in(self) -> int:
        return self._rows

    def oldest_s(self) -> float:
        return self._ages.oldest_s()

    def problem(self) -> str | None:
        return self._frozen() if self._stuck() else self._problem

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join(timeout=STALL_S * 2)
        if self._thread.is_alive():
            log.error("%s; left as it is", self._frozen())
            return
        self._file.close()
        if self._end.byte_offset == 0 or self._loaded >= self._end:
            path_of(self._directory, self._end.segment).unlink(missing_ok=True)

    def _from_memory(self, after: Position, max_bytes: int) -> Chunk | None:
        """None: memory has no more, the disk has."""
        found: list[Record] = []
        size = 0
        for record in self._tail:
            if record.after <= after:
                continue
            if size >= max_bytes:
                return Chunk(found, found[-1].after)
            found.append(record)
            size += len(record.body)
        if not self._tail_full:
            return Chunk(found, self._end)
        # more lies on disk, after what memory had room for
        self._tail_full = False
        self._tail_start = None
        return Chunk(found, found[-1].after) if found else None

    def _from_disk(
        self, after: Position, stop: Position, segments: list[int], max_bytes: int
    ) -> Chunk:
        found: list[Record] = []
        size = 0
        reached = after
        for segment in segments:
            if segment > stop.segment:
                break
            start = after.byte_offset if segment == after.segment else 0
            until = stop.byte_offset if segment == stop.segment else self._sizes[segment]
            if start >= until:
                continue
            for item in read_segment(path_of(self._directory, segment), segment, start, until):
                if isinstance(item, Damage):
                    self._lose(segment, item)
                    reached = Position(segment, item.stop)
                    continue
                if size >= max_bytes:
                    return Chunk(found, reached)
                found.append(item)
                size += len(item.body)
                reached = item.after
        return Chunk(found, max(reached, stop))

    def _lose(self, segment: int, damage: Damage) -> None:
        if (segment, damage.start) in self._lost_at:
            return
        self._lost_at.add((segment, damage.start))
        self.lost.places += 1
        self.lost.bytes += damage.stop - damage.start
        log.error(
            "%s: bytes %d to %d are damaged: what was received there is lost; records after it are kept",
            path_of(self._directory, segment),
            damage.start,
            damage.stop,
        )

    def _unread(self, after: Position) -> int:
        found = sum(size for s, size in self._sizes.items() if s >= after.segment)
        found += self._end.byte_offset
        return found - (
            after.byte_offset if after.segment in (*self._sizes, self._end.segment) else 0
        )

    # -- the writing thread's side

    def _write_forever(self) -> None:
        while True:
            try:
                first = self._queue.get(timeout=PROBE_S if self._problem is not None else None)
            except queue.Empty:
                # nobody may be sending any more, told by /ready that we are not
                self._try(self._probe)
                continue
            if first is None:
                return
            batch = [first]
            stop = False
            while True:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    stop = True
                    break
                batch.append(more)
            error = self._try(lambda: self._write(batch))  # noqa: B023
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._written, batch, error)
            except RuntimeError:
                return  # the event loop has gone, and whoever waited on it
            if stop:
                return

    def _try(self, work: Callable[[], None]) -> Overloaded | None:
        """Runs ``work`` on the current segment, which is as it was when that fails."""
        self._writing_since = time.monotonic()
        try:
            work()
        except OSError as error:
            self._undo()
            problem = f"{self._directory}: {error.strerror}; nothing is accepted until that is over"
            if problem != self._problem:
                log.error("%s", problem)
            self._problem = problem
            return Overloaded(problem)
        finally:
            self._writing_since = None
        if self._problem is not None:
            log.warning("%s: writable again; requests are accepted", self._directory)
        self._problem = None
        return None

    def _write(self, batch: list[_Waiting]) -> None:
        if self._file.closed:
            self._roll()
        segment, offset = self._end.segment, self._end.byte_offset
        pieces: list[bytes] = []
        records: list[Record] = []
        for w in batch:
            pieces += (head(segment, offset, w.body, w.received_ns), w.body)
            offset += HEAD_BYTES + len(w.body)
            records.append(Record(w.body, w.received_ns, Position(segment, offset), w.rows))
        started = time.monotonic()
        _write_all(self._file.fileno(), pieces)
        os.fdatasync(self._file.fileno())
        self.fsync.observe(time.monotonic() - started)
        with self._lock:
            self._end = Position(segment, offset)
            self._rows += sum(record.rows for record in records)
            self._ages.add(self._end)
            self._keep(records)
        if offset >= SEGMENT_BYTES:
            self._file.close()
            try:
                self._roll()
            except OSError:
                log.warning("%s: no new segment yet", self._directory)

    def _keep(self, records: list[Record]) -> None:
        """Adds to the tail as long as it is whole and has room."""
        for record in records:
            if self._tail_start is None or self._tail_full:
                return
            if self._tail_bytes + len(record.body) > self._memory_bytes:
                self._tail_full = True
                return
            self._tail.append(record)
            self._tail_bytes += len(record.body)

    def _probe(self) -> None:
        if self._file.closed:
            self._roll()
        start = self._end.byte_offset
        _write_all(self._file.fileno(), [_PROBE])
        os.fdatasync(self._file.fileno())
        os.ftruncate(self._file.fileno(), start)
        os.lseek(self._file.fileno(), start, os.SEEK_SET)

    def _undo(self) -> None:
        """After a failed write. A failed ``fdatasync`` leaves pages in an unknown state, so this
        segment ends here and the next begins anew."""
        if self._file.closed:
            return
        try:
            os.ftruncate(self._file.fileno(), self._end.byte_offset)
        except OSError as error:
            log.warning("%s: cannot cut a failed write: %s", self._directory, error)
        self._file.close()

    def _roll(self) -> None:
        following = self._end.segment + 1
        file = self._open(following)
        with self._lock:
            if self._end.byte_offset:
                self._sizes[self._end.segment] = self._end.byte_offset
                unused = None
            else:
                unused = self._end.segment
            self._end = Position(following, 0)
            self._file = file
        if unused is not None:
            path_of(self._directory, unused).unlink(missing_ok=True)

    def _open(self, segment: int):
        file = path_of(self._directory, segment).open("wb", buffering=0)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)  # the name too must survive
        finally:
            os.close(directory)
        return file

    def _cut_torn_tail(self, segment: int) -> None:
        """What follows the last sound record was never acknowledged: a crash cut its write short."""
        path = path_of(self._directory, segment)
        for item in read_segment(path, segment, 0, path.stat().st_size):
            if isinstance(item, Record):
                self._last_ns = max(self._last_ns, item.received_ns)
            elif item.tail:
                log.warning(
                    "%s: cut %d bytes of a write that never ended", path, item.stop - item.start
                )
                os.truncate(path, item.start)

    def _stuck(self) -> bool:
        since = self._writing_since
        return since is not None and time.monotonic() - since > STALL_S

    def _frozen(self) -> str:
        return f"{self._directory}: the disk does not answer; nothing is accepted until it does"


def _write_all(descriptor: int, pieces: list[bytes]) -> None:
    for start in range(0, len(pieces), _IOV):
        views = [memoryview(piece) for piece in pieces[start : start + _IOV] if piece]
        while views:
            written = os.writev(descriptor, views)
            while views and written >= len(views[0]):
                written -= len(views.pop(0))
            if written:
                views[0] = views[0][written:]
