"""Documents that nobody's exporter wrote: converted, or refused with the place, never anything else."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.decode.otlp import decode
from strayline_collector.errors import BadInput
from strayline_collector.formats.jaeger import jaeger_to_otlp, jaeger_traces
from strayline_collector.formats.zipkin import zipkin_to_otlp

NAMES = [
    "traceID", "spanID", "operationName", "references", "refType", "startTime", "duration", "tags",
    "key", "type", "value", "logs", "fields", "timestamp", "processID", "process", "processes",
    "serviceName", "warnings", "spans", "data", "traceId", "id", "parentId", "parentSpanID", "kind",
    "name", "localEndpoint", "remoteEndpoint", "ipv4", "port", "annotations", "flags", "error",
    "otel.status_code", "span.kind", "service.name", "\ud800",
]  # fmt: skip
VALUES = [
    "1", "0000000000000001", "f" * 32, "CHILD_OF", "bool", "int64", "float64", "binary", "string",
    "SERVER", "p1", "ERROR", "true", "1e999", "\ud800", '{"a": {"b": [1, "\\ud800"]}}', "",
]  # fmt: skip
scalars = st.one_of(
    st.sampled_from(VALUES), st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats()
)
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=20,
)
span_ids = st.fixed_dictionaries({"traceID": st.just("1"), "spanID": st.just("2")})
jaeger_spans = st.tuples(span_ids, st.dictionaries(st.sampled_from(NAMES), documents)).map(
    lambda both: both[1] | both[0]
)
zipkin_ids = st.fixed_dictionaries({"traceId": st.just("1" * 16), "id": st.just("2" * 16)})
zipkin_spans = st.tuples(zipkin_ids, st.dictionaries(st.sampled_from(NAMES), documents)).map(
    lambda both: both[1] | both[0]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(jaeger_spans, max_size=3), documents)
def test_any_jaeger_document_is_converted_or_refused(spans: list[Any], processes: Any) -> None:
    try:
        request = jaeger_to_otlp({"data": [{"spans": spans, "processes": processes}]})
    except BadInput:
        return
    assert decode([request.SerializeToString()], 1).num_rows == len(spans)
    jaeger_traces(request)


@settings(max_examples=300, deadline=None)
@given(st.lists(zipkin_spans, max_size=3))
def test_any_zipkin_document_is_converted_or_refused(spans: list[Any]) -> None:
    try:
        request = zipkin_to_otlp(spans)
    except BadInput:
        return
    assert decode([request.SerializeToString()], 1).num_rows == len(spans)
