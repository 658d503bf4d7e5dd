"""Zipkin's v2 JSON: what each of its fields becomes."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from strayline_collector.decode import values
from strayline_collector.errors import BadInput
from strayline_collector.formats.zipkin import zipkin_to_otlp

WHOLE: dict[str, Any] = {
    "traceId": "5982fe77008310cc80f1da5e10147517",
    "parentId": "90394f6bcffb5d13",
    "id": "67fae42571535f60",
    "kind": "SERVER",
    "name": "/m/n/2.6.1",
    "timestamp": 1516781775726000,
    "duration": 26000,
    "localEndpoint": {"serviceName": "api", "ipv4": "10.57.50.83", "ipv6": "::1", "port": 8081},
    "remoteEndpoint": {"serviceName": "apip", "ipv6": "2001:db8::c001", "port": 39588},
    "debug": True,
    "shared": True,
    "annotations": [
        {"timestamp": 1516781775727000, "value": "cache.miss"},
        {"timestamp": 1516781775728000, "value": '{"retry": {"attempt": 2}}'},
        {"timestamp": 1516781775729000, "value": '"exception": {"exception.type": "E"}'},
        {"timestamp": 1516781775730000, "value": "odd {text}"},
    ],
    "tags": {
        "http.status_code": "500",
        "host.name": "h",
        "service.peer.name": "me",
        "otel.scope.name": "lib",
        "otel.library.name": "lib",
        "otel.scope.version": "2",
        "error": "no room",
    },
}


def converted(**changes: Any) -> Span:
    told = {k: v for k, v in (WHOLE | changes).items() if v is not ...}
    return zipkin_to_otlp([told]).resource_spans[0].scope_spans[0].spans[0]


def test_every_field_has_its_place() -> None:
    (resource,) = zipkin_to_otlp([WHOLE]).resource_spans
    assert values.attributes(resource.resource.attributes) == {
        "host.name": "h",
        "service.name": "api",
    }
    (scope,) = resource.scope_spans
    assert (scope.scope.name, scope.scope.version) == ("lib", "2")
    (span,) = scope.spans
    assert span.trace_id.hex() == "5982fe77008310cc80f1da5e10147517"
    assert (span.parent_span_id.hex(), span.span_id.hex()) == (WHOLE["parentId"], WHOLE["id"])
    assert (span.kind, span.name) == (Span.SPAN_KIND_SERVER, "/m/n/2.6.1")
    assert span.start_time_unix_nano == 1516781775726000000
    assert span.end_time_unix_nano == 1516781775752000000
    assert (span.status.code, span.status.message) == (2, "no room")
    assert values.attributes(span.attributes) == {
        "network.local.address": "10.57.50.83",
        "network.local.port": 8081,
        "network.peer.address": "2001:db8::c001",
        "network.peer.port": 39588,
        "peer.service": "apip",
        "zipkin.debug": True,
        "zipkin.shared": True,
        "http.status_code": "500",
        "service.peer.name": "me",
        "error": "no room",
    }
    assert [(e.name, values.attributes(e.attributes)) for e in span.events] == [
        ("cache.miss", {}),
        ("retry", {"attempt": 2}),
        ("exception", {"exception.type": "E"}),
        ("odd {text}", {}),
    ]
    assert span.events[0].time_unix_nano == 1516781775727000000


def test_short_trace_ids_are_padded_and_kinds_told_apart() -> None:
    short = converted(traceId="80F1DA5E10147517")
    assert short.trace_id.hex() == "000000000000000080f1da5e10147517"
    kinds = [converted(kind=kind).kind for kind in ("CLIENT", "PRODUCER", "CONSUMER", None, ...)]
    assert kinds == [3, 4, 5, 1, 1]


@pytest.mark.parametrize(
    ("tags", "status", "message", "left"),
    [
        ({}, 0, "", {}),
        ({"error": "true"}, 2, "", {}),
        ({"error": ""}, 2, "", {}),
        ({"error": "false"}, 0, "", {"error": "false"}),
        ({"otel.status_code": "OK", "error": "seen"}, 1, "", {"error": "seen"}),
        ({"otel.status_code": "ERROR", "error": "no room"}, 2, "no room", {}),
        (
            {"otel.status_code": "ERROR", "otel.status_description": "x", "error": "E"},
            2,
            "x",
            {"error": "E"},
        ),
    ],
)
def test_status_comes_from_tags(
    tags: dict[str, str], status: int, message: str, left: dict[str, str]
) -> None:
    span = converted(tags=tags, localEndpoint=..., remoteEndpoint=None, debug=False, shared=...)
    assert (span.status.code, span.status.message) == (status, message)
    assert values.attributes(span.attributes) == left


def test_a_span_without_its_start_begins_with_its_first_annotation() -> None:
    span = converted(timestamp=..., duration=None)
    assert span.start_time_unix_nano == span.end_time_unix_nano == 1516781775727000000


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"traceId": ...}, "[0].traceId: expected 16 or 32 hex digits"),
        ({"traceId": "1"}, "[0].traceId: expected 16 or 32 hex digits, not '1'"),
        ({"traceId": "0" * 32}, "[0].traceId: must not be all zero"),
        ({"id": "x" * 16}, "[0].id: expected up to 16 hex digits"),
        ({"parentId": 7}, "[0].parentId"),
        ({"kind": "SENDER"}, "[0].kind: expected CLIENT"),
        ({"timestamp": -1}, "[0].timestamp: expected microseconds, not -1"),
        ({"duration": "long"}, "[0].duration"),
        ({"tags": {"a": {}}}, "[0].tags.a: expected a string"),
        ({"tags": []}, None),
        ({"localEndpoint": "api"}, "[0].localEndpoint: expected an object"),
        ({"remoteEndpoint": {"port": 70000}}, "[0].remoteEndpoint.port"),
        ({"annotations": [{"value": 1}]}, "[0].annotations[0].value"),
    ],
)
def test_what_is_not_as_zipkin_writes_it_is_named(
    changes: dict[str, Any], says: str | None
) -> None:
    if says is None:
        converted(**changes)
        return
    with pytest.raises(BadInput) as error:
        converted(**changes)
    assert str(error.value).startswith(says)


def test_only_a_list_is_a_document() -> None:
    with pytest.raises(BadInput, match="expected a list"):
        zipkin_to_otlp({"spans": []})
