"""Every SQL file has an asker, and every asker a file."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2] / "collector" / "strayline_collector"
SQL = ROOT / "store" / "duckdb" / "sql"


def test_files_and_askers_match() -> None:
    files = {str(path.relative_to(SQL).with_suffix("")) for path in SQL.rglob("*.sql")}
    code = "\n".join(path.read_text() for path in ROOT.rglob("*.py"))
    rooms = "|".join(path.name for path in SQL.iterdir() if path.is_dir())
    asked = set(re.findall(rf'"((?:{rooms})/\w+)"', code)) | {"schema"}
    assert files == asked


def test_every_file_but_the_plainest_opens_with_why_it_exists() -> None:
    silent = [
        path.name
        for path in (SQL / "detect").glob("*.sql")
        if len(path.read_text().splitlines()) > 6 and not path.read_text().startswith("--")
    ]
    assert silent == []
