"""Jaeger's UI JSON: what each of its fields becomes, and the way back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from strayline_collector.decode import values
from strayline_collector.errors import BadInput
from strayline_collector.formats.jaeger import jaeger_to_otlp, jaeger_traces
from tests.formats.test_round_trip import flat
from tests.support.corpus import requests

TRACE = {
    "traceID": "5af7183fb1d4cf5f",  # 64 bits, as old clients send
    "spans": [
        {
            "traceID": "5af7183fb1d4cf5f",
            "spanID": "6b221d5bc9e6496c",
            "flags": 1,
            "operationName": "GET /orders",
            "references": [
                {"refType": "FOLLOWS_FROM", "traceID": "1", "spanID": "2"},
                {"refType": "CHILD_OF", "traceID": "5af7183fb1d4cf5f", "spanID": "abc"},
                {"refType": "CHILD_OF", "traceID": "5af7183fb1d4cf5f", "spanID": "def"},
            ],
            "startTime": 1556604172355737,
            "duration": 1431,
            "tags": [
                {"key": "span.kind", "type": "string", "value": "server"},
                {"key": "error", "type": "bool", "value": True},
                {"key": "http.status_code", "type": "int64", "value": 500},
                {"key": "big", "type": "int64", "value": "9223372036854775807"},
                {"key": "share", "type": "float64", "value": 1},
                {"key": "none", "type": "float64", "value": "NaN"},
                {"key": "raw", "type": "binary", "value": "AAEC"},
                {"key": "retried", "type": "bool", "value": "false"},
                {"key": "w3c.tracestate", "type": "string", "value": "a=1"},
                {"key": "otel.scope.name", "type": "string", "value": "lib"},
                {"key": "otel.scope.version", "type": "string", "value": "2"},
            ],
            "logs": [
                {
                    "timestamp": 1556604172355800,
                    "fields": [
                        {"key": "event", "type": "string", "value": "exception"},
                        {"key": "message", "type": "string", "value": "no \ud800 room"},
                    ],
                }
            ],
            "processID": "p1",
            "warnings": ["clock skew"],
        },
        {
            "traceID": "5AF7183FB1D4CF5F", "spanID": "1", "operationName": "old",
            "parentSpanID": "6b221d5bc9e6496c", "references": None, "startTime": 1, "duration": 0,
            "tags": None, "logs": None, "warnings": None,
            "process": {"serviceName": "inline", "tags": []},
        },
    ],
    "processes": {
        "p1": {"serviceName": "orders", "tags": [{"key": "host.name", "type": "string", "value": "h"}]}
    },
    "warnings": None,
}  # fmt: skip


def spans_of(request: ExportTraceServiceRequest) -> list[Span]:
    return [s for r in request.resource_spans for sc in r.scope_spans for s in sc.spans]


def test_every_field_has_its_place() -> None:
    request = jaeger_to_otlp({"data": [TRACE], "total": 0, "errors": None})
    first, second = request.resource_spans
    assert values.attributes(first.resource.attributes) == {
        "service.name": "orders",
        "host.name": "h",
    }
    assert values.attributes(second.resource.attributes) == {"service.name": "inline"}
    scope = first.scope_spans[0].scope
    assert (scope.name, scope.version) == ("lib", "2")
    span, old = spans_of(request)
    assert span.trace_id.hex() == old.trace_id.hex() == "00000000000000005af7183fb1d4cf5f"
    assert (span.span_id.hex(), old.span_id.hex()) == ("6b221d5bc9e6496c", "0000000000000001")
    assert (span.parent_span_id.hex(), old.parent_span_id) == ("0000000000000abc", span.span_id)
    assert (span.name, span.kind, span.flags, span.trace_state) == ("GET /orders", 2, 1, "a=1")
    assert span.start_time_unix_nano == 1556604172355737000
    assert span.end_time_unix_nano - span.start_time_unix_nano == 1431000
    assert span.status.code == 2
    assert values.attributes(span.attributes) == {
        "http.status_code": 500,
        "big": 2**63 - 1,
        "share": 1.0,
        "none": {"doubleValue": "NaN"},
        "raw": {"bytesValue": "AAEC"},
        "retried": False,
        "@jaeger@warnings": ["clock skew"],
    }
    assert [
        (link.trace_id.hex()[-1], link.span_id.hex()[-3:], values.attributes(link.attributes))
        for link in span.links
    ] == [
        ("1", "002", {"opentracing.ref_type": "follows_from"}),
        ("f", "def", {"opentracing.ref_type": "child_of"}),
    ]
    (event,) = span.events
    assert (event.name, event.time_unix_nano) == ("exception", 1556604172355800000)
    assert values.attributes(event.attributes) == {"message": "no ? room"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"spans": 7}, "trace.spans: expected a list"),
        ({"spans": [7]}, "trace.spans[0]: expected an object"),
        ({"spans": [{"traceID": "g"}]}, "trace.spans[0].traceID: expected up to 32 hex"),
        ({"spans": [{"traceID": "1", "spanID": "1" * 17}]}, "trace.spans[0].spanID"),
        (
            {"spans": [{"traceID": "1", "spanID": "1", "startTime": -1}]},
            "trace.spans[0].startTime: expected microseconds, not -1",
        ),
        (
            {"spans": [{"tags": [{"key": "n", "type": "int64", "value": "many"}]}]},
            "trace.spans[0].tags[0] (n): 'many' is no int64",
        ),
        ({"processes": []}, None),
        ({"processes": [1]}, "trace.processes: expected an object"),
    ],
)
def test_what_is_not_as_jaeger_writes_it_is_named(change: dict[str, Any], says: str | None) -> None:
    if says is None:
        jaeger_to_otlp(TRACE | change)
        return
    with pytest.raises(BadInput) as error:
        jaeger_to_otlp(TRACE | change)
    assert str(error.value).startswith(says)


def test_a_recording_survives_the_way_there_and_back_but_for_what_jaeger_cannot_say() -> None:
    """Times in microseconds; lists as text; no dropped counts, schemas and a link's tracestate."""
    for body in requests("b_misroute")[:30]:
        request = ExportTraceServiceRequest.FromString(body)
        document = json.loads(json.dumps({"data": jaeger_traces(request)}))
        back = jaeger_to_otlp(document)
        assert [_plain(span) for span in sorted(flat(back))] == [
            _plain(span) for span in sorted(flat(_as_jaeger_can_say(request)))
        ]


