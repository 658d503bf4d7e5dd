"""A place in the test process that takes OTLP/HTTP as a collector would, and keeps the spans."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue


@dataclass(frozen=True, slots=True)
class SunkSpan:
    """One span as it arrived. Ids are hex, ``parent_span_id`` empty for a root; ``kind`` is the
    OTLP number (1 internal, 2 server, 3 client, 4 producer, 5 consumer)."""

    name: str
    scope: str
    kind: int
    trace_id: str
    span_id: str
    parent_span_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    status: int
    links: tuple[tuple[str, str], ...]

    @property
    def service(self) -> str:
        return self.resource.get("service.name", "")

    @property
    def pid(self) -> int | None:
        return self.resource.get("process.pid")


@dataclass
class Sink:
    """``endpoint`` goes into ``OTEL_EXPORTER_OTLP_ENDPOINT``. ``status`` is what exports are
    answered with, ``answer_headers`` beside it; anything but 200 keeps nothing and is counted in
    ``refused``."""

    endpoint: str = ""
    status: int = 200
    answer_headers: dict[str, str] = field(default_factory=dict)
    refused: int = 0
    headers: list[dict[str, str]] = field(default_factory=list)
    _spans: list[SunkSpan] = field(default_factory=list)
    _came: threading.Condition = field(default_factory=threading.Condition)

    def spans(self, **wanted: Any) -> list[SunkSpan]:
        """What came so far, by fields of ``SunkSpan``: ``spans(kind=2, service="shop")``. Spans
        about ourselves (topology, census) are not among them; ``reports()`` gives those."""
        return [span for span in self._all(wanted) if span.scope != "strayline.report"]

    def reports(self, **wanted: Any) -> list[SunkSpan]:
        """The spans about ourselves."""
        return self._all({"scope": "strayline.report", **wanted})

    def wait_for(self, predicate: Callable[[list[SunkSpan]], Any], timeout: float = 20.0) -> Any:
        """What ``predicate(spans)`` gives once that is true; fails after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        with self._came:
            while True:
                found = predicate(self.spans())
                if found:
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    names = [(span.scope, span.name) for span in self.spans()]
                    raise AssertionError(f"not within {timeout} s; spans so far: {names}")
                self._came.wait(left)

    def clear(self) -> None:
        with self._came:
            self._spans.clear()

    def take(self, body: bytes, headers: dict[str, str]) -> bytes:
        """One export; its answer."""
        request = ExportTraceServiceRequest.FromString(body)
        spans = list(_spans(request))
        with self._came:
            self.headers.append(headers)
            self._spans.extend(spans)
            self._came.notify_all()
        return ExportTraceServiceResponse().SerializeToString()

    def _all(self, wanted: dict[str, Any]) -> list[SunkSpan]:
        with self._came:  # a condition's lock is reentrant
            spans = list(self._spans)
        return [s for s in spans if all(getattr(s, name) == v for name, v in wanted.items())]


@contextmanager
def running_sink(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Sink]:
    """A sink on a free port of the loopback, or on the one given, gone after."""
    sink = Sink()
    connections: list[socket.socket] = []

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            connections.append(self.request)
            super().setup()

        def handle(self) -> None:
            with suppress(ConnectionError):  # who asked did not wait for the answer
                super().handle()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            answer = b""
            if sink.status == 200:
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = sink.take(body, headers)
            else:
                sink.refused += 1
            self.send_response(sink.status)
            for name, value in sink.answer_headers.items():
                self.send_header(name, value)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
            return None

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # of five, a crowd of forked children waits for seconds

    with Server(("127.0.0.1", port), Door) as server:
        server.daemon_threads = True
        server.block_on_close = False  # kept connections of living clients must not hold the test
        sink.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join()
            for connection in connections:
                with suppress(OSError):  # ended already
                    connection.shutdown(socket.SHUT_RDWR)


def _spans(request: ExportTraceServiceRequest) -> Iterator[SunkSpan]:
    for of_resource in request.resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield SunkSpan(
                    name=span.name,
                    scope=of_scope.scope.name,
                    kind=span.kind,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_span_id=span.parent_span_id.hex(),
                    attributes=_attributes(span.attributes),
                    resource=resource,
                    status=span.status.code,
                    links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    found = getattr(value, kind)
    if kind == "array_value":
        return [_value(each) for each in found.values]
    if kind == "kvlist_value":
        return _attributes(found.values)
    return found
