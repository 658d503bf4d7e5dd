"""The reference decoder: every field kept or on an explained list; hostile spans cost only themselves."""

from __future__ import annotations

import json
import math
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from strayline_collector.decode.otlp import decode, examine
from strayline_collector.decode.python import SCHEMA
from strayline_collector.store.duckdb.store import DuckDBStore

IGNORED = {
    "opentelemetry.proto.common.v1.EntityRef": "experimental; names resource attributes that are kept anyway",
    "opentelemetry.proto.resource.v1.Resource.entity_refs": "experimental, as above",
    "opentelemetry.proto.common.v1.AnyValue.string_value_strindex": "profiles only",
    "opentelemetry.proto.common.v1.KeyValue.key_strindex": "profiles only",
}


def test_every_field_of_the_protocol_is_decoded_or_explained() -> None:
    """Sets each field to a value of its own and looks for it in the decoded row."""
    missing: list[str] = []
    for message in (ResourceSpans, ScopeSpans, Span, Span.Event, Span.Link, Status):
        for field in message.DESCRIPTOR.fields:
            if field.full_name in IGNORED or _is_message(field):
                continue
            if not _shows(message.DESCRIPTOR, field):
                missing.append(field.full_name)
    assert missing == []


def _is_message(field: FieldDescriptor) -> bool:
    return field.message_type is not None


def _shows(owner: Descriptor, field: FieldDescriptor) -> bool:
    def decoded(value: Any) -> list[dict[str, Any]]:
        request = ExportTraceServiceRequest()
        rs = request.resource_spans.add()
        ss = rs.scope_spans.add()
        span = ss.spans.add(trace_id=b"\x01" * 16, span_id=b"\x01" * 8)
        places = {
            "ResourceSpans": rs, "ScopeSpans": ss, "Span": span, "Event": span.events.add(), "Link": span.links.add(), "Status": span.status,
        }  # fmt: skip
        if value is not None:
            setattr(places[owner.name], field.name, value)
        return decode([request.SerializeToString()], 1).to_pylist()

    value: Any = {
        FieldDescriptor.TYPE_BYTES: b"\x07" * (16 if field.name == "trace_id" else 8),
        FieldDescriptor.TYPE_STRING: "marker",
        FieldDescriptor.TYPE_ENUM: 1,
    }.get(field.type, 77)
    return decoded(value) != decoded(None)


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
    assert set(SCHEMA.names) == set(columns) - {"batch"}
