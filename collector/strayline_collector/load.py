"""Journal → decode → store, in bulk, on one thread (DuckDB serialises writers anyway)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from strayline_collector.decode.otlp import decode
from strayline_collector.errors import BadInput, StoreError
from strayline_collector.receive.journal import Journal, Record
from strayline_collector.store.ports import Position, Store

log = logging.getLogger(__name__)

LINGER_S: Final = 0.25
"""Requests that come within this of the first share one load: one INSERT costs 3 ms at any size."""
BATCH_BYTES: Final = 32 * 1024 * 1024
MAINTAIN_S: Final = 30.0


class Loader:
    """Loads what the journal holds. ``on_load`` is called after each load, on the loader's thread."""

    def __init__(self, journal: Journal, store: Store, on_load: Callable[[], None]) -> None:
        self._journal = journal
        self._store = store
        self._on_load = on_load
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._loaded = threading.Condition()
        self._position = store.position() or Position(0, 0)
        self._stopping = False
        self._problem: str | None = None
        self._maintained = time.monotonic()
        self._unmaintained = False
        self._thread = threading.Thread(target=self._forever, name="loader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something was appended."""
        self._wake.set()

    def problem(self) -> str | None:
        """Why loading stands still; None when it does not."""
        return self._problem

    def drain(self, timeout_s: float = 300.0) -> None:
        """Returns when everything appended before the call is in the store. Raises ``StoreError``
        when that takes longer than ``timeout_s`` or loading fails."""
        goal = self._journal.end()
        self._hurry.set()
        self._wake.set()
        deadline = time.monotonic() + timeout_s
        with self._loaded:
            while self._behind(goal):
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

    def _behind(self, goal: Position) -> bool:
        if self._position >= goal:
            return False
        # a fresh segment without records is reached by having read everything before it
        return bool(self._journal.read(self._position, 1))

    def _forever(self) -> None:
        while True:
            self._wake.wait(timeout=1.0)
            self._wake.clear()
            if not self._stopping:
                self._hurry.wait(timeout=LINGER_S)
            self._hurry.clear()
            try:
                while records := self._journal.read(self._position, BATCH_BYTES):
                    self._load(records)
                self._problem = None
                self._maintain()
            except Exception as error:
                log.exception("loading failed; it is tried again")
                self._problem = f"loading into the store fails: {error}"
                if self._stopping:
                    return
                time.sleep(0.5)  # a full disk does not empty faster by asking
                self._wake.set()
            with self._loaded:
                self._loaded.notify_all()
            if self._stopping and not self._wake.is_set():
                return

    def _load(self, records: list[Record]) -> None:
        after = records[-1].after
        self._store.append(_decode(records), after, records[-1].received_ns)
        self._position = after
        self._unmaintained = True
        self._journal.forget(after)
        self._on_load()

    def _maintain(self) -> None:
        if self._unmaintained and time.monotonic() - self._maintained > MAINTAIN_S:
            self._store.maintain()
            self._maintained = time.monotonic()
            self._unmaintained = False


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
