"""The operation of a publish is its local root span, in whatever order and loads the spans come."""

from __future__ import annotations

import itertools

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline_collector.decode.otlp import decode
from strayline_collector.store.duckdb.roll import roll
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position


def _span(number: int, kind: int, parent: int | None, service: str = "shop") -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = service
    span = resource.scope_spans.add().spans.add(
        name=f"span {number}", kind=kind, trace_id=b"\x01" * 16, span_id=bytes([number] * 8),
        start_time_unix_nano=number, end_time_unix_nano=number + 1,
    )  # fmt: skip
    if parent is not None:
        span.parent_span_id = bytes([parent] * 8)
    if kind == 4:
        span.attributes.add(key="messaging.system").value.string_value = "rabbitmq"
    return request.SerializeToString()


SPANS = (
    _span(1, 3, None, service="caller"),
    _span(2, 2, 1),
    _span(3, 1, 2),
    _span(4, 4, 3),
)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_ancestors_are_climbed_whichever_comes_last(
    store: DuckDBStore, order: tuple[int, ...]
) -> None:
    for offset, index in enumerate(order, start=1):
        store.append(decode([SPANS[index]], 1), Position(1, offset), 1)
    with store.read() as session:
        assert session.rows("SELECT operation FROM publishes") == [{"operation": "span 2"}]
        assert session.rows("SELECT * FROM open_operations") == []


def test_another_service_s_span_ends_the_climb_and_the_waiting(store: DuckDBStore) -> None:
    for offset, body in enumerate((_span(3, 1, 1), _span(4, 4, 3)), start=1):
        store.append(decode([body], 1), Position(1, offset), 1)
    with store.read() as session:
        assert len(session.rows("SELECT * FROM open_operations")) == 1
    store.append(decode([SPANS[0]], 1), Position(1, 3), 1)
    with store.read() as session:
        assert session.rows("SELECT operation FROM publishes") == [{"operation": "span 3"}]
        assert session.rows("SELECT * FROM open_operations") == []


MINUTE_NS = 60_000_000_000


def test_a_publish_waits_ten_minutes_for_its_ancestors_though_nothing_was_rolled_up_before(
    store: DuckDBStore,
) -> None:
    other = _span(9, 1, None, service="else")
    for number, body in enumerate((SPANS[3], other, SPANS[2], SPANS[1]), start=1):
        store.append(decode([body], 1), Position(1, number), 100 * MINUTE_NS)
        if number == 2:
            with store.write() as session:
                assert roll(session, spans=1)
    with store.read() as session:
        assert session.rows("SELECT operation FROM publishes") == [{"operation": "span 2"}]


def test_ancestors_that_did_not_come_in_ten_minutes_are_awaited_no_more(store: DuckDBStore) -> None:
    other = _span(9, 1, None, service="else")
    for number, (minute, body) in enumerate(((100, SPANS[3]), (105, SPANS[0]), (116, other)), 1):
        store.append(decode([body], 1), Position(1, number), minute * MINUTE_NS)
        with store.write() as session:
            assert roll(session, spans=1)
    with store.read() as session:
        assert session.rows("SELECT * FROM open_operations") == []
