"""Opening the DuckDB file: ours, of this schema, locked for this process, sandboxed."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
import time
import weakref
from pathlib import Path
from typing import Final

import duckdb

from strayline_collector.errors import StoreError
from strayline_collector.store.duckdb.queries import statements

SCHEMA_VERSION: Final = 15
_MIGRATIONS: Final = {
    2: statements("migrate/2"),
    3: statements("migrate/3"),
    4: statements("migrate/4"),
    5: statements("migrate/5"),
    6: statements("migrate/6"),
    7: statements("migrate/7"),
    8: statements("migrate/8"),
    9: statements("migrate/9"),
    10: statements("migrate/10"),
    11: statements("migrate/11"),
    12: statements("migrate/12"),
    13: statements("migrate/13"),
    14: statements("migrate/14"),
    15: statements("migrate/15"),
}
"""What makes a file of the version before one of this."""
MEMORY: Final = ":memory:"

_SETTINGS: Final[dict[str, str]] = {
    # zstd columns need it, and are silently left uncompressed without
    "storage_compatibility_version": "v1.5.0",
    # SQL comes from outside too: no files, no network, no extensions
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    # a sort that does not fit into memory must not fill the journal's disk
    "max_temp_directory_size": "4GB",
    # ours run after each load; a checkpoint inside a commit would stall it
    "checkpoint_threshold": "1GB",
}


def without_pandas() -> None:
    """For a process of our own: DuckDB asks twice for each bound value whether it is pandas's, and
    where that is not installed each answer is a search through the path, 60 µs. It is then said once."""
    if importlib.util.find_spec("pandas") is None:
        sys.modules.setdefault("pandas", None)  # pyright: ignore[reportArgumentType]


def open_database(path: str, memory_limit: str | None) -> duckdb.DuckDBPyConnection:
    """Opens ``path`` (created when missing; ``:memory:`` keeps nothing) and checks that it is a
    Strayline store of a version we know. Raises ``StoreError``, one line naming the file and
    what to do; a file that is refused stays as it was.
    """
    config: dict[str, str | bool | int | float | list[str]] = dict(_SETTINGS)
    if memory_limit is not None:
        config["memory_limit"] = memory_limit
    spilled = tempfile.mkdtemp(prefix="strayline-") if path == MEMORY else None
    if spilled is None:
        _check_place(path)
    else:
        # DuckDB would take `.tmp` where the process was started: two of them there, or one
        # beside another program's, read what the other has spilled
        config["temp_directory"] = spilled
    fresh = path == MEMORY or not Path(path).exists()
    try:
        connection = duckdb.connect(path, config=config)
    except duckdb.Error as error:
        raise StoreError(_refusal(path, error)) from None
    if spilled is not None:
        weakref.finalize(connection, shutil.rmtree, spilled, ignore_errors=True)
    try:
        if fresh:
            _create(connection)
        else:
            _check_version(connection, path)
        connection.execute("SET lock_configuration = true")
    except BaseException as error:
        # closing would write the log into a file that we have just refused
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        connection.close()
        if isinstance(error, duckdb.Error):
            raise StoreError(_refusal(path, error)) from None
        raise
    return connection


def _check_place(path: str) -> None:
    parent = Path(path).resolve().parent
    if not parent.is_dir():
        raise StoreError(
            f"{path}: the directory {parent} does not exist; create it or choose another --db"
        )
    if Path(path).is_dir():
        raise StoreError(f"{path}: is a directory; --db names a file")


def _refusal(path: str, error: duckdb.Error) -> str:
    text = str(error)
    if "set lock" in text:
        return f"{path}: in use by another process; stop that collector or choose another --db"
    if "not a valid DuckDB database file" in text:
        return f"{path}: not a DuckDB file; choose another --db (the file was left as it is)"
    if "Permission denied" in text or "Read-only file system" in text:
        return f"{path}: may not be opened for writing; give the right to it and its directory, or choose another --db"
    if "newer version" in text or "storage version" in text.lower():
        return f"{path}: written by a newer DuckDB; update Strayline or choose another --db (the file was left as it is)"
    return (
        f"{path}: cannot be read, damaged perhaps: {text.splitlines()[0]}; restore a copy or choose "
        "another --db (the file was left as it is)"
    )


def _create(connection: duckdb.DuckDBPyConnection) -> None:
    connection.begin()
    for statement in statements("schema"):
        connection.execute(statement)
    connection.execute(
        "INSERT INTO meta VALUES ('schema_version', $version), ('created_at_ns', $now)",
        {"version": str(SCHEMA_VERSION), "now": str(time.time_ns())},
    )
    connection.commit()


def _check_version(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    """Refuses what is not ours or newer; brings what is older up to date."""
    try:
        row = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    except duckdb.CatalogException:
        row = None
    if row is None:
        raise StoreError(
            f"{path}: a DuckDB file, but not Strayline's; choose another --db (the file was left as it is)"
        )
    version = int(row[0])
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path}: schema version {version} is newer than this Strayline's {SCHEMA_VERSION}; "
            "update Strayline or choose another --db (the file was left as it is)"
        )
    for step in range(version + 1, SCHEMA_VERSION + 1):
        connection.begin()
        for statement in _MIGRATIONS[step]:
            connection.execute(statement)
        connection.commit()
