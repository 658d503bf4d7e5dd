"""What the stock instrumentation of amqplib says of a handling's end, in its status alone."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from strayline_collector.decode.otlp import decode
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.spans import otlp_span


def handled(store: DuckDBStore, status: str) -> dict[str, Any]:
    """The delivery of a span that ended in error with this message."""
    request = ExportTraceServiceRequest.FromString(otlp_span(1, 5, messaging__operation="process"))
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.name = "work process"
    span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=status))
    store.append(decode([request.SerializeToString()], 1), Position(1, 1), 1)
    with store.read() as session:
        return session.rows("SELECT settlement, failed, handled_end FROM deliveries")[0]


@pytest.mark.parametrize(
    ("status", "settlement"),
    [
        ("nack called on message with requeue", "nack_requeue"),
        ("nack called on message without requeue", "nack_drop"),
        ("nack called on message", "nack_requeue"),
        ("nackAll called on message", "nack_requeue"),
        ("reject called on message", "reject_requeue"),
        ("reject called on message without requeue", "reject_drop"),
        ("nack called on message of mine", None),
        ("channel closed", None),
    ],
)
def test_a_requeue_that_was_left_to_the_library_is_one(
    store: DuckDBStore, status: str, settlement: str | None
) -> None:
    delivery = handled(store, status)
    assert (delivery["settlement"], delivery["failed"]) == (settlement, True)


def test_a_handling_that_outlasts_the_instrumentation_neither_failed_nor_ended(
    store: DuckDBStore,
) -> None:
    delivery = handled(store, "instrumentation timeout called on message with requeue")
    assert delivery == {"settlement": None, "failed": False, "handled_end": None}
