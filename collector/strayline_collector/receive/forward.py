"""Everything that was received, passed on to another OTLP backend.

Our own store comes first: a request is offered here once it is durable and never waits for the
backend. What the backend cannot take yet waits in memory, beyond that in a journal of its own
(``<db>.forward``), which the next start goes on from, and beyond that is dropped and counted. A
backend may get a request twice, as from any OTLP client that lost an answer.
"""

from __future__ import annotations

import asyncio
import email.utils
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from strayline_collector.errors import Overloaded
from strayline_collector.metrics import Counter, Gauge, Metric
from strayline_collector.receive.file_journal import FileJournal
from strayline_collector.store.ports import Position

log = logging.getLogger(__name__)

MEMORY_BYTES: Final = 32 * 2**20
SPOOL_MEMORY_BYTES: Final = 16 * 2**20
SEND_BYTES: Final = 4 * 2**20
"""Requests are sent together up to this: protobuf requests one after another are one request."""
LINGER_S: Final = 0.2
"""Requests that come within this share one to the backend, which costs about 1 ms of CPU."""
RETRYABLE: Final = frozenset({429, 502, 503, 504})
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 30.0
LONGEST_TOLD_WAIT_S: Final = 300.0
TIMEOUT_S: Final = 10.0
CLOSE_S: Final = 2.0
_COMPLAIN_S: Final = 60.0


