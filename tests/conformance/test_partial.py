"""What is refused of a request, alone and with a reason, and what is kept though it looks odd."""

from __future__ import annotations

import json

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.support.collector import RunningCollector
from tests.support.otlp import JSON, PROTOBUF, new_trace, request, trace_id

BAD_IDS = [
    (b"", b"\x01" * 8, "trace_id"),
    (b"\x00" * 16, b"\x01" * 8, "trace_id"),
    (b"\x01" * 15, b"\x01" * 8, "trace_id"),
    (b"\x01" * 17, b"\x01" * 8, "trace_id"),
    (b"\x01" * 16, b"", "span_id"),
    (b"\x01" * 16, b"\x00" * 8, "span_id"),
    (b"\x01" * 16, b"\x01" * 7, "span_id"),
    (b"\x01" * 16, b"\x01" * 16, "span_id"),
]


@pytest.mark.parametrize(("bad_trace", "bad_span", "rule"), BAD_IDS)
def test_a_span_with_a_bad_id_is_refused_alone(
    client: httpx.Client,
    collector: RunningCollector,
    bad_trace: bytes,
    bad_span: bytes,
    rule: str,
) -> None:
    number = new_trace()
    mixed = request(number, spans=2)
    spans = mixed.resource_spans[0].scope_spans[0].spans
    bad = spans.add(name="bad", trace_id=bad_trace, span_id=bad_span)
    spans.insert(1, bad)
    spans.pop()
    rejected_before = collector.get("/api/v1/status")["ingest"]["rejected_spans"]
    answer = client.post("/v1/traces", content=mixed.SerializeToString(), headers=PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_spans) == (200, 1)
    assert rule in partial.error_message
    assert partial.error_message.isascii()
    collector.settle()
    assert len(collector.get(f"/api/v1/traces/{trace_id(number)}")["spans"]) == 2
    assert collector.get("/api/v1/status")["ingest"]["rejected_spans"] == rejected_before + 1


@pytest.mark.parametrize(
    ("trace", "span"),
    [("xyz", "00" * 7 + "01"), ("0" * 32, "00" * 7 + "01"), ("ab" * 8, "00" * 7 + "01"),
     ("ab" * 16, "12345"), ("", ""), ("ab" * 16, "AAAAAAAAAAE=")],
)  # fmt: skip
def test_in_json_too(client: httpx.Client, trace: str, span: str) -> None:
    document = {
        "resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": trace, "spanId": span}]}]}]
    }
    answer = client.post("/v1/traces", content=json.dumps(document), headers=JSON)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "1"
    assert "trace_id" in partial["errorMessage"]


def test_a_request_of_nothing_sound_is_a_partial_success_of_none(client: httpx.Client) -> None:
    bad = request(spans=3)
    for span in bad.resource_spans[0].scope_spans[0].spans:
        span.trace_id = b"\x00" * 16
    answer = client.post("/v1/traces", content=bad.SerializeToString(), headers=PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_spans) == (200, 3)


def test_an_end_before_its_start_is_kept_and_flagged(
    client: httpx.Client, collector: RunningCollector
) -> None:
    number = new_trace()
    odd = request(number)
    (span,) = odd.resource_spans[0].scope_spans[0].spans
    span.end_time_unix_nano = span.start_time_unix_nano - 5
    answer = client.post("/v1/traces", content=odd.SerializeToString(), headers=PROTOBUF)
    assert (answer.status_code, answer.content) == (200, b"")
    collector.settle()
    (kept,) = collector.get(f"/api/v1/traces/{trace_id(number)}")["spans"]
    assert kept["start_unix_nano"] == span.start_time_unix_nano
    assert kept["end_unix_nano"] == span.end_time_unix_nano
    assert kept["ends_before_start"] is True


@pytest.mark.parametrize("start", [0, 1, 2**63, 2**64 - 1])
def test_times_beyond_reason_are_kept_and_asked_for_without_harm(
    client: httpx.Client, collector: RunningCollector, start: int
) -> None:
    number = new_trace()
    odd = request(number)
    (span,) = odd.resource_spans[0].scope_spans[0].spans
    span.start_time_unix_nano = span.end_time_unix_nano = start
    assert client.post("/v1/traces", content=odd.SerializeToString(), headers=PROTOBUF).content == b""  # fmt: skip
    collector.settle()
    assert len(collector.get(f"/api/v1/traces/{trace_id(number)}")["spans"]) == 1


@pytest.mark.parametrize("headers", [PROTOBUF, JSON], ids=["protobuf", "json"])
@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics", "/v1/logs"])
def test_an_empty_request_succeeds(
    client: httpx.Client, headers: dict[str, str], path: str
) -> None:
    answer = client.post(path, content=b"{}" if headers is JSON else b"", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, headers["content-type"])


def test_resources_and_scopes_without_spans_succeed(client: httpx.Client) -> None:
    empty = request()
    del empty.resource_spans[0].scope_spans[0].spans[:]
    empty.resource_spans.add()
    answer = client.post("/v1/traces", content=empty.SerializeToString(), headers=PROTOBUF)
    assert (answer.status_code, answer.content) == (200, b"")
