"""The Zipkin door: its API's answers, and what a real exporter sends through it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from tests.cli.test_cli import clear_line, strayline
from tests.formats.test_zipkin import WHOLE
from tests.support.collector import RunningCollector, collector_command

SPANS = "/api/v2/spans"


@pytest.fixture(scope="module")
def collector() -> Iterator[RunningCollector]:
    with collector_command("--zipkin", "127.0.0.1:0") as running:
        yield running


def post(collector: RunningCollector, content: Any, **headers: str) -> httpx.Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return httpx.post(
        f"http://{collector.zipkin}{SPANS}",
        content=body,
        headers={"content-type": "application/json", **headers},
        timeout=30,
    )


def test_spans_of_a_real_exporter_arrive_with_service_status_events_and_relations(
    collector: RunningCollector, recwarn: pytest.WarningsRecorder
) -> None:
    from opentelemetry.exporter.zipkin.json import ZipkinExporter

    exporter = ZipkinExporter(endpoint=f"http://{collector.zipkin}{SPANS}")
    recwarn.clear()  # OpenTelemetry calls the exporter deprecated
    provider = TracerProvider(
        resource=Resource({"service.name": "shop", "service.instance.id": "i-1"}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("lib", "2")
    with (
        tracer.start_as_current_span("GET /", kind=SpanKind.SERVER) as server,
        tracer.start_as_current_span(
            "charge", kind=SpanKind.CLIENT, attributes={"http.request.method": "POST", "n": 7}
        ) as client,
    ):
        client.add_event("retry", {"attempt": 2})
        client.set_status(Status(StatusCode.ERROR, "no room"))
    provider.shutdown()
    collector.settle()
    trace = collector.get(f"/api/v1/traces/{server.get_span_context().trace_id:032x}")
    root, child = trace["spans"]
    assert (root["name"], root["kind"], root["service"]) == ("GET /", "server", "shop")
    assert (child["name"], child["kind"], child["scope"]) == ("charge", "client", "lib")
    assert child["parent_span_id"] == root["span_id"]
    assert (child["status"], child["status_message"]) == ("error", "no room")
    assert child["attributes"]["n"] == "7"
    assert child["protocol"] == "http"
    assert [e["name"] for e in child["events"]] == ["retry"]
    assert child["resource"]["service.instance.id"] == "i-1"
    assert "service.instance.id" not in child["attributes"]


def test_a_client_and_a_server_of_one_id_both_count_and_a_retry_does_not(
    collector: RunningCollector,
) -> None:
    before = collector.get("/api/v1/status")["spans"]
    both = [
        WHOLE,
        {**WHOLE, "kind": "CLIENT", "shared": False, "localEndpoint": {"serviceName": "web"}},
    ]
    for _ in range(2):
        answer = post(
            collector, gzip.compress(json.dumps(both).encode()), **{"content-encoding": "gzip"}
        )
        assert (answer.status_code, answer.content) == (202, b"")
    collector.settle()
    assert collector.get("/api/v1/status")["spans"] == before + 2
    spans = collector.get(f"/api/v1/traces/{WHOLE['traceId']}")["spans"]
    assert sorted((s["kind"], s["service"]) for s in spans) == [
        ("client", "web"),
        ("server", "api"),
    ]


def test_answers_as_zipkin_gives_them(collector: RunningCollector) -> None:
    assert post(collector, []).status_code == 202  # how clients ask whether one is there
    refused = post(collector, [WHOLE, {**WHOLE, "traceId": "12"}])
    assert refused.status_code == 400
    assert refused.headers["content-type"].startswith("text/plain")
    assert refused.text.startswith("[1].traceId: expected 16 or 32 hex digits")
    assert post(collector, b"[{]").status_code == 400
    assert post(collector, {"spans": []}).status_code == 400
    assert post(collector, b"[" * 100_000).status_code == 400
    assert post(collector, b"no gzip", **{"content-encoding": "gzip"}).status_code == 400
    assert post(collector, b"", **{"content-encoding": "br"}).status_code == 400
    bomb = gzip.compress(b" " * (65 * 2**20))
    assert post(collector, bomb, **{"content-encoding": "gzip"}).status_code == 413
    assert post(collector, [], **{"content-type": "application/x-thrift"}).status_code == 415
    base = f"http://{collector.zipkin}"
    assert httpx.get(base + SPANS).status_code == 405
    assert "/api/v2/spans" in httpx.post(base + "/api/v1/spans").text
    assert httpx.post(base + "/v1/traces").status_code == 404


def test_the_door_is_shut_unless_asked_for_and_protected_like_the_others() -> None:
    doors = ("--otlp-http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--api", "127.0.0.1:0")
    clear_line(
        strayline("collector", "--db", ":memory:", *doors, "--zipkin", "0.0.0.0:0"),
        "--zipkin 0.0.0.0:0",
        "--insecure",
    )
    with collector_command() as collector:
        assert collector.zipkin == ""
    with collector_command("--zipkin", "127.0.0.1:0", "--token", "secret") as collector:
        assert post(collector, []).status_code == 401
        assert post(collector, [], authorization="Bearer secret").status_code == 202
