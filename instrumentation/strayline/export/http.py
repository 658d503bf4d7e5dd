"""Spans to the collector over OTLP/HTTP: a bounded queue and one daemon thread.

Nothing here blocks the service. What does not fit is dropped and counted; a collector that is
away, slow or overloaded costs memory up to the queue's bound and nothing else.
"""

from __future__ import annotations

import atexit
import gzip
import http.client
import os
import random
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from strayline.export.otlp import encode_request
from strayline.guard import log, survived
from strayline.settings import Settings
from strayline.version import __version__

RETRYABLE: Final = frozenset({429, 502, 503, 504})
EXIT_S: Final = 2.0
"""At exit spans are flushed for at most this long: a script must not hang on its telemetry."""
LONGEST_WAIT_S: Final = 30.0


class HttpSpanProcessor(SpanProcessor):
    """Collects ended spans and sends them. ``resource`` is asked for with each export, since a
    forked child is another process."""

    def __init__(self, settings: Settings, resource: Callable[[], Mapping[str, Any]]) -> None:
        self._settings = settings
        self._resource = resource
        self.dropped = 0
        self._start_over()
        os.register_at_fork(after_in_child=self._start_over)
        atexit.register(self.shutdown)

    def _start_over(self) -> None:
        """Fresh in each process: threads, locks and connections do not survive a fork, and what
        was queued is the parent's to send."""
        self._queue: deque[ReadableSpan] = deque()
        self._wake = threading.Event()
        self._idle = threading.Condition()
        self._sending = 0
        self._stopping = False
        self._deadline: float | None = None
        self._thread: threading.Thread | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._start_lock = threading.Lock()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        return None

    def on_end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled:
            self.enqueue(span)

    def enqueue(self, span: ReadableSpan) -> None:
        """Takes a span whatever the sampler said of it."""
        if self._stopping or len(self._queue) >= self._settings.queue_size:
            self.dropped += 1
            return
        self._queue.append(span)
        if self._thread is None:
            self._start()
        if len(self._queue) >= self._settings.batch_size:
            self._wake.set()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True when everything queued before the call was sent or given up in time."""
        deadline = time.monotonic() + timeout_millis / 1000
        with self._idle:
            while self._queue or self._sending:
                self._wake.set()
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._idle.wait(min(left, 0.05))
        return True

    def shutdown(self) -> None:
        """Sends what is left, for at most ``EXIT_S``. Idempotent."""
        if self._stopping:
            return
        self._stopping = True
        self._deadline = time.monotonic() + EXIT_S
        self._wake.set()
        if self._thread is not None:
            self._thread.join(EXIT_S)

    def _start(self) -> None:
        with self._start_lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._send_forever, name="strayline-export", daemon=True
                )
                self._thread.start()

    def _send_forever(self) -> None:
        while True:
            self._wake.wait(self._settings.delay_s)
            self._wake.clear()
            with survived("sending spans"):
                while self._queue:
                    self._send_batch()
            with self._idle:
                self._idle.notify_all()
            if self._stopping and not self._queue:
                return

    def _send_batch(self) -> None:
        batch: list[ReadableSpan] = []
        self._sending = 1  # before the queue shrinks, so that a flush never sees neither
        try:
            while self._queue and len(batch) < self._settings.batch_size:
                batch.append(self._queue.popleft())
            self._sending = len(batch)
            if not self._deliver(encode_request(batch, self._resource())):
                self.dropped += len(batch)
        except BaseException:
            self.dropped += len(batch)
            raise
        finally:
            self._sending = 0

    def _deliver(self, body: bytes) -> bool:
        """Whether the collector took it. Tries again while it says "later" and the queue has room."""
        headers = {
            "content-type": "application/x-protobuf",
            "user-agent": f"strayline/{__version__}",
        }
        headers.update(self._settings.headers)
        if self._settings.gzip:
            body = gzip.compress(body, 4)
            headers["content-encoding"] = "gzip"
        wait_s = 0.5
        while True:
            status, retry_after_s = self._post(body, headers)
            if status is not None and status not in RETRYABLE:
                if status >= 300:
                    _say_once(f"the collector refused spans with HTTP {status}")
                return status < 300
            if self._give_up():
                return False
            pause = min(LONGEST_WAIT_S, retry_after_s or wait_s * random.uniform(0.5, 1.5))  # noqa: S311
            wait_s = min(LONGEST_WAIT_S, wait_s * 2)
            if self._deadline is not None:
                pause = min(pause, 0.1)
            self._wake.wait(pause)
            self._wake.clear()

    def _give_up(self) -> bool:
        """At exit when time is up; while running when newer spans need the room."""
        if self._deadline is not None:
            return time.monotonic() >= self._deadline
        return len(self._queue) >= self._settings.queue_size - self._settings.batch_size

    def _post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int | None, float | None]:
        address = urlsplit(self._settings.endpoint)
        timeout_s = self._settings.timeout_s
        if self._deadline is not None:
            timeout_s = max(0.05, min(timeout_s, self._deadline - time.monotonic()))
        for attempt in (1, 2):
            fresh = self._connection is None
            try:
                if self._connection is None:
                    self._connection = _connect(address.scheme, address.netloc, timeout_s)
                self._connection.timeout = timeout_s
                self._connection.request("POST", address.path or "/", body, dict(headers))
                answer = self._connection.getresponse()
                answer.read()
                return answer.status, _seconds(answer.getheader("retry-after"))
            except (OSError, http.client.HTTPException):
                if self._connection is not None:
                    self._connection.close()
                self._connection = None
                # a kept connection that the collector closed meanwhile deserves a second try
                if fresh or attempt == 2:
                    return None, None
        return None, None


def _connect(scheme: str, netloc: str, timeout_s: float) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(
            netloc, timeout=timeout_s, context=ssl.create_default_context()
        )
    return http.client.HTTPConnection(netloc, timeout=timeout_s)


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() else None


_said: Final[set[str]] = set()


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        log.warning("%s", text)
