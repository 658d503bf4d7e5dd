"""OTLP/gRPC: the three services, sizes, encodings, and what each refusal carries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.support.collector import RunningCollector, running_collector
from tests.support.faults import full_disk
from tests.support.otlp import EXPORT, body, new_trace, request, trace_id


@pytest.fixture
def channel(collector: RunningCollector) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(collector.otlp_grpc) as found:
        yield found


def refusal(channel: grpc.Channel, content: bytes, method: str = EXPORT) -> Any:
    """The error that an export ends with."""
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(method)(content, timeout=30)
    return refused.value


def details(error: Any) -> Status:
    """The ``google.rpc.Status`` of a refusal; empty when it carries none."""
    found = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    return Status.FromString(found)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_request_is_taken_plain_and_zipped(
    collector: RunningCollector, compression: grpc.Compression
) -> None:
    number = new_trace()
    with grpc.insecure_channel(collector.otlp_grpc, compression=compression) as channel:
        answer = channel.unary_unary(EXPORT)(body(number, spans=4))
    assert ExportTraceServiceResponse.FromString(answer) == ExportTraceServiceResponse()
    collector.settle()
    assert len(collector.get(f"/api/v1/traces/{trace_id(number)}")["spans"]) == 4


def test_an_empty_request_succeeds(channel: grpc.Channel) -> None:
    assert channel.unary_unary(EXPORT)(b"") == b""


def test_one_bad_id_is_refused_alone_and_said(
    channel: grpc.Channel, collector: RunningCollector
) -> None:
    number = new_trace()
    mixed = request(number)
    mixed.resource_spans[0].scope_spans[0].spans.add(trace_id=b"\x01" * 15, span_id=b"\x01" * 8)
    answer = ExportTraceServiceResponse.FromString(
        channel.unary_unary(EXPORT)(mixed.SerializeToString())
    )
    assert answer.partial_success.rejected_spans == 1
    assert "trace_id" in answer.partial_success.error_message
    collector.settle()
    assert len(collector.get(f"/api/v1/traces/{trace_id(number)}")["spans"]) == 1


@pytest.mark.parametrize(
    "content", [b"\xff\xff", b"\x0a\x7f", body()[:-1]], ids=["tag", "length", "cut_short"]
)
def test_what_cannot_be_decoded_is_invalid_argument(channel: grpc.Channel, content: bytes) -> None:
    error = refusal(channel, content)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details()
    assert details(error).code in (Code.INVALID_ARGUMENT, 0)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_what_is_too_large_is_resource_exhausted_and_not_to_be_sent_again(
    small_collector: RunningCollector, compression: grpc.Compression
) -> None:
    with grpc.insecure_channel(small_collector.otlp_grpc, compression=compression) as channel:
        error = refusal(channel, body(filler=1_000_000))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not details(error).details
        assert "google.rpc.retryinfo-bin" not in dict(error.trailing_metadata() or ())
        assert channel.unary_unary(EXPORT)(body(filler=990_000)) == b""


def test_overload_is_unavailable_and_says_when_to_come_back(tmp_path: Path) -> None:
    with (
        running_collector(tmp_path / "s.duckdb") as collector,
        grpc.insecure_channel(collector.otlp_grpc) as channel,
    ):
        with full_disk(collector.process):
            error = refusal(channel, body())
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            (packed,) = details(error).details
            retry = RetryInfo()
            assert packed.Unpack(retry)
            assert 1 <= retry.retry_delay.seconds <= 30
        assert channel.unary_unary(EXPORT)(body()) == b""


def test_metrics_and_logs_are_taken_counted_and_not_kept(channel: grpc.Channel) -> None:
    metrics = ExportMetricsServiceRequest()
    metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="m").gauge.data_points.add()
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add().body.string_value = "a line"
    for name, sent, kind in (
        ("metrics.v1.MetricsService", metrics, ExportMetricsServiceResponse),
        ("logs.v1.LogsService", logs, ExportLogsServiceResponse),
    ):
        export = channel.unary_unary(f"/opentelemetry.proto.collector.{name}/Export")
        answer = kind.FromString(export(sent.SerializeToString()))
        # nothing refused: a warning, which SDKs do not count as a loss
        assert answer.partial_success.error_message
        assert not answer.partial_success.ListFields()[1:]


@pytest.mark.parametrize(
    "method",
    [
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
        "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
        "/x/y",
    ],
)
def test_other_services_and_methods_are_unimplemented(channel: grpc.Channel, method: str) -> None:
    assert refusal(channel, b"", method).code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_deadline_that_has_passed_harms_nobody_else(channel: grpc.Channel) -> None:
    for timeout in (0.000_01, 0.001, 0.003):
        with suppress(grpc.RpcError):
            channel.unary_unary(EXPORT)(body(spans=1000), timeout=timeout)
    assert channel.unary_unary(EXPORT)(body()) == b""


def test_the_limit_of_an_untouched_collector_is_64_mib(collector: RunningCollector) -> None:
    with grpc.insecure_channel(
        collector.otlp_grpc, options=(("grpc.max_send_message_length", -1),)
    ) as channel:
        error = refusal(channel, body(filler=64 * 1024 * 1024))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
