"""A collector that is away, silent, overloaded or picky costs spans at most, all of them counted."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import Tracer

from strayline import guard
from strayline.export import http
from strayline.export.http import HttpSender
from strayline.settings import Settings
from strayline.tracing.provider import LightProvider
from tests.support.sink import Sink, running_sink

FAST = {
    "OTEL_BSP_SCHEDULE_DELAY": "20",
    "OTEL_BSP_MAX_QUEUE_SIZE": "200",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "20",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "300",
}


class Service:
    """A sender of this process's, the tracer whose spans it sends, and how often drops were told."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.sender = HttpSender(
            Settings.read(),
            lambda: {"service.name": "shop"},
            lambda: self.told.append(self.sender.dropped),
        )
        self.provider = LightProvider(dict, self.sender)
        self.tracer: Tracer = self.provider.get_tracer("shop")

    def works(self, spans: int, name: str = "work") -> None:
        for number in range(spans):
            self.tracer.start_span(name, attributes={"number": number}).end()


Start = Callable[..., Service]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a service with a collector's address and further environment."""
    monkeypatch.setattr(http, "_said", set())
    monkeypatch.setattr(guard, "_said", set())
    started: list[Service] = []

    def begin(endpoint: str, **environment: str) -> Service:
        for name, value in {**FAST, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **environment}.items():
            monkeypatch.setenv(name, value)
        started.append(Service())
        return started[-1]

    yield begin
    for service in started:
        service.provider.shutdown()
        if service.sender._thread is not None:
            service.sender._thread.join(10)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running_sink() as found:
        yield found


