"""The stock Python exporters, and a whole recording, against a running collector."""

from __future__ import annotations

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.support.collector import running_collector
from tests.support.corpus import RECORDINGS, requests, truth


def edges(name: str) -> dict[tuple[str, str, str], int]:
    """True calls by (caller, callee, protocol)."""
    found: dict[tuple[str, str, str], int] = {}
    for text, calls in truth(name)["true_edges"].items():
        pair, how = text.split(" | ")
        source, target = pair.split(" -> ")
        key = (source, target, how.split()[0])
        found[key] = found.get(key, 0) + calls
    return found


@pytest.mark.parametrize("kind", ["http", "http gzip", "grpc"])
def test_a_stock_exporter_is_understood(kind: str) -> None:
    with running_collector() as collector:
        if kind == "grpc":
            exporter = GrpcExporter(endpoint=collector.otlp_grpc, insecure=True)
        else:
            compression = Compression.Gzip if "gzip" in kind else Compression.NoCompression
            exporter = HttpExporter(
                endpoint=f"http://{collector.otlp_http}/v1/traces", compression=compression
            )
        provider = TracerProvider(
            resource=Resource({"service.name": "stock"}), shutdown_on_exit=False
        )
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("t").start_as_current_span("outer", attributes={"n": 1}):
            provider.get_tracer("t").start_span("inner").end()
        provider.shutdown()
        collector.settle()
        (summary,) = collector.get("/api/v1/traces")["items"]
        trace = collector.get(f"/api/v1/traces/{summary['trace_id']}")
    assert [(s["service"], s["name"]) for s in trace["spans"]] == [
        ("stock", "outer"),
        ("stock", "inner"),
    ]
    assert trace["spans"][0]["attributes"] == {"n": 1}


def test_a_gzip_bomb_over_grpc_is_refused_and_the_door_stays_open() -> None:
    with (
        running_collector(max_request_bytes=100_000) as collector,
        grpc.insecure_channel(collector.otlp_grpc, compression=grpc.Compression.Gzip) as channel,
    ):
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        with pytest.raises(grpc.RpcError) as refused:
            export(b"\x00" * 5_000_000)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
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
