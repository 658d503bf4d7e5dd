"""Files as collectors of earlier schema versions left them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb

from strayline_collector.decode.otlp import decode
from strayline_collector.store.duckdb.queries import statements
from tests.support.spans import otlp_span

FIRST: Final = Path(__file__).parent / "first_schema.sql"

PUBLISH: Final = otlp_span(
    1, 4, messaging__operation__type="send", strayline__exchange="events",
    strayline__outcome="unconfirmed",
)  # fmt: skip


def old_file(path: str, version: int) -> None:
    """A file as that version's collector left it: a publish loaded, its delivery not yet."""
    spans = decode([PUBLISH], 1)
    with duckdb.connect(path, config={"storage_compatibility_version": "v1.5.0"}) as connection:
        for statement in FIRST.read_text().split(";\n"):
            if statement.strip():
                connection.execute(statement)
        connection.execute("INSERT INTO meta VALUES ('schema_version', '1')")
        for step in range(2, version + 1):
            for statement in statements(f"migrate/{step}"):
                connection.execute(statement)
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