class Forwarder:
    """One thread that sends. ``spool`` is the directory of its journal; None: memory alone."""

    def __init__(self, url: str, headers: Mapping[str, str], spool: Path | None) -> None:
        self._url = url
        self._headers = {**headers, "content-type": "application/x-protobuf"}
        self._sent_file = spool and spool / "sent"
        self._spool = spool and FileJournal(
            spool, _read(spool / "sent"), memory_bytes=SPOOL_MEMORY_BYTES
        )
        self._sent = (spool and _read(spool / "sent")) or Position(0, 0)
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._abandoned = False
        """Closed while a request was under way: what became of it is not noted any more."""
        self._told: dict[str, float] = {}
        self._requests = Counter(
            "strayline_forward_requests_total",
            "Received requests by what became of them on the way to the other backend",
            ("outcome",),
        )
        for outcome in ("sent", "refused", "dropped"):
            self._requests.add(0, outcome)
        self._rejected = Counter(
            "strayline_forward_rejected_spans_total", "Spans that the other backend did not keep"
        )
        self._thread = threading.Thread(target=self._forever, name="forward", daemon=True)

    def metrics(self) -> list[Metric]:
        waiting = Gauge(
            "strayline_forward_waiting_bytes",
            "Received and not yet passed on",
            lambda: float(self.waiting_bytes()),
        )
        return [self._requests, self._rejected, waiting]

    def waiting_bytes(self) -> int:
        return self._queued_bytes + (self._spool.backlog_bytes() if self._spool else 0)

    def start(self) -> None:
        self._thread.start()

    def offer(self, body: bytes) -> None:
        """Takes one durable request, on the event loop. Never waits, never raises."""
        with self._lock:
            fits = self._queued_bytes + len(body) <= MEMORY_BYTES
            if fits:
                self._queue.append(body)
                self._queued_bytes += len(body)
        if fits:
            self._wake.set()
        else:
            self._keep(body)

    async def close(self) -> None:
        """Goes on for a moment, then keeps what is left for the next start. What is on its way
        just then may be sent again."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, CLOSE_S)
        with self._lock:
            self._abandoned = True
            left, self._queue = self._queue, deque()
        if self._spool is None:
            self._requests.add(len(left), "dropped")
            return
        for body in left:
            try:
                await self._spool.append(body)
            except Overloaded as error:
                self._drop(error)
        await asyncio.to_thread(self._spool.close)

    def _keep(self, body: bytes) -> None:
        """Writes a request to the journal, on the event loop."""
        try:
            if self._spool is None:
                raise Overloaded("the memory for waiting requests is full")
            self._spool.submit(body, 0, self._kept)
        except Overloaded as error:
            self._drop(error)

    def _kept(self, error: Exception | None) -> None:
        if error is not None:
            self._drop(error)
        self._wake.set()

    def _drop(self, error: Exception) -> None:
        self._requests.add(1, "dropped")
        self._complain(f"a received request is not passed on: {error}")

    # -- the thread

    def _forever(self) -> None:
        with httpx.Client(headers=self._headers, timeout=TIMEOUT_S) as client:
            while True:
                self._wake.clear()
                sent = self._from_memory(client)
                # also while more comes in: what has waited longest must not wait for a pause
                sent = self._from_spool(client) or sent
                if not sent and self._stopping.is_set():
                    return
                if not sent:
                    self._wake.wait(1.0)
                if self.waiting_bytes() < SEND_BYTES:
                    self._stopping.wait(LINGER_S)

    def _from_memory(self, client: httpx.Client) -> bool:
        bodies: list[bytes] = []
        size = 0
        with self._lock:
            for body in self._queue:
                if bodies and size + len(body) > SEND_BYTES:
                    break
                bodies.append(body)
                size += len(body)
        if not bodies or not self._deliver(client, bodies):
            return False
        with self._lock:
            if self._abandoned:
                return False
            for _ in bodies:
                self._queue.popleft()
            self._queued_bytes -= size
        return True

    def _from_spool(self, client: httpx.Client) -> bool:
        if self._spool is None or self._spool.backlog_bytes() == 0:
            return False
        chunk = self._spool.read(self._sent, SEND_BYTES)
        if chunk.after <= self._sent:
            return False
        if chunk.records and not self._deliver(client, [bytes(r.body) for r in chunk.records]):
            return False
        with self._lock:
            if self._abandoned:
                return False
            self._sent = chunk.after
            self._write_sent()
            self._spool.forget(chunk.after)
        return True

    def _deliver(self, client: httpx.Client, bodies: list[bytes]) -> bool:
        """Sends until the backend has decided; False when we are to stop before it has."""
        wait_s = FIRST_WAIT_S
        while True:
            told_s: float | None = None
            try:
                answer = client.post(self._url, content=b"".join(bodies))
            except httpx.HTTPError as error:
                self._complain(
                    f"the backend cannot be reached: {str(error) or type(error).__name__}"
                )
            else:
                if answer.is_success:
                    self._requests.add(len(bodies), "sent")
                    self._rejected.add(_rejected(answer))
                    return True
                self._complain(f"the backend answers HTTP {answer.status_code}")
                if answer.status_code not in RETRYABLE:
                    return self._refused(client, bodies)
                told_s = _told_wait(answer)
            if self._stopping.is_set():
                return False
            # so that many collectors do not come back at once
            pause = told_s if told_s is not None else wait_s * random.uniform(0.5, 1.0)  # noqa: S311
            if self._stopping.wait(pause):
                return False
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _refused(self, client: httpx.Client, bodies: list[bytes]) -> bool:
        """One of several may be what it does not like: halves are tried by themselves."""
        if len(bodies) == 1:
            self._requests.add(1, "refused")
            return True
        middle = len(bodies) // 2
        return self._deliver(client, bodies[:middle]) and self._deliver(client, bodies[middle:])

    def _complain(self, text: str) -> None:
        now = time.monotonic()
        if now - self._told.get(text, -_COMPLAIN_S) >= _COMPLAIN_S:
            self._told[text] = now
            log.warning("--forward: %s", text)

    def _write_sent(self) -> None:
        if self._sent_file is not None:
            beside = self._sent_file.with_suffix(".new")
            beside.write_text(f"{self._sent.segment} {self._sent.byte_offset}\n")
            beside.replace(self._sent_file)


def _read(sent: Path) -> Position | None:
    try:
        segment, offset = sent.read_text().split()
        return Position(int(segment), int(offset))
    except (OSError, ValueError):
        return None


def _rejected(answer: httpx.Response) -> int:
    try:
        told = ExportTraceServiceResponse.FromString(answer.content)
    except DecodeError:
        return 0
    return told.partial_success.rejected_spans


def _told_wait(answer: httpx.Response) -> float | None:
    """``Retry-After`` as seconds, whether it tells these or a date."""
    told = answer.headers.get("retry-after", "").strip()
    if told.isascii() and told.isdigit():
        return min(float(told[:9]), LONGEST_TOLD_WAIT_S)
    try:
        until = email.utils.parsedate_to_datetime(told).timestamp()
    except (ValueError, TypeError):
        return None
    return min(max(0.0, until - time.time()), LONGEST_TOLD_WAIT_S)
