"""Our OTLP encoder against OpenTelemetry's own, over generated spans."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from strayline.export.otlp import encode_request

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
scalars = st.one_of(
    text, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)
)
values = scalars | st.lists(text, max_size=3) | st.lists(st.integers(-5, 5), max_size=3)
attributes = st.dictionaries(st.text("abc.", min_size=1, max_size=6), values, max_size=4)
times = st.integers(1, 2**62)


@st.composite
def contexts(draw: Any) -> SpanContext:
    return SpanContext(
        draw(st.integers(1, 2**128 - 1)), draw(st.integers(1, 2**64 - 1)), draw(st.booleans()),
        TraceFlags(draw(st.sampled_from([0, 1]))),
    )  # fmt: skip


@st.composite
def spans(draw: Any) -> ReadableSpan:
    code = draw(st.sampled_from(list(StatusCode)))
    return ReadableSpan(
        draw(text),
        context=draw(contexts()),
        parent=draw(st.none() | contexts()),
        resource=Resource({"service.name": "x"}),
        attributes=draw(attributes),
        events=[
            Event(draw(text), draw(attributes), draw(times)) for _ in range(draw(st.integers(0, 2)))
        ],
        links=[Link(draw(contexts()), draw(attributes)) for _ in range(draw(st.integers(0, 2)))],
        kind=draw(st.sampled_from(list(SpanKind))),
        status=Status(code, draw(text) if code is StatusCode.ERROR else None),
        start_time=draw(times),
        end_time=draw(times),
        instrumentation_scope=InstrumentationScope(
            draw(st.sampled_from(["a", "b"])), draw(st.sampled_from(["", "1"]))
        ),
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(spans(), min_size=1, max_size=4))
def test_our_bytes_mean_what_the_stock_encoder_says(batch: list[ReadableSpan]) -> None:
    ours = ExportTraceServiceRequest.FromString(encode_request(batch, {"service.name": "x"}))
    stock = ExportTraceServiceRequest.FromString(encode_spans(batch).SerializeToString())
    assert _by_scope(ours) == _by_scope(stock)
    assert ours.resource_spans[0].resource == stock.resource_spans[0].resource


def _by_scope(request: ExportTraceServiceRequest) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            key = (scope_spans.scope.name, scope_spans.scope.version)
            for span in scope_spans.spans:
                # the stock encoder leaves the W3C trace flags (low byte) out; trace.proto wants them
                for item in (span, *span.links):
                    item.flags &= ~0xFF
                found.setdefault(key, []).append(str(span))
    return found
