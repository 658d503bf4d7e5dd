"""Texts too long for their rows: nothing of them is lost, and no memory limit stops them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from strayline_collector.decode.otlp import decode
from strayline_collector.query.export import Wanted, export
from strayline_collector.query.outline import outline_text, read_span
from strayline_collector.query.trace_text import read_trace
from strayline_collector.store.duckdb.compact import compact
from strayline_collector.store.duckdb.long_texts import JSON, JSON_BYTES, TEXT_BYTES, shorten
from strayline_collector.store.duckdb.retain import Retention
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support import otlp
from tests.support.rounds import rounds

LEAST = "122MB"
"""A store's share of the least memory limit."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3_000),
    lambda inner: st.lists(inner, max_size=60) | st.dictionaries(st.text(max_size=40), inner, max_size=60),
    max_leaves=200,
)  # fmt: skip


def stored(store: DuckDBStore, number: int, *requests: ExportTraceServiceRequest) -> None:
    table = decode([request.SerializeToString() for request in requests], number)
    store.append(table, Position(1, number), number)


def one(store: DuckDBStore, sql: str) -> Any:
    with store.read() as session:
        (row,) = session.rows(sql)
    (value,) = row.values()
    return value


def with_long_texts(number: int = 7) -> ExportTraceServiceRequest:
    """Two spans with every text longer than its row may have it."""
    request = otlp.request(number, spans=2, service="s" * 3_000)
    (resource_spans,) = request.resource_spans
    resource_spans.resource.attributes.add(key="notes").value.string_value = "n" * 40_000
    resource_spans.resource.attributes.add(key="host.name").value.string_value = "h" * 2_000
    (scope_spans,) = resource_spans.scope_spans
    scope_spans.scope.name = "ü" * 5_000
    for at, span in enumerate(scope_spans.spans):
        span.name = "ä" * 2_000
        span.status.code = Status.STATUS_CODE_ERROR
        span.status.message = "💥" * 3_000
        span.trace_state = f"v={at}" + "t" * 2_000
        for key in range(3_000):
            span.attributes.add(key=f"key{key}").value.int_value = key
        span.attributes.add(key="body").value.string_value = "\x01" * 30_000
        span.attributes.add(key="raw").value.bytes_value = b"\xff" * 30_000
        event = span.events.add(name="exception", time_unix_nano=span.start_time_unix_nano)
        event.attributes.add(key="exception.stacktrace").value.string_value = "at x\n" * 9_000
        for link in range(500):
            span.links.add(trace_id=bytes([at + 1]) * 16, span_id=link.to_bytes(8, "big"))
    return request


def exported(store: DuckDBStore, number: int = 7) -> ExportTraceServiceRequest:
    pieces = export(store, Wanted(otlp.trace_id(number)), "protobuf")
    return ExportTraceServiceRequest.FromString(b"".join(pieces))


def test_an_export_gives_back_what_came_in() -> None:
    store = DuckDBStore.open(":memory:")
    request = with_long_texts()
    stored(store, 1, request)
    assert exported(store) == request
    longest = ", ".join(f"max(strlen({name}))" for name in JSON[:5])
    assert one(store, f"SELECT greatest({longest}) FROM spans") <= JSON_BYTES
    names = "service, host, scope_name, name, status_message, trace_state"
    assert one(store, f"SELECT max(greatest({names.replace(', ', '), strlen(').join(('strlen(', ')'))})) FROM spans") <= TEXT_BYTES  # fmt: skip
    store.close()


def test_a_trace_is_read_whole() -> None:
    store = DuckDBStore.open(":memory:")
    stored(store, 1, with_long_texts())
    with store.read() as session:
        (span, _) = read_trace(session, otlp.trace_id(7), stitched=False)["spans"]
    assert span["attributes"]["body"] == "\x01" * 30_000
    assert span["attributes"]["key2999"] == 2999
    assert span["resource"]["notes"] == "n" * 40_000
    assert span["events"][0]["attributes"]["exception.stacktrace"] == "at x\n" * 9_000
    assert len(span["links"]) == 500
    assert span["status_message"] == "💥" * 3_000
    store.close()


def test_an_outline_and_one_span_are_read_whole() -> None:
    store = DuckDBStore.open(":memory:")
    request = with_long_texts()
    for event in range(1_000):
        request.resource_spans[0].scope_spans[0].spans[0].events.add(name=f"event {event}")
    stored(store, 1, request)
    with store.read() as session:
        outline = json.loads(outline_text(session, otlp.trace_id(7), stitched=False))
        (span,) = read_span(session, otlp.trace_id(7), f"{1:016x}")["items"]
    assert outline["spans"]["events"] == [1_001, 1]
    assert len(outline["links"]) == 1_000
    assert span["attributes"]["body"] == "\x01" * 30_000
    assert span["resource"]["notes"] == "n" * 40_000
    assert (len(span["events"]), len(span["links"])) == (1_001, 500)
    store.close()


