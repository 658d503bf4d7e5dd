"""One client of a door: its bytes become requests on llhttp's parser, and every part is bounded."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from io import BytesIO
from typing import Final

import httptools

from strayline_collector.errors import StraylineError, TooLarge
from strayline_collector.receive.http_request import Door, Request

log = logging.getLogger(__name__)

_PIPELINED: Final = 64
_PLAIN: Final = "text/plain; charset=utf-8"
_UNTIL_BODY_RATE_S: Final = 5.0


class Unanswered(Exception):
    """A request that never became one; the connection is told in plain text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Connection(asyncio.Protocol):
    """One client: parses, keeps answers in the order of requests, and runs out of patience."""

    def __init__(self, server: Door, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self._loop = loop
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # until it is made
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._current: Request | None = None
        self._parts: BytesIO | None = None
        self._whole = b""
        self._size = 0
        self._url = b""
        self._declined = b""
        self._head_bytes = 0
        self._fed_bytes = 0
        self._in_head = False
        self._since = loop.time()
        """When the head, the body or the idling began."""
        self._heard = self._since
        self._closing = False
        self._lingering = False
        self._paused = False
        self._choked_at: float | None = None

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self.server.stopping or not self.server.made(self):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.lost(self)
        self._closing = True
        self._drop_body()
        self._current = None

    def eof_received(self) -> bool:
        # a client may half-close after its request and still wait for the answer
        if not self._waiting or self._lingering or self._current is not None:
            return False
        self._waiting[-1].close = True
        return True

    def pause_writing(self) -> None:
        self._choked_at = self._loop.time()
        self._transport.pause_reading()
        self._paused = True

    def resume_writing(self) -> None:
        self._choked_at = None
        self._resume()

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        size, in_head = len(data), self._in_head
        while data and not self._closing:
            try:
                self._parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as upgrade:
                # an offer (h2c) that we decline by going on as if it had not been made
                data = self._declined + data[upgrade.args[0] :] if self._declined else b""
                self._declined = b""
                self._parser = httptools.HttpRequestParser(self)
            except httptools.HttpParserError as error:
                self._give_up(_why(error))
                return
        if in_head and self._in_head and not self._closing:
            # a header without end, which the parser keeps to itself
            self._fed_bytes += size
            if self._fed_bytes > self.server.limits.head_bytes:
                self._give_up(Unanswered(431, "the request's head is too large"))

    # -- the parser's side

    def on_message_begin(self) -> None:
        if self._closing:
            return
        self._current = Request(self)
        self._url = b""
        self._head_bytes = self._fed_bytes = 0
        self._in_head = True
        self._since = self._heard

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._current
        if request is None:
            return
        self._count_head(len(name) + len(value))
        headers = request.headers
        name = name.lower()
        headers[name] = headers[name] + b", " + value if name in headers else value
        if len(headers) > self.server.limits.headers:
            raise Unanswered(431, "too many headers")

    def on_headers_complete(self) -> None:
        request = self._current
        if request is None:
            return
        self._in_head = False
        self._since = self._heard
        self._size = 0
        request.method = self._parser.get_method().decode("latin-1")
        if self._parser.should_upgrade() and request.method != "CONNECT":
            self._declined = _without_offer(request, self._url)
            self._current = None
            return
        request.path = _path(self._url)
        request.close = (
            self.server.stopping
            or not self._parser.should_keep_alive()
            or self._parser.get_http_version() == "1.0"
        )
        self._waiting.append(request)
        limits = self.server.limits
        length = int(request.headers.get(b"content-length", b"0"))
        expects = request.headers.get(b"expect", b"").lower() == b"100-continue"
        try:
            self.server.handler.begin(request)
            if length > limits.body_bytes:
                raise TooLarge(f"the body is larger than {limits.body_bytes:,} bytes")
            self.server.budget.reserve(length)
            request.held = length
        except StraylineError as error:
            # too large is not worth reading to its end; one that waits for our word may never come
            self._refuse(request, error, close=expects or length > limits.body_bytes)
            return
        if expects and len(self._waiting) == 1:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        request = self._current
        if request is None or request.refused:
            return
        self._size += len(part)
        try:
            if self._size > self.server.limits.body_bytes:
                raise TooLarge(f"the body is larger than {self.server.limits.body_bytes:,} bytes")
            if self._size > request.held:
                request.hold(self._size - request.held)
        except StraylineError as error:
            self._refuse(request, error, close=True)
            return
        if self._parts is not None:
            self._parts.write(part)
        elif self._whole:
            # hands out what it holds without a copy of it
            self._parts = BytesIO()
            self._parts.write(self._whole)
            self._parts.write(part)
            self._whole = b""
        else:
            self._whole = part

    def on_message_complete(self) -> None:
        request = self._current
        self._current = None
        self._since = self._heard
        if request is None or request.refused:
            return
        request.complete = True
        request.body = self._whole if self._parts is None else self._parts.getvalue()
        self._parts, self._whole = None, b""
        self.server.fresh.pop(self, None)
        try:
            self.server.handler.take(request)
        except Exception as error:  # noqa: BLE001  # every request is answered
            self.server.handler.fail(request, error)
        if len(self._waiting) > _PIPELINED and not self._paused and not self._closing:
            self._transport.pause_reading()
            self._paused = True

    # -- answers

    def answered(self, request: Request) -> None:
        """Writes what is due: answers leave in the order of their requests."""
        waiting = self._waiting
        while waiting and (answer := waiting[0].answer) is not None:
            first = waiting.popleft()
            if self._transport.is_closing() or self._lingering:
                continue
            self._transport.write(answer)
            if first.close:
                self._finish(whole=first.complete or first is not self._current)
                return
        if self._paused and self._choked_at is None and len(waiting) < _PIPELINED // 2:
            self._resume()

    def idle(self) -> bool:
        """Whether nothing would be lost by closing."""
        return not self._waiting and (self._current is None or self._in_head)

    def close_when_answered(self) -> None:
        if self.idle():
            self._closing = True
            self._transport.close()
            return
        if self._waiting:
            self._waiting[-1].close = True
        self.server.fresh.pop(self, None)

    def abort(self) -> None:
        self._closing = True
        self._transport.abort()

    def check(self, now: float) -> None:
        """Ends what takes too long."""
        limits = self.server.limits
        if self._choked_at is not None and now - self._choked_at > limits.body_idle_s:
            self.abort()
        elif self._lingering:
            if now - self._since > limits.linger_s:
                self.abort()
        elif self._in_head:
            if now - self._since > limits.head_s:
                self._give_up(Unanswered(408, "the request's head took too long"))
        elif self._current is not None:
            elapsed = now - self._since
            slow = elapsed > _UNTIL_BODY_RATE_S and self._size < limits.body_bytes_per_s * (
                elapsed - _UNTIL_BODY_RATE_S
            )
            if not self._paused and (slow or now - self._heard > limits.body_idle_s):
                self._give_up(Unanswered(408, "the request's body took too long"))
        elif not self._waiting:
            patience = limits.head_s if self in self.server.fresh else limits.keep_alive_s
            if now - self._since > patience:
                self._closing = True
                self._transport.close()

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self.server.limits.head_bytes:
            raise Unanswered(431, "the request's head is too large")

    def _refuse(self, request: Request, error: Exception, *, close: bool) -> None:
        request.refused = True
        request.close = request.close or close
        self._drop_body()
        self.server.handler.fail(request, error)

    def _give_up(self, why: Unanswered) -> None:
        """Answers in plain text what cannot be answered otherwise, and closes."""
        request = self._current or Request(self)
        self._current = None
        self._drop_body()
        if request.answer is not None:
            self._finish(whole=False)
            return
        if request not in self._waiting:
            self._waiting.append(request)
        request.refused = request.close = True
        self._in_head = False
        request.reply(why.status, _PLAIN, f"{why}\n".encode())

    def _drop_body(self) -> None:
        self._parts, self._whole = None, b""
        request = self._current
        if request is not None and not request.complete and request.held:
            self.server.budget.release(request.held)
            request.held = 0

    def _finish(self, *, whole: bool) -> None:
        """Closes after an answer. What the client still sends is read and dropped for a while:
        closing on unread data would reset the connection and take the answer with it."""
        self._closing = True
        if whole:
            self._transport.close()
            return
        self._lingering = True
        self._since = self._loop.time()
        self._resume()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _resume(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()


def _without_offer(request: Request, url: bytes) -> bytes:
    """A request's head, less its wish to speak another protocol afterwards."""
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("latin-1"), url)]
    lines += [
        b"%s: %s" % item
        for item in request.headers.items()
        if item[0] not in (b"connection", b"upgrade", b"http2-settings")
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _path(url: bytes) -> str:
    if not url.startswith(b"/"):
        try:
            url = httptools.parse_url(url).path or b"/"
        except httptools.HttpParserInvalidURLError:
            url = b"/"
    return url.partition(b"?")[0].decode("latin-1")


def _why(error: httptools.HttpParserError) -> Unanswered:
    cause = error.__context__
    if isinstance(cause, Unanswered):
        return cause
    if isinstance(cause, Exception):
        log.error("a request failed", exc_info=cause)
        return Unanswered(500, "internal error")
    return Unanswered(400, "this is no HTTP/1.1 request (gRPC and TLS have ports of their own)")
