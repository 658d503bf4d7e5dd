"""Forwarding: everything acknowledged reaches the other backend, whatever happens to it, and never
makes a sender wait."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline_collector.errors import UsageError
from strayline_collector.formats.otlp_json import protobuf_to_document
from strayline_collector.receive import forward
from strayline_collector.receive.forward import Forwarder
from strayline_collector.settings import CollectorSettings, parse_address, parse_forward
from tests.cli.test_cli import clear_line, strayline
from tests.formats.test_round_trip import one_span
from tests.formats.test_zipkin import WHOLE
from tests.support.collector import RunningCollector, collector_command
from tests.support.corpus import requests, truth
from tests.support.otlp import EXPORT
from tests.support.sink import Sink, running_sink


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def until(true: Callable[[], object], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def send(collector: RunningCollector, bodies: list[bytes]) -> None:
    with httpx.Client(base_url=f"http://{collector.otlp_http}", timeout=30) as client:
        for body in bodies:
            answer = client.post(
                "/v1/traces", content=body, headers={"content-type": "application/x-protobuf"}
            )
            assert answer.status_code == 200, answer.text


def spans_in(collector: RunningCollector) -> int:
    return collector.get("/api/v1/status")["spans"]


def test_a_backend_that_is_killed_and_comes_back_misses_nothing(tmp_path: Path) -> None:
    """The backend is a collector of its own, over TCP; each span counts there once."""
    bodies, whole = requests("b_misroute"), truth("b_misroute")["spans"]
    third = len(bodies) // 3
    port = free_port()
    backend_doors = ("--db", str(tmp_path / "b.duckdb"), "--otlp-http", f"127.0.0.1:{port}")
    with collector_command(
        "--db", str(tmp_path / "a.duckdb"), "--forward", f"http://127.0.0.1:{port}"
    ) as ours:
        with collector_command(*backend_doors) as backend:
            send(ours, bodies[:third])
            until(lambda: spans_in(backend) > 0)
            backend.kill()
        send(ours, bodies[third : 2 * third])
        ours.settle()
        assert spans_in(ours) > 0
        with collector_command(*backend_doors) as backend:
            send(ours, bodies[2 * third :])
            ours.settle()
            until(lambda: spans_in(backend) == whole)
            assert spans_in(ours) == whole
            backend.settle()
            assert [f["count"] for f in backend.findings()] == [10]


def test_a_backend_that_never_answers_holds_nobody_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # accepts by the kernel, reads nothing
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with collector_command("--db", str(tmp_path / "a.duckdb"), "--forward", url) as ours:
            bodies = requests("b_misroute")
            begun = time.monotonic()
            send(ours, bodies)
            assert time.monotonic() - begun < 20
            ours.settle()
            assert spans_in(ours) == truth("b_misroute")["spans"]
            begun = time.monotonic()
            ours.terminate()
            assert time.monotonic() - begun < 15


def test_what_a_stopped_collector_had_not_passed_on_its_next_start_does(tmp_path: Path) -> None:
    db = ("--db", str(tmp_path / "a.duckdb"))
    bodies = requests("b_misroute")
    port = free_port()
    with collector_command(*db, "--forward", f"http://127.0.0.1:{port}") as ours:
        send(ours, bodies)
        ours.terminate()
    with running_sink(port) as sink:
        with collector_command(*db, "--forward", sink.endpoint) as ours:
            sink.wait_for(lambda _: _distinct(sink) == truth("b_misroute")["spans"])
            ours.terminate()
        sink.clear()
        with collector_command(*db, "--forward", sink.endpoint) as ours:
            send(ours, [one_span(name="later").SerializeToString()])
            sink.wait_for(lambda spans: spans)
            assert [span.name for span in sink.spans()] == ["later"]


def _distinct(sink: Sink) -> int:
    return len({(span.trace_id, span.span_id, span.kind) for span in sink.spans()})


def spans(count: int, first: int = 0) -> list[bytes]:
    return [
        one_span(span_id=number.to_bytes(8, "big"), name=f"s{number}").SerializeToString()
        for number in range(first + 1, first + count + 1)
    ]


def run(
    sink: Sink, tmp_path: Path | None, drive: Callable[[Forwarder], None], **headers: str
) -> Forwarder:
    """A forwarder on a loop of its own, driven from a thread."""

    async def main() -> Forwarder:
        forwarder = Forwarder(parse_forward(sink.endpoint, ()).url, headers, tmp_path)
        forwarder.start()
        loop = asyncio.get_running_loop()
        offer = forwarder.offer
        forwarder.offer = lambda body: loop.call_soon_threadsafe(offer, body)  # type: ignore[method-assign, assignment]
        await asyncio.to_thread(drive, forwarder)
        await forwarder.close()
        return forwarder

    return asyncio.run(main())


def outcomes(forwarder: Forwarder) -> dict[str, float]:
    requests_total = forwarder.metrics()[0]
    names = ("sent", "refused", "dropped")
    found = {name: requests_total.value(name) for name in names}  # type: ignore[attr-defined]
    return {name: count for name, count in found.items() if count}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "FIRST_WAIT_S", 0.02)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_the_protocol_calls_retryable_is_tried_again_after_the_time_told(status: int) -> None:
    with running_sink() as sink:
        sink.status, sink.answer_headers = status, {"retry-after": "1"}

        def drive(forwarder: Forwarder) -> None:
            begun = time.monotonic()
            forwarder.offer(spans(1)[0])
            until(lambda: sink.refused == 2)
            assert time.monotonic() - begun > 1
            sink.status = 200
            sink.wait_for(lambda found: found)

        forwarder = run(sink, None, drive, **{"x-key": "k"})
        assert outcomes(forwarder) == {"sent": 1}
        assert sink.headers[0]["x-key"] == "k"


def test_anything_else_is_not_tried_again_and_costs_only_what_it_was_said_of() -> None:
    """The backend refuses whatever holds one of eight requests: its neighbours get through."""
    took: list[bytes] = []

    class Picky(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            took.append(body)
            self.send_response(400 if b"s5" in body else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Picky) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        sink = Sink(endpoint=f"http://127.0.0.1:{server.server_address[1]}")

        def drive(forwarder: Forwarder) -> None:
            for body in spans(8):
                forwarder.offer(body)
            until(lambda: sum(outcomes(forwarder).values()) == 8)

        assert outcomes(run(sink, None, drive)) == {"sent": 7, "refused": 1}
        server.shutdown()
        thread.join()
    assert len(took) <= 9


def test_beyond_memory_requests_wait_on_disk_and_without_a_disk_they_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "MEMORY_BYTES", 1000)
    for spool in (tmp_path / "spool", None):
        with running_sink() as sink:
            sink.status = 503

            def drive(forwarder: Forwarder, sink: Sink = sink, spool: Path | None = spool) -> None:
                for body in spans(200):
                    forwarder.offer(body)
                until(lambda: forwarder.waiting_bytes() > (5000 if spool else 800))
                if spool is None:
                    until(lambda: outcomes(forwarder).get("dropped"))
                sink.status = 200
                until(lambda: sum(outcomes(forwarder).values()) == 200)

            forwarder = run(sink, spool, drive)
            told = outcomes(forwarder)
            assert len(sink.spans()) == told["sent"]
            assert told.get("dropped", 0) == (0 if spool else 200 - told["sent"])


@pytest.mark.parametrize(
    ("url", "goes_to"),
    [
        ("http://b:4318", "http://b:4318/v1/traces"),
        ("https://b/otlp/", "https://b/otlp/v1/traces"),
        ("http://[::1]:4318/v1/traces", "http://[::1]:4318/v1/traces"),
    ],
)
def test_where_traces_go(url: str, goes_to: str) -> None:
    assert parse_forward(url, ()).url == goes_to


def test_urls_and_headers_that_cannot_be_and_a_collector_that_would_forward_to_itself() -> None:
    for url in ("b:4318", "grpc://b:4317", "http://", "http://b:99999", "http://b?x=1", "http://["):
        with pytest.raises(UsageError, match="--forward "):
            parse_forward(url, ())
    for header in ("noequals", "bad name=x", "a=x\ny", "=x"):
        with pytest.raises(UsageError, match="--forward-header"):
            parse_forward("http://b", (header,))
    assert str(parse_forward("https://me:secret@b/x", ())) == "https://b/x/v1/traces"
    assert parse_forward("http://b", ("a = b=c:d",)).headers == (("a", "b=c:d"),)
    for url in ("http://localhost:4318", "http://127.0.0.1:4318/v1/traces"):
        with pytest.raises(UsageError, match="come round again"):
            CollectorSettings(forward=parse_forward(url, ())).check()
    CollectorSettings(forward=parse_forward("http://127.0.0.1:14318", ())).check()
    public = parse_address("0.0.0.0:4318", "--otlp-http")
    with pytest.raises(UsageError, match="come round again"):
        CollectorSettings(
            otlp_http=public, insecure=True, forward=parse_forward("http://127.0.0.1:4318", ())
        ).check()
    clear_line(strayline("collector", "--forward-header", "a=b"), "--forward-header", "--forward")
    clear_line(strayline("collector", STRAYLINE_FORWARD="grpc://b:4317"), "grpc://b:4317", "http")


def test_what_comes_by_any_door_goes_on_with_headers_from_the_environment() -> None:
    with (
        running_sink() as sink,
        collector_command(
            "--zipkin", "127.0.0.1:0",
            STRAYLINE_FORWARD=sink.endpoint, STRAYLINE_FORWARD_HEADER="x-key=a:b, x-team=shop",
        ) as ours,
        grpc.insecure_channel(ours.otlp_grpc) as channel,
    ):  # fmt: skip
        http, rpc, document = spans(3)
        send(ours, [http])
        channel.unary_unary(EXPORT)(rpc)
        document = protobuf_to_document(ExportTraceServiceRequest.FromString(document))
        httpx.post(f"http://{ours.otlp_http}/v1/traces", json=document).raise_for_status()
        httpx.post(f"http://{ours.zipkin}/api/v2/spans", json=[WHOLE]).raise_for_status()
        sink.wait_for(lambda found: len(found) == 4)
        assert {span.name for span in sink.spans()} == {"s1", "s2", "s3", WHOLE["name"]}
        assert (sink.headers[0]["x-key"], sink.headers[0]["x-team"]) == ("a:b", "shop")
        until(lambda: 'forward_requests_total{outcome="sent"} 4' in _metrics(ours))
        assert 'strayline_forward_requests_total{outcome="dropped"} 0' in _metrics(ours)


def _metrics(collector: RunningCollector) -> str:
    return httpx.get(f"http://{collector.api}/metrics", timeout=30).text
