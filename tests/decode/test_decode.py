"""The reference decoder: every field kept or on an explained list; hostile spans cost only themselves."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from strayline_collector.decode.otlp import decode, examine
from strayline_collector.decode.python import SCHEMA
from strayline_collector.store.duckdb.store import DuckDBStore

IGNORED = {
    "opentelemetry.proto.common.v1.AnyValue.string_value_strindex": "an index into a table that profiles have and traces do not",
    "opentelemetry.proto.common.v1.KeyValue.key_strindex": "as above",
}
"""Fields that are not stored, each with the reason. What a stored field's odd values become is
explained beside the test of the way back, ``tests/formats/test_round_trip.py``."""

Path = tuple[FieldDescriptor, ...]


def test_every_field_of_the_protocol_is_decoded_or_explained() -> None:
    """Walks the descriptors from the request on, sets each field alone and looks at the row."""
    paths = list(_paths(ExportTraceServiceRequest.DESCRIPTOR, ()))
    unseen = {path[-1].full_name for path in paths if _row(path, True) == _row(path, False)}
    assert unseen == set(IGNORED)
    assert len(paths) > 100


def _paths(message: Descriptor, way: Path) -> Iterator[Path]:
    """Every field that is no message, by its way from the request; values within values once."""
    for field in message.fields:
        if field.message_type is None:
            yield (*way, field)
        elif sum(step.message_type is field.message_type for step in way) < 2:
            yield from _paths(field.message_type, (*way, field))


def _row(path: Path, set_it: bool) -> list[dict[str, Any]]:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=b"\x01" * 16, span_id=b"\x01" * 8
    )
    place: Any = request
    for step in path[:-1]:
        inner = getattr(place, step.name)
        if step.is_repeated:
            place = inner[0] if inner else inner.add()
        else:
            inner.SetInParent()
            place = inner
    field = path[-1]
    if set_it:
        value = _marker(field, place)
        if field.is_repeated:
            getattr(place, field.name).append(value)
        else:
            setattr(place, field.name, value)
    return decode([request.SerializeToString()], 1).to_pylist()


def _marker(field: FieldDescriptor, place: Any) -> Any:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return b"\x07" * (len(getattr(place, field.name)) or 8)
    return {
        FieldDescriptor.TYPE_STRING: "marker",
        FieldDescriptor.TYPE_ENUM: 1,
        FieldDescriptor.TYPE_BOOL: True,
    }.get(field.type, 77)


keys = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
scalars = st.one_of(
    st.builds(
        lambda v: AnyValue(string_value=v), st.text(st.characters(exclude_categories=("Cs",)))
    ),
    st.builds(lambda v: AnyValue(bool_value=v), st.booleans()),
    st.builds(lambda v: AnyValue(int_value=v), st.integers(-(2**63), 2**63 - 1)),
    st.builds(lambda v: AnyValue(double_value=v), st.floats()),
    st.builds(lambda v: AnyValue(bytes_value=v), st.binary(max_size=8)),
    st.just(AnyValue()),
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(keys, scalars, max_size=6))
def test_attribute_values_keep_their_types(attributes: dict[str, AnyValue]) -> None:
    span = Span(
        trace_id=b"\x01" * 16,
        span_id=b"\x01" * 8,
        attributes=[KeyValue(key=k, value=v) for k, v in attributes.items()],
    )
    request = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])]
    )
    (row,) = decode([request.SerializeToString()], 1).to_pylist()
    stored = json.loads(row["attributes"])
    assert stored.keys() == attributes.keys()
    for name, value in attributes.items():
        kind = value.WhichOneof("value")
        told = stored[name]
        if kind is None:
            assert told is None
        elif kind == "double_value":
            number = value.double_value
            assert (
                told == number
                if math.isfinite(number)
                else told["doubleValue"] in ("NaN", "Infinity", "-Infinity")
            )
            assert not isinstance(told, int)
        elif kind == "bytes_value":
            assert "bytesValue" in told
        else:
            assert told == getattr(value, kind)
            assert type(told) is type(getattr(value, kind))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=20), st.binary(max_size=10))
def test_only_spans_with_valid_ids_are_kept(trace_id: bytes, span_id: bytes) -> None:
    spans = [
        Span(trace_id=trace_id, span_id=span_id, name="odd"),
        Span(trace_id=b"\x01" * 16, span_id=b"\x01" * 8, name="good"),
    ]
    request = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])]
    )
    names = decode([request.SerializeToString()], 1).column("name").to_pylist()
    valid = len(trace_id) == 16 and any(trace_id) and len(span_id) == 8 and any(span_id)
    assert names == (["odd", "good"] if valid else ["good"])
    assert examine(request.SerializeToString()) == ((2, 0) if valid else (1, 1))


def test_the_decoded_columns_are_the_columns_of_the_table(store: DuckDBStore) -> None:
    with store.read() as session:
        columns = [
            row["column_name"]
            for row in session.rows(
                "SELECT column_name FROM information_schema.columns WHERE table_name = 'spans'"
            )
        ]
    assert set(SCHEMA.names) == set(columns) - {"batch", "shortened"}
