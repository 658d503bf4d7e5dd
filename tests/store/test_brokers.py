"""One broker seen by its address and by its cluster's name is one broker."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline_collector.decode.otlp import decode
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position


def _span(kind: int, number: int, parent: int | None = None, **attributes: str | int) -> bytes:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(
        name="publish x" if kind == 4 else "work process", kind=kind, trace_id=b"\x01" * 16, span_id=bytes([number] * 8), start_time_unix_nano=number, end_time_unix_nano=number + 1
    )  # fmt: skip
    if parent is not None:
        span.parent_span_id = bytes([parent] * 8)
    for name, value in {
        "messaging.system": "rabbitmq",
        "server.address": "mq",
        "server.port": 5672,
        **attributes,
    }.items():
        item = span.attributes.add(key=name.replace("__", ".")).value
        if isinstance(value, int):
            item.int_value = value
        else:
            item.string_value = value
    return request.SerializeToString()


@pytest.mark.parametrize("reverse", [False, True])
def test_names_join_whichever_came_first(store: DuckDBStore, reverse: bool) -> None:
    foreign = _span(
        4,
        1,
        messaging__destination="x",
        messaging__rabbitmq__routing_key="k",
        messaging__url="amqp://u:p@mq:5672?heartbeat=5",
    )
    ours = _span(
        5,
        2,
        parent=1,
        strayline__broker="rabbit@shop",
        strayline__vhost="/",
        strayline__queue="work",
        strayline__exchange="x",
        messaging__operation__type="process",
    )
    for offset, body in enumerate(
        reversed([foreign, ours]) if reverse else [foreign, ours], start=1
    ):
        store.append(decode([body], 1), Position(1, offset), 1)
    with store.read() as session:
        assert session.rows(
            "SELECT DISTINCT broker, vhost FROM (SELECT broker, vhost FROM publishes UNION ALL SELECT broker, vhost FROM deliveries)"
        ) == [{"broker": "rabbit@shop", "vhost": "/"}]
        assert session.rows("SELECT count(DISTINCT message) AS n FROM deliveries")[0]["n"] == 1