def test_what_together_would_fill_an_answer_is_read_as_its_row_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("strayline_collector.query.whole_texts.MAX_WHOLE", 100_000)
    store = DuckDBStore.open(":memory:")
    stored(store, 1, with_long_texts())
    with store.read() as session:
        (span, _) = read_trace(session, otlp.trace_id(7), stitched=False)["spans"]
    assert span["resource"]["notes"] == "n" * 1_023 + "…"
    assert "key2" in span["attributes"]
    assert "key2999" not in span["attributes"]
    assert len(span["links"]) == 500
    assert span["events"][0]["attributes"]["exception.stacktrace"] == "at x\n" * 9_000
    store.close()


def test_a_large_resource_of_many_spans_fits_the_least_memory(tmp_path: Path) -> None:
    """Each request is 200 kB, and a quarter of a gigabyte with the resource beside every span."""
    store = DuckDBStore.open(str(tmp_path / "s.duckdb"), memory_limit=LEAST)
    requests = [otlp.request(number, spans=2_000) for number in (1, 2)]
    for request in requests:
        resource = request.resource_spans[0].resource
        resource.attributes.add(key="notes").value.string_value = "x" * 130_000
    for number, request in enumerate(requests, 1):
        stored(store, number, request)
        store.maintain()
    stored(store, 3, requests[0])  # a retry
    assert one(store, "SELECT count(*) FROM spans") == 4_000
    assert one(store, "SELECT count(DISTINCT (batch, n)) FROM long_texts") == 2
    (found,) = exported(store, 1).resource_spans
    assert found.resource == requests[0].resource_spans[0].resource
    assert len(found.scope_spans[0].spans) == 2_000
    store.close()


def test_long_texts_of_every_span_fit_the_least_memory(tmp_path: Path) -> None:
    """2,048 rows of 100 kB are 200 MB."""
    store = DuckDBStore.open(str(tmp_path / "s.duckdb"), memory_limit=LEAST)
    for number in range(1, 8):
        stored(store, number, otlp.request(number, spans=300, filler=100_000))
        store.maintain()
    assert one(store, "SELECT count(*) FROM spans") == 2_100
    store.close()


def test_history_is_made_of_whole_texts() -> None:
    request = otlp.request(7)
    (span,) = request.resource_spans[0].scope_spans[0].spans
    span.kind = Span.SPAN_KIND_PRODUCER
    told = {"messaging.system": "rabbitmq", "messaging.operation.type": "send"}
    told |= {"a": "x" * 20_000, "strayline.exchange": "events" + "x" * 2_000}
    for key, value in told.items():
        span.attributes.add(key=key).value.string_value = value
    store = DuckDBStore.open(":memory:")
    stored(store, 1, request)
    assert one(store, "SELECT exchange FROM publishes") == told["strayline.exchange"]
    store.close()


def test_long_texts_go_with_their_rows(tmp_path: Path) -> None:
    path = str(tmp_path / "s.duckdb")
    store = DuckDBStore.open(path, retention=Retention(age_ns=1))
    stored(store, 1, with_long_texts())
    store.maintain()
    assert one(store, "SELECT count(*) FROM long_texts") == 0
    store.close()


def test_compacting_keeps_them(tmp_path: Path) -> None:
    path = str(tmp_path / "s.duckdb")
    store = DuckDBStore.open(path)
    stored(store, 1, with_long_texts())
    store.close()
    compact(path)
    again = DuckDBStore.open(path)
    assert exported(again) == with_long_texts()
    again.close()


@settings(max_examples=rounds(20))
@given(json_values)
def test_shortened_json_is_json_of_the_same_shape_and_fits(value: Any) -> None:
    document = {"wrapped": value}
    request = decode([otlp.body(1)], 1)
    at = request.schema.get_field_index("attributes")
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    found = shorten(request.set_column(at, "attributes", [[text]])).spans["attributes"][0].as_py()
    assert len(found.encode()) <= max(JSON_BYTES, len("{}"))
    if len(text.encode()) <= JSON_BYTES:
        assert found == text
    else:
        assert within(json.loads(found), document)


def within(short: Any, whole: Any) -> bool:
    """Whether ``short`` says nothing that ``whole`` does not."""
    if isinstance(short, dict):
        return all(name in whole and within(value, whole[name]) for name, value in short.items())
    if isinstance(short, list):
        rest = iter(whole)
        return all(any(within(item, other) for other in rest) for item in short)
    if isinstance(short, str) and short.endswith("…"):
        return isinstance(whole, str) and whole.startswith(short[:-1])
    return short == whole
