"""SQL over the API on a real recording: what is answered, how values travel, and the limits."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pyarrow as pa
import pytest

from strayline_collector.query.sql import LIMITS
from strayline_collector.store.duckdb.sandbox import allowed
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.support.collector import RunningCollector
from tests.support.corpus import truth

# of more relations the planner puts together products of millions of rows first, and memory ends before time
SLOW = "SELECT count(*) FROM " + ", ".join(
    f"(SELECT message FROM deliveries) d{i}" for i in range(4)
)


def post(collector: RunningCollector, body: Any, **headers: str) -> httpx.Response:
    return httpx.post(f"http://{collector.api}/api/v1/sql", json=body, headers=headers, timeout=60)


def rows(collector: RunningCollector, sql: str) -> list[list[Any]]:
    answer = post(collector, {"sql": sql})
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


def test_every_relation_is_there_and_tells_what_the_api_tells(collector: RunningCollector) -> None:
    assert rows(collector, "SELECT count(*) FROM spans") == [[truth("d_reorder_nack")["spans"]]]
    for relation in allowed.RELATIONS:
        assert rows(collector, f"SELECT count(*) FROM {relation}")[0][0] >= 0
    assert rows(
        collector, "SELECT count(*), count(*) FILTER (WHERE redelivered) FROM deliveries WHERE queue = 'billing.orders'"
    )[0][0] == 213  # fmt: skip
    finding = collector.findings(kind="reordered")[0]
    found = rows(collector, f"SELECT count(DISTINCT message) FROM finding_verdicts WHERE finding_id = '{finding['id']}' AND role = 'late'")  # fmt: skip
    assert found == [[finding["count"]]]


def test_what_people_ask_is_answered(collector: RunningCollector) -> None:
    asked = [
        "SELECT service || ' → ' || name AS step, count(*) AS n, quantile_cont(duration_ms, 0.95) AS p95_ms FROM spans WHERE kind = 'server' GROUP BY ALL ORDER BY p95_ms DESC LIMIT 5",
        "SELECT date_trunc('minute', make_timestamp_ns(start)) AS minute, count(*) FROM spans GROUP BY minute ORDER BY minute",
        "SELECT attributes->>'messaging.system' AS system, count(*) FROM spans GROUP BY 1",
        "SELECT DISTINCT unnest(json_keys(attributes)) AS attribute FROM spans ORDER BY 1",
        "SELECT p.exchange, d.queue, count(*) FROM publishes p JOIN deliveries d USING (message) GROUP BY ALL ORDER BY ALL",
        "SELECT queue, (handled_end - handled_start) / 1e6 AS ms, row_number() OVER (PARTITION BY queue ORDER BY received) AS nth FROM deliveries QUALIFY nth <= 3",
        "WITH RECURSIVE up(span_id, parent, path) AS (SELECT span_id, parent_span_id, name FROM spans WHERE name LIKE '%process%' UNION ALL SELECT s.span_id, s.parent_span_id, s.name || ' > ' || path FROM up JOIN spans s ON s.span_id = up.parent) SELECT max(path) FROM up WHERE parent IS NULL",
        "SELECT regexp_replace(name, '[0-9]+', 'N', 'g') AS shape, count(*) FROM spans GROUP BY shape",
        "SELECT trace_id, string_agg(name, ', ' ORDER BY start) FROM (SELECT * FROM spans LIMIT 50) GROUP BY trace_id",
        "SELECT title, severity, count FROM findings WHERE status <> 'retracted' ORDER BY count DESC",
        "FROM deliveries SELECT queue, service LIMIT 3",
        "SELECT service FROM spans UNION SELECT service FROM deliveries ORDER BY 1 -- all of them",
    ]  # fmt: skip
    for sql in asked:
        assert rows(collector, sql), sql


def test_columns_keep_the_names_that_the_statement_gives_them(collector: RunningCollector) -> None:
    answer = post(collector, {"sql": "SELECT 'a' || 'b', name n, upper(name), * FROM (SELECT 'x' || 'y' AS name)"}).json()  # fmt: skip
    assert [c["name"] for c in answer["columns"]] == ["('a' || 'b')", "n", 'upper("name")', "name"]


def test_values_travel_as_json_can_carry_them(collector: RunningCollector) -> None:
    cases: dict[str, tuple[str, Any]] = {
        "9223372036854775807": ("BIGINT", 2**63 - 1),
        "170141183460469231731687303715884105727": ("HUGEINT", "170141183460469231731687303715884105727"),
        "sum(1::BIGINT)": ("HUGEINT", 1),
        "1.25": ("DECIMAL(3, 2)", 1.25),
        "12345678901234567890.125": ("DECIMAL(23, 3)", "12345678901234567890.125"),
        "0.5::DOUBLE": ("DOUBLE", 0.5),
        "'NaN'::DOUBLE": ("DOUBLE", "NaN"),
        "'-inf'::DOUBLE": ("DOUBLE", "-Infinity"),
        "true": ("BOOLEAN", True),
        "NULL": ("INTEGER", None),
        "'text ü'": ("VARCHAR", "text ü"),
        "make_timestamp_ns(1700000000000000001)": ("TIMESTAMP", "2023-11-14T22:13:20.000000001Z"),
        "TIMESTAMP '2023-11-14 22:13:20.5'": ("TIMESTAMP", "2023-11-14T22:13:20.500000000Z"),
        "to_timestamp(0)": ("TIMESTAMP WITH TIME ZONE", "1970-01-01T00:00:00.000000000Z"),
        "DATE '2023-11-14'": ("DATE", "2023-11-14"),
        "TIME '01:02:03.5'": ("TIME", "01:02:03.500000"),
        "INTERVAL '3 days 1 second'": ("INTERVAL", "P0M3DT1S"),
        "[1, 2]": ("INTEGER[]", [1, 2]),
        "'{\"a\": 1}'::JSON": ("VARCHAR", '{"a": 1}'),
    }  # fmt: skip
    for sql, (type_name, value) in cases.items():
        answer = post(collector, {"sql": f"SELECT {sql} AS v"}).json()
        assert (answer["columns"], answer["rows"]) == ([{"name": "v", "type": type_name}], [[value]]), sql  # fmt: skip


def test_the_same_as_an_arrow_stream(collector: RunningCollector) -> None:
    answer = post(
        collector, {"sql": "SELECT trace_id, start FROM spans", "max_rows": 10},
        accept="application/vnd.apache.arrow.stream",
    )  # fmt: skip
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    assert answer.headers["strayline-truncated"] == "true"
    table = pa.ipc.open_stream(answer.content).read_all()
    assert (table.column_names, table.num_rows) == (["trace_id", "start"], 10)
    empty = post(collector, {"sql": "SELECT 1 AS a WHERE false"}, accept="application/vnd.apache.arrow.stream")  # fmt: skip
    assert pa.ipc.open_stream(empty.content).read_all().column_names == ["a"]


def test_rows_and_bytes_are_cut_and_say_so(collector: RunningCollector) -> None:
    answer = post(collector, {"sql": "SELECT name FROM spans", "max_rows": 7}).json()
    assert (len(answer["rows"]), answer["truncated"]) == (7, True)
    answer = post(collector, {"sql": "SELECT name FROM spans LIMIT 7", "max_rows": 7}).json()
    assert (len(answer["rows"]), answer["truncated"]) == (7, False)
    answer = post(collector, {"sql": "SELECT 1 FROM spans a, spans b"}).json()
    assert (len(answer["rows"]), answer["truncated"]) == (LIMITS.rows, True)
    wide = post(collector, {"sql": f"SELECT {', '.join(['attributes'] * 60)} FROM spans"})
    assert wide.json()["truncated"]
    assert len(wide.content) < 2 * LIMITS.answer_bytes


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "sql: give one SELECT"), ({"sql": 1}, "sql: give"), ({"sql": " "}, "sql: give"), ({"sql": "SELECT 1", "x": 1}, "x: unknown"), ([], "JSON object"),
        ({"sql": "SELECT 1", "max_rows": 0}, "max_rows"), ({"sql": "SELECT 1", "max_rows": 10_001}, "max_rows"), ({"sql": "SELECT 1", "max_rows": True}, "max_rows"),
        ({"sql": "SELECT nonsense FROM spans"}, "nonsense"), ({"sql": "SELECT 1 / 'x'"}, "x"), ({"sql": "SELECT 'x'::INT"}, "Conversion Error"), ({"sql": "SELEC"}, "Parser Error"), ({"sql": "SELECT '" + "x" * 70_000 + "'"}, "longer than 65,536 bytes"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_a_problem_that_says_why(
    collector: RunningCollector, body: Any, words: str
) -> None:
    answer = post(collector, body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert words in answer.json()["detail"]


def test_bodies_of_other_types_are_not_read(collector: RunningCollector) -> None:
    for headers in ({}, {"content-type": "text/plain"}, {"content-type": "application/x-ndjson"}):
        answer = httpx.post(f"http://{collector.api}/api/v1/sql", content=b'{"sql": "SELECT 1"}', headers=headers)  # fmt: skip
        assert answer.status_code == 415


def test_a_slow_statement_is_stopped_and_a_third_one_is_asked_to_wait(
    collector: RunningCollector,
) -> None:
    answers: list[httpx.Response] = []
    waiting = threading.Event()

    def ask_slowly() -> None:
        # the question below may have the second place for a moment
        while (answer := post(collector, {"sql": SLOW})).status_code == 503:
            waiting.wait(0.05)
        answers.append(answer)

    slow = [threading.Thread(target=ask_slowly) for _ in range(2)]
    for thread in slow:
        thread.start()
    while (busy := post(collector, {"sql": "SELECT 1"})).status_code == 200:
        waiting.wait(0.05)
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
    assert collector.get("/api/v1/status")["spans"] > 0
    for thread in slow:
        thread.join()
    assert [a.status_code for a in answers] == [422, 422]
    details = [answer.json()["detail"] for answer in answers]
    assert ["longer than 10 s" in detail for detail in details] == [True, True], details
    assert rows(collector, "SELECT 1") == [[1]]


def test_the_documented_relations_and_columns_are_those_of_the_store(store: DuckDBStore) -> None:
    from pathlib import Path

    from tests.query.test_sql_attacks import SOON

    page = (Path(__file__).parents[2] / "docs" / "sql.md").read_text()
    for relation in allowed.RELATIONS:
        line = next(line for line in page.splitlines() if line.startswith(f"| `{relation}` |"))
        told = [word.strip(" `") for word in line.split("|")[3].split(",")]
        schema = store.ask(f"SELECT * FROM {relation}", SOON).schema
        assert set(told) <= set(schema.names), relation
