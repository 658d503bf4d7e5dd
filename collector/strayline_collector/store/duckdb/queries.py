"""SQL lives in files beside this module; this reads them.

A name without a file fails when the asking module is imported; a file without an asker fails
in ``tests/store/test_queries.py``. Values are always bound, never pasted in.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

_ROOT = files("strayline_collector.store.duckdb") / "sql"


@cache
def load(name: str) -> str:
    """The text of ``sql/<name>.sql``. Raises ``FileNotFoundError`` naming the file."""
    path = _ROOT.joinpath(*f"{name}.sql".split("/"))
    if not path.is_file():
        raise FileNotFoundError(f"no SQL file for query {name!r} (looked for sql/{name}.sql)")
    return path.read_text(encoding="utf-8")


def statements(name: str) -> tuple[str, ...]:
    """The statements of a file of several, split at semicolons that end a line."""
    parts = (part.strip() for part in load(name).split(";\n"))
    return tuple(part for part in parts if part and not _only_comments(part))


def _only_comments(text: str) -> bool:
    return all(not line.strip() or line.lstrip().startswith("--") for line in text.splitlines())
