"""A receiver of webhooks in the test process, as slow and broken as a test wants it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hook:
    """``answers`` are the statuses of the next requests, then 200; ``stall`` holds every answer back
    until it is set."""

    url: str = ""
    answers: list[int] = field(default_factory=list[int])
    stall: threading.Event | None = None
    bodies: list[bytes] = field(default_factory=list[bytes])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    @property
    def told(self) -> list[dict[str, Any]]:
        """What our own field said, request by request, those refused among them."""
        return [json.loads(body)["strayline"] for body in list(self.bodies)]

    def wait(self, until: Callable[[], bool], timeout: float = 30) -> None:
        deadline = time.monotonic() + timeout
        while not until():
            assert time.monotonic() < deadline, [t["event"] for t in self.told]
            time.sleep(0.02)


@contextmanager
def hook(port: int = 0, **options: Any) -> Iterator[Hook]:
    found = Hook(**options)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.headers.append({k.lower(): v for k, v in self.headers.items()})
            found.bodies.append(body)
            if found.stall is not None:
                found.stall.wait(20)
            self.send_response(found.answers.pop(0) if found.answers else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/services/T0/B0/secretpath"
    try:
        yield found
    finally:
        if found.stall is not None:
            found.stall.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
