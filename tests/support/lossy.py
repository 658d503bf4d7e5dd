"""A way to the collector that loses answers or refuses, as networks and proxies do."""

from __future__ import annotations

import http.client
import threading
from collections import deque
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import grpc

Fate = Literal["pass", "lose answer", "refuse", "answer 503"]
"""What becomes of one request: ``lose answer`` delivers it and breaks the connection, ``answer
503`` delivers it and says it did not, ``refuse`` says so and does not deliver it."""


@dataclass
class Lossy:
    """``fates`` of the requests to come, then ``pass``; ``seen`` is (headers, body) of each."""

    address: str
    fates: deque[Fate] = field(default_factory=deque)
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def fate(self) -> Fate:
        return self.fates.popleft() if self.fates else "pass"


@contextmanager
def lossy_http(collector: str, *fates: Fate) -> Iterator[Lossy]:
    """In front of an OTLP/HTTP door."""
    lossy = Lossy("", deque(fates))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = _body(self)
            lossy.seen.append(({k.lower(): v for k, v in self.headers.items()}, content))
            fate = lossy.fate()
            status, headers, answer = 503, {"Retry-After": "1"}, b""
            if fate != "refuse":
                upstream = http.client.HTTPConnection(collector, timeout=30)
                passed = ("content-type", "content-encoding")
                kept = {k: v for k, v in lossy.seen[-1][0].items() if k in passed}
                upstream.request("POST", self.path, content, kept)
                response = upstream.getresponse()
                came = response.read()
                upstream.close()
                assert response.status == 200, came
                if fate == "pass":
                    status, headers, answer = 200, dict(response.getheaders()), came
            if fate == "lose answer":
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "date", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def finish(self) -> None:
            try:
                super().finish()
            except (OSError, ValueError):  # we closed it ourselves
                pass

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    lossy.address = f"127.0.0.1:{server.server_port}"
    try:
        yield lossy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def lossy_grpc(collector: str, *fates: Fate) -> Iterator[Lossy]:
    """In front of an OTLP/gRPC door; whatever is lost there ends as UNAVAILABLE."""
    lossy = Lossy("", deque(fates))
    with grpc.insecure_channel(collector) as channel:

        class Relay(grpc.GenericRpcHandler):
            def service(self, details: Any) -> grpc.RpcMethodHandler[bytes, bytes]:
                def relay(content: bytes, context: grpc.ServicerContext) -> bytes:
                    lossy.seen.append((dict(context.invocation_metadata()), content))
                    fate = lossy.fate()
                    answer = b""
                    if fate != "refuse":
                        answer = channel.unary_unary(details.method)(content, timeout=30)
                    if fate != "pass":
                        context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")
                    return answer

                return grpc.unary_unary_rpc_method_handler(relay)

        server = grpc.server(futures.ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers((Relay(),))
        lossy.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield lossy
        finally:
            server.stop(0).wait()


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("transfer-encoding", "").lower() != "chunked":
        return handler.rfile.read(int(handler.headers["content-length"]))
    parts: list[bytes] = []
    while (size := int(handler.rfile.readline().split(b";")[0], 16)) > 0:
        parts.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(parts)
