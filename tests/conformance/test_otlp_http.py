"""OTLP/HTTP as OTLP 1.11 demands it, against a running collector."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import httpx
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.collector import RunningCollector, running_collector

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def collector() -> Iterator[RunningCollector]:
    with running_collector(max_request_bytes=1_000_000) as running:
        yield running


@pytest.fixture
def client(collector: RunningCollector) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{collector.otlp_http}") as found:
        yield found


def request(
    name: str = "a", trace_id: bytes = b"\x01" * 16, span_id: bytes = b"\x02" * 8
) -> ExportTraceServiceRequest:
    found = ExportTraceServiceRequest()
    found.resource_spans.add().scope_spans.add().spans.add(
        name=name, trace_id=trace_id, span_id=span_id, start_time_unix_nano=1, end_time_unix_nano=2
    )
    return found


def test_protobuf_plain_and_gzipped_of_several_members(client: httpx.Client) -> None:
    body = request().SerializeToString()
    half = len(body) // 2
    members = gzip.compress(body[:half]) + gzip.compress(body[half:])
    for content, headers in (
        (body, PROTOBUF),
        (gzip.compress(body), {**PROTOBUF, "content-encoding": "gzip"}),
        (members, {**PROTOBUF, "content-encoding": "gzip"}),
    ):
        answer = client.post("/v1/traces", content=content, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/x-protobuf"
        assert not ExportTraceServiceResponse.FromString(answer.content).HasField("partial_success")


def test_json_with_upper_case_hex_strings_and_unknown_fields(
    client: httpx.Client, collector: RunningCollector
) -> None:
    trace_id = "AB" * 16
    document = {"resourceSpans": [{"futureField": 1, "scopeSpans": [{"spans": [
        {"traceId": trace_id, "spanId": "cd" * 8, "name": "json", "kind": 2, "startTimeUnixNano": "1700000000000000001", "endTimeUnixNano": 1700000000000000002,
         "attributes": [{"key": "b", "value": {"bytesValue": "AQI="}}]}]}]}]}  # fmt: skip
    answer = client.post("/v1/traces", content=json.dumps(document), headers=JSON)
    assert (answer.status_code, answer.headers["content-type"], answer.json()) == (
        200,
        "application/json",
        {},
    )
    collector.settle()
    (span,) = collector.get(f"/api/v1/traces/{trace_id.lower()}")["spans"]
    assert (span["name"], span["kind"], span["start_unix_nano"]) == (
        "json",
        "server",
        1700000000000000001,
    )
    assert span["attributes"] == {"b": {"bytesValue": "AQI="}}


def test_chunked_bodies_are_read(client: httpx.Client) -> None:
    body = request().SerializeToString()
    answer = client.post("/v1/traces", content=iter([body[:5], body[5:]]), headers=PROTOBUF)
    assert answer.status_code == 200


def test_a_span_with_a_bad_id_is_refused_alone(client: httpx.Client) -> None:
    mixed = request()
    mixed.MergeFrom(request(trace_id=b"\x00" * 16))
    answer = client.post("/v1/traces", content=mixed.SerializeToString(), headers=PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_spans) == (200, 1)
    assert "trace_id" in partial.error_message


@pytest.mark.parametrize(
    ("content", "headers", "code"),
    [
        (b"\xff\xff\xff", PROTOBUF, 400),
        (b"{", JSON, 400),
        (b"[]", JSON, 400),
        (b"not gzip", {**PROTOBUF, "content-encoding": "gzip"}, 400),
        (gzip.compress(b"x" * 50)[:-6], {**PROTOBUF, "content-encoding": "gzip"}, 400),
        (gzip.compress(b"\x00" * 5_000_000), {**PROTOBUF, "content-encoding": "gzip"}, 413),
        (b"x" * 1_000_001, PROTOBUF, 413),
        (b"", {"content-type": "text/plain"}, 415),
    ],
    ids=[
        "no protobuf",
        "no JSON",
        "no object",
        "no gzip",
        "truncated gzip",
        "bomb",
        "too large",
        "content type",
    ],
)
def test_every_error_is_a_status_in_the_requests_encoding(
    client: httpx.Client, content: bytes, headers: dict[str, str], code: int
) -> None:
    answer = client.post("/v1/traces", content=content, headers=headers)
    assert answer.status_code == code
    if headers["content-type"] == PROTOBUF["content-type"]:
        assert Status.FromString(answer.content).message
    else:
        assert answer.json()["message"]


def test_other_methods_and_paths(client: httpx.Client) -> None:
    assert client.get("/v1/traces").status_code == 405
    assert client.post("/v1/nonsense", headers=JSON, content=b"{}").status_code == 404


def test_metrics_and_logs_are_accepted_with_a_word_and_an_empty_request_succeeds(
    client: httpx.Client,
) -> None:
    for path in ("/v1/metrics", "/v1/logs"):
        answer = client.post(path, content=b"{}", headers=JSON)
        assert answer.status_code == 200
        assert "traces only" in answer.json()["partialSuccess"]["errorMessage"]
    assert client.post("/v1/traces", content=b"", headers=PROTOBUF).status_code == 200