@pytest.fixture
def away() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def silent() -> Iterator[str]:
    """Takes connections, as the kernel does for a stopped process, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def closing() -> Iterator[str]:
    """Closes each connection as soon as something comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def until(condition: Callable[[], Any], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("trouble", ["away", "silent", "closing", "overloaded", "refusing"])
def test_nothing_blocks_and_the_queue_is_bounded_whatever_the_collector_does(
    trouble: str, start: Start, sink: Sink, request: pytest.FixtureRequest
) -> None:
    sink.status = {"overloaded": 503, "refusing": 400}.get(trouble, 200)
    endpoint = sink.endpoint
    if trouble == "away":
        endpoint = f"http://127.0.0.1:{request.getfixturevalue('away')}"
    elif trouble in ("silent", "closing"):
        endpoint = request.getfixturevalue(trouble)
    service = start(endpoint)
    longest = most = 0.0
    for _ in range(5_000):
        began = time.perf_counter()
        service.works(1)
        longest = max(longest, time.perf_counter() - began)
        most = max(most, len(service.sender._queue))
    assert most <= 200
    assert longest < 1.0  # a connection's timeout or a pause would take that and more
    service.provider.shutdown()
    until(lambda: service.sender.dropped == 5_000)


def test_what_was_queued_while_the_collector_was_away_comes_when_it_is_back(
    start: Start, away: int
) -> None:
    service = start(f"http://127.0.0.1:{away}")
    service.works(100)
    until(lambda: http._said)  # tried, in vain
    with running_sink(port=away) as sink:
        sink.wait_for(lambda spans: len(spans) == 100)
        service.works(5, "later")
        sink.wait_for(lambda spans: [s.name for s in spans].count("later") == 5)
        numbers = [span.attributes["number"] for span in sink.spans(name="work")]
    assert sorted(numbers) == list(range(100))
    assert service.sender.dropped == 0
    assert service.told == []


def test_a_collector_that_restarts_between_two_exports_loses_nothing(
    start: Start, away: int
) -> None:
    with running_sink(port=away) as first:
        service = start(first.endpoint)
        service.works(1, "before")
        first.wait_for(lambda spans: spans)
    with running_sink(port=away) as second:
        service.works(1, "after")
        second.wait_for(lambda spans: "after" in [span.name for span in spans])
    assert service.sender.dropped == 0


def test_503_is_tried_again_when_retry_after_says_and_keeps_the_batch(
    start: Start, sink: Sink
) -> None:
    sink.status, sink.answer_headers = 503, {"retry-after": "1"}
    service = start(sink.endpoint)
    service.works(100)  # five batches: what else comes meanwhile does not cut the pause short
    until(lambda: sink.refused)
    asked = time.monotonic()
    sink.status = 200
    sink.wait_for(lambda spans: len(spans) == 100)
    assert time.monotonic() - asked > 0.8
    assert sink.refused == 1
    assert service.sender.dropped == 0


def test_400_is_not_tried_again_and_counted(start: Start, sink: Sink) -> None:
    sink.status = 400
    service = start(sink.endpoint)
    service.works(10)
    assert service.provider.force_flush()
    until(lambda: service.sender.dropped == 10)
    asked = sink.refused
    sink.status = 200
    service.works(10)
    sink.wait_for(lambda spans: len(spans) == 10)
    assert sink.refused == asked


def test_drops_are_told_once_the_collector_takes_spans_again(start: Start, sink: Sink) -> None:
    sink.status = 503
    service = start(sink.endpoint)
    service.works(300)
    dropped = service.sender.dropped
    assert dropped >= 60
    assert service.told == []
    sink.status = 200
    until(lambda: service.told)
    assert service.told[0] >= dropped


@pytest.mark.parametrize(
    ("status", "said"), [(503, "answers HTTP 503"), (400, "refused spans with HTTP 400")]
)
def test_each_answer_that_is_no_success_is_logged_once(
    status: int, said: str, start: Start, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.status = status
    service = start(sink.endpoint)
    with caplog.at_level(logging.WARNING, "strayline"):
        for _ in range(3):
            service.works(1)
            asked = sink.refused
            service.sender.force_flush(200)
            until(lambda asked=asked: sink.refused > asked)
        service.provider.shutdown()
    assert [said in record.getMessage() for record in caplog.records] == [True]


def test_a_collector_that_cannot_be_reached_is_logged_once_with_the_reason(
    start: Start, away: int, caplog: pytest.LogCaptureFixture
) -> None:
    service = start(f"http://127.0.0.1:{away}")
    with caplog.at_level(logging.WARNING, "strayline"):
        service.works(1_000)
        until(lambda: caplog.records)
        service.provider.shutdown()
    assert len(caplog.records) == 1
    assert "ConnectionRefusedError" in caplog.text
    assert "200 spans are kept" in caplog.text


def test_a_span_that_cannot_be_encoded_is_dropped_alone(start: Start, sink: Sink) -> None:
    service = start(sink.endpoint, OTEL_BSP_SCHEDULE_DELAY="60000")
    service.works(3)
    service.tracer.start_span("odd", start_time=time.time()).end()  # type: ignore[arg-type]
    service.tracer.start_span(4711).end()  # type: ignore[arg-type]
    service.works(3)
    assert service.provider.force_flush()
    assert [span.name for span in sink.spans()] == ["work"] * 6
    assert service.sender.dropped == 2


def test_eight_threads_that_end_spans_at_once_lose_none(start: Start, sink: Sink) -> None:
    service = start(sink.endpoint, OTEL_BSP_MAX_QUEUE_SIZE="100000")
    together = threading.Barrier(8)

    def work() -> None:
        together.wait()
        service.works(500)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert service.provider.force_flush()
    assert len({span.span_id for span in sink.spans()}) == 4_000
    assert service.sender.dropped == 0


def test_drops_of_eight_threads_are_all_counted(start: Start, away: int) -> None:
    service = start(f"http://127.0.0.1:{away}")
    threads = [threading.Thread(target=service.works, args=(2_000,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    service.provider.shutdown()
    until(lambda: service.sender.dropped == 16_000)


def test_force_flush_is_true_once_what_came_before_is_sent_even_under_load(
    start: Start, sink: Sink
) -> None:
    service = start(sink.endpoint, OTEL_BSP_SCHEDULE_DELAY="60000")
    service.works(5, "before")
    over = threading.Event()

    def load() -> None:
        while not over.wait(0.0002):
            service.works(1)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        assert service.provider.force_flush(20_000)
        assert len(sink.spans(name="before")) == 5
    finally:
        over.set()
        thread.join()


def test_force_flush_is_false_when_time_is_up_and_true_when_nothing_is_there(
    start: Start, silent: str
) -> None:
    service = start(silent, OTEL_EXPORTER_OTLP_TIMEOUT="60000")
    assert service.provider.force_flush(0)
    service.works(1)
    assert not service.provider.force_flush(50)


def test_after_shutdown_spans_are_dropped_and_counted(start: Start, sink: Sink) -> None:
    service = start(sink.endpoint, OTEL_BSP_SCHEDULE_DELAY="60000")
    service.works(3)
    service.provider.shutdown()
    assert len(sink.spans()) == 3
    service.works(2)
    assert service.sender.dropped == 2


def test_headers_are_sent_as_the_variable_gives_them(start: Start, sink: Sink) -> None:
    service = start(
        sink.endpoint,
        OTEL_EXPORTER_OTLP_HEADERS="api-key=s%3Dcret, x-tenant = shop ,broken,empty=,a=b=c",
    )
    service.works(1)
    sink.wait_for(lambda spans: spans)
    headers = sink.headers[0]
    wanted = {"api-key": "s=cret", "x-tenant": "shop", "empty": "", "a": "b=c"}
    assert {name: headers.get(name) for name in wanted} == wanted
    assert "broken" not in headers


def test_gzip_is_sent_when_asked_for(start: Start, sink: Sink) -> None:
    service = start(sink.endpoint, OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
    service.works(3)
    sink.wait_for(lambda spans: len(spans) == 3)
    assert sink.headers[0]["content-encoding"] == "gzip"


def test_an_own_authority_is_trusted_when_named_and_not_without(
    start: Start, tmp_path: Path
) -> None:
    certificate, key = _certificate(tmp_path, "collector")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with running_sink(tls=context) as sink:
        stranger = start(sink.endpoint)
        stranger.works(1, "stranger")
        until(lambda: http._said)
        friend = start(sink.endpoint, OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificate))
        friend.works(1, "friend")
        sink.wait_for(lambda spans: spans)
        stranger.provider.shutdown()
        assert [span.name for span in sink.spans()] == ["friend"]
    assert stranger.sender.dropped == 1


def test_our_own_certificate_is_shown_to_a_collector_that_asks(
    start: Start, tmp_path: Path
) -> None:
    certificate, key = _certificate(tmp_path, "collector")
    ours, our_key = _certificate(tmp_path, "service")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(ours)
    context.verify_mode = ssl.CERT_REQUIRED
    with running_sink(tls=context) as sink:
        stranger = start(sink.endpoint, OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificate))
        stranger.works(1, "stranger")
        until(lambda: http._said)
        friend = start(
            sink.endpoint,
            OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=str(ours),
            OTEL_EXPORTER_OTLP_CLIENT_KEY=str(our_key),
        )
        friend.works(1, "friend")
        sink.wait_for(lambda spans: spans)
        stranger.provider.shutdown()
        assert [span.name for span in sink.spans()] == ["friend"]


PROGRAM = """
import strayline
from strayline import provider
strayline.instrument("shop", only=["httpx"])
tracer = provider.tracer("shop")
for _ in range(300):
    tracer.start_span("work").end()
print(provider.dropped_spans(), flush=True)
input()
"""


def test_a_process_without_amqp_tells_of_its_drops_too(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.status = 503
    for name, value in {**FAST, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}.items():
        monkeypatch.setenv(name, value)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            dropped = int(child.stdout.readline())
            assert dropped >= 60
            sink.status = 200
            until(lambda: sink.reports(name="strayline.census"))
            census = sink.reports(name="strayline.census")[0]
            document = json.loads(census.attributes["strayline.census"])
            assert document["spans_dropped"] >= dropped
            assert document["channels"] == []
        finally:
            child.communicate("\n", timeout=20)
    assert child.returncode == 0


def _certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """A certificate that is its own authority, and its key."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", str(key), "-out", str(certificate),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key
