"""Real HTTP peers on loopback: a plain server for clients to talk to, and servers for applications.

None of them is a library that is instrumented. Each has its port and thread, and both end with it.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qs, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import uvicorn


class _QuietHTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *args: Any) -> None:
        """A client that hangs up is part of the test."""


class Peer:
    """A server that answers as its path says and keeps the headers that it got."""

    def __init__(self) -> None:
        self.heard: list[dict[str, str]] = []
        self._server = _QuietHTTPServer(("127.0.0.1", 0), _handler(self))
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def url(self, path: str, *, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(peer: Peer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            peer.heard.append({name.lower(): value for name, value in self.headers.items()})
            self.rfile.read(int(self.headers.get("content-length") or 0))
            parts = urlsplit(self.path)
            what, _, number = parts.path.strip("/").partition("/")
            if what == "hangup":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if what == "slow":
                time.sleep(float(number))
            body = b"ok"
            if what == "redirect" and int(number):
                self.send_response(302)
                self.send_header("Location", f"/redirect/{int(number) - 1}")
            elif what == "away":
                self.send_response(302)
                self.send_header("Location", parse_qs(parts.query)["to"][0])
            else:
                status = int(number) if what == "status" else 200
                self.send_response(status)
                body = b"" if status in (204, 304) else body
            self.send_header("X-Answer", "yes")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self.answer
            raise AttributeError(name)

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


class _ThreadingWSGIServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *args: Any) -> None:
        pass


@contextmanager
def wsgi_server(app: Any) -> Iterator[int]:
    """Serves a WSGI application; gives the port."""
    server = make_server(
        "127.0.0.1", 0, app, server_class=_ThreadingWSGIServer, handler_class=_QuietHandler
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def asgi_server(app: Any) -> Iterator[int]:
    """Serves an ASGI application by uvicorn; gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    # httptools, where it is installed, knows a closed list of methods and answers the others itself
    config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none", http="h11")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        until(lambda: server.started)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def until(true: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Waits for a condition; gives what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "the condition did not come about"
        time.sleep(0.002)
    return found


def raw(port: int, request: bytes) -> bytes:
    """What a server answers to these very bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        found = b""
        while part := connection.recv(65536):
            found += part
        return found
