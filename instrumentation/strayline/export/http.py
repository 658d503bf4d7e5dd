"""Spans to the collector over OTLP/HTTP: a bounded queue and one daemon thread.

Nothing here blocks the service. What does not fit is dropped and counted; a collector that is
away, slow or overloaded costs memory up to the queue's bound and nothing else.
"""

from __future__ import annotations

import codecs
import contextlib
import gzip
import http.client
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from strayline.export.otlp import encode_request, encode_span
from strayline.guard import log, survived
from strayline.lifecycle import EXIT_S, after_fork, at_exit, time_left
from strayline.settings import Settings
from strayline.tracing.span import LightSpan
from strayline.version import __version__

# getaddrinfo would import its codec with the first connect, in our thread; in a child forked
# meanwhile that import's lock stays held, and every connect by name hangs there, the service's own
# too. Here and not with the first span, since that may be a thread's as well.
codecs.lookup("idna")

RETRYABLE: Final = frozenset({429, 502, 503, 504})
LONGEST_WAIT_S: Final = 30.0
LONGEST_ANSWER: Final = 64 * 1024
"""Bytes of an answer that are read; nothing of use is longer."""
DROPS_EVERY_S: Final = 10.0


class HttpSender:
    """Collects ended spans and sends them. ``resource`` is asked for with each export, since a
    forked child is another process. ``on_drops`` is called when the collector takes spans
    again after some were dropped, every ten seconds at most; ``on_return`` when it takes spans again
    after it did not: it may be another one, or may have lost what it had."""

    def __init__(
        self,
        settings: Settings,
        resource: Callable[[], Mapping[str, Any]],
        on_drops: Callable[[], None] = lambda: None,
        on_return: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._resource = resource
        self._on_drops = on_drops
        self._on_return = on_return
        self.dropped = 0
        self._start_over()
        after_fork(self._start_over)
        at_exit(self._leave, last=True)

    def _start_over(self) -> None:
        """Fresh in each process: threads, locks and connections do not survive a fork, and what
        was queued or dropped is the parent's to tell of."""
        self._queue: deque[LightSpan] = deque()
        self.dropped = 0
        self.away = False
        """Nobody took the last batch that was tried."""
        self._drops_told = 0
        self._drops_told_at = float("-inf")
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._done = threading.Condition()
        self._sending = 0
        self._finished = 0
        self._stopped = False
        self._deadline: float | None = None
        self._thread: threading.Thread | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._start_lock = threading.Lock()

    def enqueue(self, span: LightSpan) -> None:
        """Takes a span, or drops and counts it when there is no room."""
        queue = self._queue
        if len(queue) >= self._settings.queue_size or self._stopped:
            self.dropped += 1
            return
        queue.append(span)
        if self._thread is None:
            self._start()
        if len(queue) == self._settings.batch_size:
            self._wake.set()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True when everything queued before the call was sent or given up in time. Does not wait
        for what is queued meanwhile; a pause that a collector asked for ends, once."""
        deadline = time.monotonic() + timeout_millis / 1000
        with self._done:
            wanted = self._finished + self._sending + len(self._queue)
            self._hurry.set()
            self._wake.set()
            while self._finished < wanted:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._done.wait(left)
        return True

    def shutdown(self) -> None:
        """Sends what is left, for at most ``EXIT_S``, and takes no more. Idempotent."""
        if not self._stopped:
            self._stopped = True
            self._deadline = time.monotonic() + EXIT_S  # stays: a batch under way is given up then
            self._flush()
            with self._done:
                lost = len(self._queue)
                self._queue.clear()
                self._finished += lost
                self._done.notify_all()
            self.dropped += lost
            self._hurry.set()
            self._wake.set()

    def _leave(self) -> None:
        """The process may end now: sends what is left, for as long as leaving may take."""
        if not self._stopped:
            self._deadline = time.monotonic() + time_left()
            try:
                self._flush()
            finally:
                self._deadline = None

    def _flush(self) -> None:
        if self._thread is None:  # no thread can be started any more
            self._send_all()
        elif self._deadline is not None:
            self.force_flush(int(max(0.0, self._deadline - time.monotonic()) * 1000))

    def _start(self) -> None:
        with self._start_lock:
            if self._thread is None:
                thread = threading.Thread(
                    target=self._send_forever, name="strayline-export", daemon=True
                )
                with contextlib.suppress(RuntimeError):  # at interpreter shutdown: sent on leaving
                    thread.start()
                    self._thread = thread

    def _send_forever(self) -> None:
        while not self._stopped or self._queue:
            self._wake.wait(self._settings.delay_s)
            self._wake.clear()
            self._send_all()

    def _send_all(self) -> None:
        while self._queue and not self._is_late():
            self._send_batch()

    def _send_batch(self) -> None:
        batch: list[LightSpan] = []
        with self._done:  # a flush sees each span in the queue or in the batch
            while self._queue and len(batch) < self._settings.batch_size:
                batch.append(self._queue.popleft())
            self._sending = len(batch)
        lost = len(batch)
        with survived("sending spans"):
            body, odd = self._encode(batch)
            if self._deliver(body):
                lost = odd
        # not "+= len(…)": a call between reading and writing lets another thread's drop get lost
        self.dropped += lost
        with self._done:
            self._finished += len(batch)
            self._sending = 0
            self._done.notify_all()
        if self.dropped != self._drops_told and lost < len(batch):
            self._tell_of_drops()

    def _tell_of_drops(self) -> None:
        now = time.monotonic()
        if now - self._drops_told_at >= DROPS_EVERY_S:
            self._drops_told, self._drops_told_at = self.dropped, now
            with survived("telling of dropped spans"):
                self._on_drops()

    def _encode(self, batch: list[LightSpan]) -> tuple[bytes, int]:
        """The request, and how many spans are not in it because they cannot be encoded: a start
        time of ``time.time()``, a name that is no text."""
        resource = self._resource()
        try:
            return encode_request(batch, resource), 0
        except Exception:  # noqa: BLE001 - whatever a program put there
            sound = [span for span in batch if _is_sound(span)]
            return encode_request(sound, resource), len(batch) - len(sound)

    def _is_late(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

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
                    _say_once("the collector refused spans with HTTP %d", status)
                returned, self.away = self.away and status < 300, False
                if returned:
                    with survived("telling that the collector is back"):
                        self._on_return()
                return status < 300
            self.away = True
            if status is not None:
                _say_once("the collector answers HTTP %d; " + self._kept(), status)
            if self._give_up(status):
                return False
            pause = min(LONGEST_WAIT_S, retry_after_s or wait_s * random.uniform(0.5, 1.5))  # noqa: S311
            wait_s = min(LONGEST_WAIT_S, wait_s * 2)
            if self._deadline is not None:
                pause = min(pause, 0.1)
            self._hurry.wait(pause)
            self._hurry.clear()
            if self._is_late():
                return False

    def _give_up(self, status: int | None) -> bool:
        """When leaving, at once if nobody is there and else when time is up; while running, when
        newer spans need the room."""
        if self._deadline is not None:
            return status is None or self._is_late()
        return len(self._queue) >= self._settings.queue_size - self._settings.batch_size

    def _kept(self) -> str:
        return f"up to {self._settings.queue_size} spans are kept, further ones are dropped"

    def _post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int | None, float | None]:
        """Status and seconds of ``Retry-After``; no status when there was no answer."""
        timeout_s = self._settings.timeout_s
        if self._deadline is not None:
            timeout_s = max(0.05, min(timeout_s, self._deadline - time.monotonic()))
        address = urlsplit(self._settings.endpoint)
        target = (address.path or "/") + (f"?{address.query}" if address.query else "")
        while True:
            kept = self._connection is not None and self._connection.sock is not None
            try:
                if self._connection is None:
                    self._connection = _connect(self._settings, timeout_s)
                elif self._connection.sock is not None:
                    self._connection.sock.settimeout(timeout_s)
                self._connection.request("POST", target, body, dict(headers))
                answer = self._connection.getresponse()
                answer.read(LONGEST_ANSWER)
                if not answer.isclosed():
                    self._connection.close()
                return answer.status, _seconds(answer.getheader("retry-after"))
            except (OSError, http.client.HTTPException) as error:
                if self._connection is not None:
                    self._connection.close()
                self._connection = None
                # a kept connection that the collector closed meanwhile deserves a second try
                if kept and not isinstance(error, TimeoutError):
                    continue
                _say_once(
                    "no answer from the collector at %s (%s: %s); " + self._kept(),
                    self._settings.endpoint,
                    type(error).__name__,
                    error,
                )
                return None, None


def _is_sound(span: LightSpan) -> bool:
    with survived("encoding a span"):
        encode_span(span)
        return True
    return False


def _connect(settings: Settings, timeout_s: float) -> http.client.HTTPConnection:
    address = urlsplit(settings.endpoint)
    if address.scheme != "https":
        return http.client.HTTPConnection(address.netloc, timeout=timeout_s)
    import ssl  # 8 ms that plain HTTP need not pay

    context = ssl.create_default_context(cafile=settings.certificate)
    if settings.client_certificate:
        context.load_cert_chain(settings.client_certificate, settings.client_key)
    return http.client.HTTPSConnection(address.netloc, timeout=timeout_s, context=context)


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() else None


_said: Final[set[tuple[str, object]]] = set()


def _say_once(text: str, about: object, *further: object) -> None:
    """Warns once a process of each text about each thing."""
    if (text, about) not in _said:
        _said.add((text, about))
        log.warning(text, about, *further)