def _as_jaeger_can_say(request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    told = ExportTraceServiceRequest.FromString(request.SerializeToString())
    for resource in told.resource_spans:
        resource.schema_url = ""
        resource.resource.dropped_attributes_count = 0
        for scope in resource.scope_spans:
            scope.schema_url = ""
            for span in scope.spans:
                duration = (span.end_time_unix_nano - span.start_time_unix_nano) // 1000 * 1000
                span.start_time_unix_nano -= span.start_time_unix_nano % 1000
                span.end_time_unix_nano = span.start_time_unix_nano + duration
                span.flags &= 1
                for link in span.links:
                    link.flags = 0
                    link.trace_state = ""
                    kind = link.attributes.add(key="opentracing.ref_type")
                    kind.value.string_value = "follows_from"
                for event in span.events:
                    event.time_unix_nano -= event.time_unix_nano % 1000
                for holder in (span, *span.events):
                    for item in holder.attributes:
                        if item.value.HasField("array_value"):
                            text = values.text(values.plain(item.value))
                            item.value.string_value = text
    return told


def _plain(place: tuple[bytes, ...]) -> dict[str, Any]:
    span = MessageToDict(Span.FromString(place[4]))
    span["attributes"] = sorted(span.get("attributes", []), key=lambda item: item["key"])
    return span
