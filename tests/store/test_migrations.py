"""Files of every earlier schema open, keep what they hold, and go on as if they had been ours."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from strayline_collector.decode.otlp import decode
from strayline_collector.store.duckdb.connection import SCHEMA_VERSION
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.spans import otlp_span

SCHEMAS = Path(__file__).parent / "schemas"


def old_file(path: str, version: int) -> None:
    """A file as that version's collector left it: a publish loaded, its delivery not yet."""
    spans = decode([_publish(1)], 1)
    with duckdb.connect(path, config={"storage_compatibility_version": "v1.5.0"}) as connection:
        for statement in (SCHEMAS / f"{version}.sql").read_text().split(";\n"):
            if statement.strip():
                connection.execute(statement)
        connection.execute("INSERT INTO meta VALUES ('schema_version', $v)", {"v": str(version)})
        counts = ", 1 AS spans, 1 AS traces" if version >= 5 else ""
        connection.execute(
            f"INSERT INTO loaded BY NAME SELECT 1 AS batch, 1 AS segment, 1 AS byte_offset, 1 AS loaded_ns{counts}"
        )
        connection.register("arrived", spans)
        connection.execute("INSERT INTO spans BY NAME SELECT 1 AS batch, * FROM arrived")
        if version >= 5:
            connection.execute(
                "INSERT INTO trace_directory SELECT key_of(trace_id), 1 FROM arrived"
            )
        first = "1 AS first_batch, " if version >= 3 else ""
        connection.execute(
            f"INSERT INTO publish_facts BY NAME SELECT 1 AS batch, {first}trace_id || '-' || span_id AS message, 'shim' AS source,"
            " 'events' AS exchange, '' AS routing_key, service, 'unconfirmed' AS outcome, trace_id, span_id,"
            " name AS operation, span_id AS operation_span_id, start_ns, end_ns FROM arrived"
        )


def _publish(number: int) -> bytes:
    return otlp_span(
        number, 4, messaging__operation__type="send", strayline__exchange="events",
        strayline__outcome="unconfirmed",
    )  # fmt: skip


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
        _publish(1),
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
