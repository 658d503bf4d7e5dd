"""Exporters that are refused or lose an answer send again: nothing is lost, nothing counts twice."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, set_span_in_context

from tests.support.collector import RunningCollector, running_collector
from tests.support.faults import full_disk, wait_for
from tests.support.lossy import Fate, lossy_grpc, lossy_http


@pytest.fixture(autouse=True)
def quiet_exporters() -> Iterator[None]:
    """Their warnings about what we do to them."""
    logger = logging.getLogger("opentelemetry.exporter")
    before, logger.disabled = logger.level, True
    logger.setLevel(logging.CRITICAL)
    yield
    logger.disabled = False
    logger.setLevel(before)


def exporter(protocol: str, address: str) -> SpanExporter:
    """The stock one."""
    if protocol == "grpc":
        return GrpcExporter(endpoint=address, insecure=True, timeout=20)
    compression = Compression.Gzip if "gzip" in protocol else Compression.NoCompression
    return HttpExporter(endpoint=f"http://{address}/v1/traces", compression=compression, timeout=20)


def call_spans() -> list[ReadableSpan]:
    """One call from ``shop`` to ``stock``: a client span and its server span."""
    kept = InMemorySpanExporter()
    sides: list[TracerProvider] = []
    for service in ("shop", "stock"):
        provider = TracerProvider(
            resource=Resource({"service.name": service}), shutdown_on_exit=False
        )
        provider.add_span_processor(SimpleSpanProcessor(kept))
        sides.append(provider)
    request = {"http.request.method": "GET", "server.address": "stock", "url.path": "/"}
    client = sides[0].get_tracer("t").start_span("GET", kind=SpanKind.CLIENT, attributes=request)
    server = sides[1].get_tracer("t").start_span(
        "GET /", set_span_in_context(client), kind=SpanKind.SERVER, attributes=request
    )  # fmt: skip
    server.end()
    client.end()
    return list(kept.get_finished_spans())


def counted(collector: RunningCollector) -> dict[str, Any]:
    """Everything that counts spans or calls."""
    collector.settle()
    traces = collector.get("/api/v1/traces")["items"]
    graph = collector.get("/api/v1/graph")
    services = collector.get("/api/v1/services")["items"]
    (step,) = collector.get("/api/v1/rates", steps=1)["points"]
    return {
        "status": collector.get("/api/v1/status")["spans"],
        "traces": [item["spans"] for item in traces],
        "trace": len(collector.get(f"/api/v1/traces/{traces[0]['trace_id']}")["spans"]),
        "calls": [edge["calls"] for edge in graph["edges"]],
        "services": {item["name"]: item["spans"] for item in services},
        "rates": (step["spans"], step["requests"]),
    }


ONCE = {
    "status": 2,
    "traces": [2],
    "trace": 2,
    "calls": [1],
    "services": {"shop": 1, "stock": 1},
    "rates": (2, 1),
}


@pytest.mark.parametrize(
    ("protocol", "fate"),
    [("http", "lose answer"), ("http gzip", "answer 503"), ("grpc", "lose answer")],
)
def test_a_lost_acknowledgement_makes_a_duplicate_that_counts_once(
    protocol: str, fate: Fate
) -> None:
    lossy_way = lossy_grpc if protocol == "grpc" else lossy_http
    with running_collector() as collector, lossy_way(collector.otlp_grpc if protocol == "grpc" else collector.otlp_http, fate) as lossy:  # fmt: skip
        sender = exporter(protocol, lossy.address)
        assert sender.export(call_spans()) is SpanExportResult.SUCCESS
        sender.shutdown()
        assert len(lossy.seen) == 2
        assert lossy.seen[0][1] == lossy.seen[1][1]
        assert counted(collector) == ONCE


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_collector_without_room_is_asked_again_and_the_data_arrives_once(
    tmp_path: Path, protocol: str
) -> None:
    with running_collector(tmp_path / "s.duckdb") as collector:
        sender = exporter(
            protocol, collector.otlp_grpc if protocol == "grpc" else collector.otlp_http
        )
        results: list[SpanExportResult] = []
        spans = call_spans()
        thread = threading.Thread(target=lambda: results.append(sender.export(spans)))
        with full_disk(collector.process):
            thread.start()
            wait_for(lambda: _not_ready(collector))
        thread.join(30)
        sender.shutdown()
        assert results == [SpanExportResult.SUCCESS]
        assert counted(collector) == ONCE


def _not_ready(collector: RunningCollector) -> bool:
    return httpx.get(f"http://{collector.api}/ready").status_code == 503
