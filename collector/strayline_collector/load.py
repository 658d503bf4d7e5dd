"""Journal → decode → store, in bulk, on one thread (DuckDB serialises writers anyway).

A load begins when a batch is full, or early enough that its oldest span is visible within
``FRESH_S`` of its acknowledgement. At low rates that is soon; as loads grow slower, each waits for
more rows, so that loading takes at most a quarter of the time until the batch is full.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from strayline_collector.decode.otlp import decode, examine
from strayline_collector.errors import BadInput, StoreError
from strayline_collector.metrics import Counter, Gauge, Histogram, Metric
from strayline_collector.receive.journal import BEGINNING, Journal
from strayline_collector.receive.segment import Record
from strayline_collector.store.ports import Store

log = logging.getLogger(__name__)

BATCH_ROWS: Final = 122_880
"""A row group: inserts of that many rows write no write-ahead log."""
BATCH_BYTES: Final = 64 * 2**20
FRESH_S: Final = 0.9
LEAST_LINGER_S: Final = 0.1
"""Requests that come within this of the first share one load."""
LOG_BYTES: Final = 16 * 2**20
"""A checkpoint moves the write-ahead log into the file before it is larger: this much takes 0.3 s."""
MAINTAIN_S: Final = 30.0
IDLE_MAINTAIN_S: Final = 120.0
"""Where nothing was loaded since: what retention gives a time to grows old without it."""
_TICK_S: Final = 0.025


class Loader:
    """Loads what the journal holds. ``on_load`` is called after each load, on the loader's thread.
    ``log_bytes`` tells the size of the store's write-ahead log.
    """

    def __init__(
        self,
        journal: Journal,
        store: Store,
        on_load: Callable[[], None],
        *,
        batch_bytes: int = BATCH_BYTES,
        log_bytes: Callable[[], int] = lambda: 0,
    ) -> None:
        self._journal = journal
        self._store = store
        self._on_load = on_load
        self._batch_bytes = batch_bytes
        self._log_bytes = log_bytes
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._loaded = threading.Condition()
        self._position = store.position() or BEGINNING
        self._rows_out = 0
        self._stopping = False
        self._problem: str | None = None
        self._maintained = time.monotonic()
        self._unmaintained = False
        self._checkpoint_failed = False
        self._pace_s = 0.0
        """Of recent loads, each."""
        self._ended = 0.0
        self.batch_rows = 0
        self.linger_s = 0.0
        """Of the last load."""
        self._loads = Histogram(
            "strayline_load_seconds", "Decoding and inserting one batch, its commit included"
        )
        self._checkpoints = Histogram(
            "strayline_checkpoint_seconds", "Housekeeping of the store between loads"
        )
        self._rows = Counter("strayline_loaded_rows_total", "Spans inserted into the store")
        self._failures = Counter(
            "strayline_load_failures_total", "Loads that failed and were repeated"
        )
        self._thread = threading.Thread(target=self._forever, name="loader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something was appended."""
        if not self._wake.is_set():
            self._wake.set()

    def problem(self) -> str | None:
        """Why loading stands still; None when it does not."""
        return self._problem

    def metrics(self) -> list[Metric]:
        return [
            self._loads,
            self._checkpoints,
            self._rows,
            self._failures,
            Gauge("strayline_batch_rows", "Spans of the last load", lambda: self.batch_rows),
            Gauge("strayline_linger_seconds", "Wait before the last load", lambda: self.linger_s),
        ]

    def drain(self, timeout_s: float = 300.0) -> None:
        """Returns when everything appended before the call is in the store. Raises ``StoreError``
        when that takes longer than ``timeout_s`` or loading fails."""
        goal = self._journal.end()
        deadline = time.monotonic() + timeout_s
        with self._loaded:
            while self._position < goal:
                self._hurry.set()
                self._wake.set()
                if self._problem is not None:
                    raise StoreError(self._problem)
                if not self._loaded.wait(min(1.0, max(0.0, deadline - time.monotonic()))) and (
                    time.monotonic() >= deadline
                ):
                    raise StoreError(f"loading did not catch up within {timeout_s:.0f} s")

    def stop(self) -> None:
        """Loads the rest and ends the thread."""
        self._stopping = True
        self._hurry.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _forever(self) -> None:
        while True:
            if not self._waiting():
                if self._stopping:
                    return
                self._wake.wait(timeout=1.0)
            self._wake.clear()
            try:
                if self._waiting():
                    self._gather()
                    self._load()
                self._problem = None
                self._maintain()
            except Exception as error:
                if self._problem is None and isinstance(error, StoreError):
                    log.error("loading fails and is tried again: %s", error)
                elif self._problem is None:
                    log.exception("loading failed; it is tried again")
                self._problem = f"loading into the store fails: {error}"
                self._failures.add(1)
                if self._stopping:
                    return
                self._hurry.clear()
                self._hurry.wait(0.5)  # a full disk does not empty faster by asking
            with self._loaded:
                self._loaded.notify_all()

    def _waiting(self) -> bool:
        return self._position < self._journal.end()

    def _gather(self) -> None:
        """Waits until a load is due."""
        started = time.monotonic()
        while not (
            self._stopping
            or self._journal.rows_in() - self._rows_out >= BATCH_ROWS
            or self._journal.backlog_bytes() >= self._batch_bytes
        ):
            # three quarters of the time are the doors' and the readers', half of it even where loads
            # take so long that freshness suffers; after a rest, none is due
            rested = time.monotonic() - self._ended
            fresh = FRESH_S - 1.5 * self._pace_s
            oldest = self._journal.oldest_s()
            wanted = min(max(LEAST_LINGER_S - oldest, 3 * self._pace_s - rested), fresh - oldest)
            left = max(wanted, min(self._pace_s, FRESH_S) - rested)
            if left <= 0 or self._hurry.wait(min(left, _TICK_S)):
                break
        self._hurry.clear()
        self.linger_s = time.monotonic() - started

    def _load(self) -> None:
        rows_in = self._journal.rows_in()
        chunk = self._journal.read(self._position, self._batch_bytes)
        for piece in _pieces(chunk.records):
            self._load_piece(piece)
            if piece[-1] is not chunk.records[-1]:
                self._maintain()
        self._position = chunk.after
        if not self._waiting():  # rows that came back from disk were not counted
            self._rows_out = max(self._rows_out, rows_in)
        self._journal.forget(chunk.after)
        self._ended = time.monotonic()
        self._on_load()

    def _load_piece(self, records: list[Record]) -> None:
        started = time.monotonic()
        table = _decode(records)
        after = records[-1].after
        self._store.append(table, after, records[-1].received_ns)
        took = time.monotonic() - started
        self._pace_s = took if not self._pace_s else 0.7 * self._pace_s + 0.3 * took
        self._loads.observe(took)
        self._rows.add(table.num_rows)
        self.batch_rows = table.num_rows
        self._unmaintained = True
        self._rows_out += sum(record.rows for record in records)
        self._position = after
        self._journal.forget(after)

    def _maintain(self) -> None:
        if self._stopping:
            return
        started = time.monotonic()
        wait_s = MAINTAIN_S if self._unmaintained else IDLE_MAINTAIN_S
        long = self._unmaintained and not self._checkpoint_failed and self._log_bytes() > LOG_BYTES
        if started - self._maintained > wait_s or long:
            self._checkpoint_failed = True
            try:
                self._store.maintain()
            finally:
                self._maintained = time.monotonic()  # a failed one is not tried at once again
            self._checkpoint_failed = False
            self._checkpoints.observe(self._maintained - started)
            self._unmaintained = False


def _pieces(records: list[Record]) -> Iterator[list[Record]]:
    """Runs of records that unfold to no more than a single request may: a table repeats a resource
    for each span, and a few megabytes of requests could fill any memory."""
    if len(records) < 2 or _fit(records):
        if records:
            yield records
        return
    middle = len(records) // 2
    yield from _pieces(records[:middle])
    yield from _pieces(records[middle:])


def _fit(records: list[Record]) -> bool:
    try:
        examine(b"".join(record.body for record in records))  # one after the other, one request
    except BadInput:
        return False
    return True


def _decode(records: list[Record]):
    received_ns = records[-1].received_ns
    try:
        return decode([record.body for record in records], received_ns)
    except BadInput:
        # Checked on arrival, so this is damage; its neighbours must not suffer.
        sound: list[bytes] = []
        for record in records:
            try:
                decode([record.body], received_ns)
            except BadInput:
                log.error(
                    "a journal record of %d bytes cannot be decoded; skipped", len(record.body)
                )
            else:
                sound.append(record.body)
        return decode(sound, received_ns)
