"""The stock Python exporters, and a whole recording, against a running collector."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable
from typing import Final

import grpc
import httpx
import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.common.http import Compression as JsonCompression
from opentelemetry.exporter.otlp.json.http._log_exporter import OTLPLogExporter as JsonLogs
from opentelemetry.exporter.otlp.json.http.metric_exporter import OTLPMetricExporter as JsonMetrics
from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter as JsonExporter
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from tests.support.collector import RunningCollector, running_collector
from tests.support.corpus import RECORDINGS, requests, truth
from tests.support.faults import peak_mib, resident_mib


def edges(name: str) -> dict[tuple[str, str, str], int]:
    """True calls by (caller, callee, protocol)."""
    found: dict[tuple[str, str, str], int] = {}
    for text, calls in truth(name)["true_edges"].items():
        pair, how = text.split(" | ")
        source, target = pair.split(" -> ")
        key = (source, target, how.split()[0])
        found[key] = found.get(key, 0) + calls
    return found


STOCK: Final[dict[str, Callable[[RunningCollector], SpanExporter]]] = {
    "http": lambda at: HttpExporter(endpoint=f"http://{at.otlp_http}/v1/traces"),
    "http gzip": lambda at: HttpExporter(
        endpoint=f"http://{at.otlp_http}/v1/traces", compression=Compression.Gzip
    ),
    "grpc": lambda at: GrpcExporter(endpoint=at.otlp_grpc, insecure=True),
    "grpc gzip": lambda at: GrpcExporter(
        endpoint=at.otlp_grpc, insecure=True, compression=grpc.Compression.Gzip
    ),
    "json": lambda at: JsonExporter(endpoint=f"http://{at.otlp_http}/v1/traces"),
    "json gzip": lambda at: JsonExporter(
        endpoint=f"http://{at.otlp_http}/v1/traces", compression=JsonCompression.GZIP
    ),
}


@pytest.mark.parametrize("kind", STOCK)
def test_a_stock_exporter_is_understood(collector: RunningCollector, kind: str) -> None:
    provider = TracerProvider(resource=Resource({"service.name": kind}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(STOCK[kind](collector)))
    tracer = provider.get_tracer("t")
    said = {"n": 1, "text": "ü", "half": 0.5, "yes": True, "list": ["a", "b"], "most": 2**63 - 1}
    with tracer.start_as_current_span("outer", attributes=said) as outer:
        outer.add_event("happened", {"n": 2})
        tracer.start_span("inner", kind=SpanKind.CLIENT, links=[Link(outer.get_span_context())]).end()  # fmt: skip
        outer.set_status(Status(StatusCode.ERROR, "broken"))
    provider.shutdown()
    collector.settle()
    trace_id = f"{outer.get_span_context().trace_id:032x}"
    first, second = collector.get(f"/api/v1/traces/{trace_id}")["spans"]
    assert (first["service"], first["name"], first["kind"]) == (kind, "outer", "internal")
    assert (first["attributes"], first["status"]) == (said, "error")
    assert first["status_message"] == "broken"
    assert [(event["name"], event["attributes"]) for event in first["events"]] == [("happened", {"n": 2})]  # fmt: skip
    assert (second["name"], second["kind"]) == ("inner", "client")
    assert second["parent_span_id"] == first["span_id"] == second["links"][0]["span_id"]


@pytest.mark.parametrize("kind", ["http", "grpc", "json"])
def test_stock_exporters_of_metrics_and_logs_log_no_error(
    collector: RunningCollector, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What is not kept is accepted: an SDK that sends all three signals goes on in silence."""
    if kind == "grpc":
        measures = GrpcMetrics(endpoint=collector.otlp_grpc, insecure=True)
        lines = GrpcLogs(endpoint=collector.otlp_grpc, insecure=True)
    else:
        metrics, logs = (HttpMetrics, HttpLogs) if kind == "http" else (JsonMetrics, JsonLogs)
        measures = metrics(endpoint=f"http://{collector.otlp_http}/v1/metrics")
        lines = logs(endpoint=f"http://{collector.otlp_http}/v1/logs")
    before = _others(collector)
    reader = PeriodicExportingMetricReader(measures, export_interval_millis=math.inf)
    meters = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    meters.get_meter("t").create_counter("orders").add(3)
    loggers = LoggerProvider(shutdown_on_exit=False)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(lines))
    loggers.get_logger("t").emit(LogRecord(body="a line", severity_number=SeverityNumber.ERROR))
    assert meters.force_flush()
    loggers.shutdown()
    meters.shutdown()
    errors = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert [r.getMessage() for r in errors if r.name.startswith("opentelemetry")] == []
    metrics_before, logs_before = before
    metrics_after, logs_after = _others(collector)
    assert metrics_after > metrics_before
    assert logs_after == logs_before + 1


def _others(collector: RunningCollector) -> tuple[int, int]:
    """Requests of metrics and of logs so far."""
    text = httpx.get(f"http://{collector.api}/metrics").text
    counts = [re.search(rf"^strayline_{what}_requests_total (\d+)$", text, re.MULTILINE) for what in ("metrics", "logs")]  # fmt: skip
    assert counts[0] is not None
    assert counts[1] is not None
    return int(counts[0][1]), int(counts[1][1])


def test_a_gzip_bomb_over_grpc_is_refused_and_the_door_stays_open() -> None:
    """And is not unfolded: 100 MB of nothing come in 100 kB."""
    with (
        running_collector(max_request_bytes=100_000) as collector,
        grpc.insecure_channel(collector.otlp_grpc, options=[("grpc.max_send_message_length", -1)], compression=grpc.Compression.Gzip) as channel,
    ):  # fmt: skip
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        assert export(b"") == b""
        before = resident_mib(collector.process)
        with pytest.raises(grpc.RpcError) as refused:
            export(b"\x00" * 100_000_000)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert peak_mib(collector.process) - before < 50
        with pytest.raises(grpc.RpcError) as undecodable:
            export(b"\xff\xff")
        assert undecodable.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert export(b"") == b""


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_replayed_twice_shows_the_true_system(name: str) -> None:
    with running_collector() as collector:
        collector.replay(name)
        with grpc.insecure_channel(collector.otlp_grpc) as channel:
            export = channel.unary_unary(
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
            )
            for body in reversed(requests(name)):
                export(body)
        collector.settle()
        assert collector.get("/api/v1/status")["spans"] == truth(name)["spans"]
        graph = collector.get("/api/v1/graph", level="service")
    found = {
        (e["source"].partition(":")[2], e["target"].partition(":")[2], e["protocol"]): e["calls"]
        for e in graph["edges"]
    }
    assert found == edges(name)
    assert {node["kind"] for node in graph["nodes"]} == {"service"}
