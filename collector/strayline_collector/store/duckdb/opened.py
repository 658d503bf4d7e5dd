"""The open database, opened anew when DuckDB has given it up.

A checkpoint that finds no room on disk makes DuckDB answer nothing any more, not even questions,
until the file is opened anew; the file and its write-ahead log are sound (DuckDB 1.5).
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

import duckdb

from strayline_collector.errors import StoreError
from strayline_collector.store.duckdb.connection import MEMORY, open_database

log = logging.getLogger(__name__)

REOPEN_S: Final = 5.0
"""How long the last readers of the database that was given up are waited for."""
GIVEN_UP: Final = (duckdb.FatalException, duckdb.ConnectionException)
"""By DuckDB, or closed by whoever is opening it anew."""


class Opened:
    """One database. Any thread may begin transactions."""

    def __init__(self, path: str, memory_limit: str | None) -> None:
        """Raises ``StoreError``."""
        self._path = path
        self._memory_limit = memory_limit
        self._reopening = threading.Lock()
        self.connection = open_database(path, memory_limit)

    def begin(self) -> duckdb.DuckDBPyConnection:
        """A cursor of its own with a transaction begun. Raises ``StoreError``."""
        given_up = self.connection
        try:
            return _begun(given_up)
        except GIVEN_UP as error:
            if self._path == MEMORY:
                raise StoreError(f"{self._path}: {error}") from None
        self._open_anew(given_up)
        return _begun(self.connection)

    def _open_anew(self, given_up: duckdb.DuckDBPyConnection) -> None:
        deadline = time.monotonic() + REOPEN_S
        with self._reopening:
            while self.connection is given_up or not self._sound():
                if time.monotonic() > deadline:
                    raise StoreError(f"{self._path}: cannot be opened anew; restart the collector")
                # as long as a reader holds the old one, this gives that one again
                self.connection.close()
                self.connection = open_database(self._path, self._memory_limit)
                time.sleep(0.02)
            log.warning("%s: opened anew after a failed checkpoint", self._path)

    def _sound(self) -> bool:
        try:
            _begun(self.connection).close()
        except GIVEN_UP:
            return False
        return True


def _begun(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    cursor = connection.cursor()
    try:
        cursor.begin()
    except duckdb.Error:
        cursor.close()
        raise
    return cursor
