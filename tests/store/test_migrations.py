"""Files of every earlier schema open, keep what they hold, and go on as if they had been ours.

The file of an earlier version is the first schema's after the steps up to it: a step is never changed
once it has landed (a digest each), and the last of them is held to the schema of a new file.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import pytest

from strayline_collector.decode.otlp import decode
from strayline_collector.store.duckdb.connection import SCHEMA_VERSION
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.old_store import PUBLISH, old_file
from tests.support.spans import otlp_span

LANDED: Final = {
    2: "5402c2391c288582",
    3: "ef30c25f06ba884e",
    4: "27260166012b9375",
    5: "3494399342bddeb3",
    6: "8483197df2ce2fed",
    7: "ba00d20672fca5bf",
    8: "4f42f61bb95644b0",
    9: "1fb5363ffd56645f",
    10: "7b4f788d9fc94a12",
    11: "f8decc8ed1355c39",
    12: "101c1cd81d6968a5",
    13: "a0da688d6b65caab",
    14: "e7f0d26b9b7d8557",
}
"""Step to the start of its SHA-256. Files that a step has brought up to date are out there: what it
did wrong is mended by the next step."""


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_an_older_file_keeps_what_it_has_and_learns_what_is_new(
    tmp_path: Path, version: int
) -> None:
    path = str(tmp_path / "old.duckdb")
    old_file(path, version)
    for _ in range(2):
        DuckDBStore.open(path).close()
    store = DuckDBStore.open(path)
    told = [
        otlp_span(3, 3, 1, messaging__operation__name="return"),
        otlp_span(4, 5, 1, messaging__operation__type="process", strayline__queue="work"),
        PUBLISH,
    ]
    store.append(decode(told, 2), Position(1, 2), 2)
    with store.read() as session:
        publishes = session.rows("SELECT message, outcome FROM publishes")
        deliveries = session.rows("SELECT message, queue FROM deliveries")
    store.close()
    message = f"{'01' * 16}-{'01' * 8}"
    assert publishes == [{"message": message, "outcome": "returned"}]
    assert deliveries == [{"message": message, "queue": "work"}]


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_an_older_file_ends_with_the_tables_of_a_new_one(tmp_path: Path, version: int) -> None:
    views = "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
    shape = "SELECT table_name, column_name, data_type FROM information_schema.columns ORDER BY ALL"
    old, new = str(tmp_path / "old.duckdb"), str(tmp_path / "new.duckdb")
    old_file(old, version)
    found: list[object] = []
    for path in (old, new):
        store = DuckDBStore.open(path)
        with store.read() as session:
            found += [session.rows(shape), session.rows(views)]
        store.close()
    assert found[:2] == found[2:]


@pytest.mark.parametrize("step", range(2, SCHEMA_VERSION))
def test_a_step_that_has_landed_is_never_changed(step: int) -> None:
    assert hashlib.sha256(load(f"migrate/{step}").encode()).hexdigest()[:16] == LANDED[step], (
        f"migrate/{step}.sql is another than the one that files out there went through: add a step instead"
    )
