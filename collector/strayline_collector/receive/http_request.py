"""One HTTP request as a door of telemetry sees it: what it may cost, what it brings, its one answer."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol

from strayline_collector.errors import StraylineError
from strayline_collector.memory import Budget

_REASONS: Final = {s.value: s.phrase for s in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one door. Times in seconds."""

    body_bytes: int
    """Before and after decompression."""
    head_bytes: int = 64 * 1024
    headers: int = 100
    head_s: float = 10.0
    """From the first byte of a request to the end of its head; a fresh connection's too."""
    body_idle_s: float = 10.0
    body_bytes_per_s: int = 64 * 1024
    """On average after the first five seconds: a body that drips holds memory hostage."""
    keep_alive_s: float = 75.0
    linger_s: float = 5.0
    """How long a refused body is read and thrown away, so that the client sees the answer."""
    connections: int = 2048


class Request:
    """One request. ``reply`` is called exactly once, on the event loop."""

    __slots__ = (
        "_answer",
        "_connection",
        "body",
        "close",
        "complete",
        "headers",
        "held",
        "method",
        "path",
        "refused",
    )

    def __init__(self, connection: Line) -> None:
        self._connection = connection
        self._answer: bytes | None = None
        self.method = ""
        self.path = ""
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.held = 0
        """Bytes of the budget that this request has taken."""
        self.refused = False
        self.complete = False
        self.close = False

    def header(self, name: str) -> str:
        """A header's value by lower-case name; several are joined by commas, none is empty."""
        return self.headers.get(name.encode(), b"").decode("latin-1").strip()

    def hold(self, size: int) -> None:
        """Takes ``size`` more bytes of the memory budget until the answer. Raises ``Overloaded``."""
        self._connection.server.budget.grow(self.held, size)
        self.held += size

    def work(self, job: Coroutine[Any, Any, None]) -> None:
        """Runs ``job`` beside the event loop's other work; it must reply."""
        self._connection.server.spawn(job)

    def reply(
        self, status: int, media: str, body: bytes, extra: tuple[tuple[str, str], ...] = ()
    ) -> None:
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, '')}", f"content-type: {media}"]
        lines += [f"{name}: {value}" for name, value in extra]
        head = "\r\n".join(lines).encode("latin-1")
        self.reply_raw(head + b"\r\ncontent-length: %d" % len(body), body)

    def reply_raw(self, head: bytes, body: bytes) -> None:
        """As ``reply``, with the status line and headers as they go out, less what depends on the
        connection: the last line without its end."""
        server = self._connection.server
        if self.held:
            server.budget.release(self.held)
            self.held = 0
        if self.close:
            head += b"\r\nconnection: close"
        # what HEAD would get has no body, but its length
        self._answer = b"".join((head, server.date, b"" if self.method == "HEAD" else body))
        self._connection.answered(self)

    @property
    def answer(self) -> bytes | None:
        return self._answer


class Handler(Protocol):
    """What a door does with requests."""

    def begin(self, request: Request) -> None:
        """The head is there. Raises ``StraylineError`` to refuse the request before its body."""
        ...

    def take(self, request: Request) -> None:
        """The body is there: replies, now or later. May raise before it has."""
        ...

    def fail(self, request: Request, error: Exception) -> None:
        """Replies with an error."""
        ...


class Misdirected(StraylineError):
    """A request that its door never takes, with the HTTP and the gRPC code of the answer."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Door(Protocol):
    """What requests and connections know of the server that they belong to."""

    handler: Handler
    limits: Limits
    budget: Budget
    date: bytes
    """The date's header with the end of the head, as it goes out."""
    stopping: bool
    fresh: dict[Any, None]
    """Connections that have not sent one whole request yet."""

    def spawn(self, job: Coroutine[Any, Any, None]) -> None:
        """Runs a job beside the event loop's other work."""
        ...

    def made(self, connection: Any) -> bool:
        """Counts a new connection in. False: there is no room."""
        ...

    def lost(self, connection: Any) -> None:
        """Forgets a connection."""
        ...


class Line(Protocol):
    """What a request knows of the connection that it came on."""

    server: Door

    def answered(self, request: Request) -> None:
        """An answer may be due."""
        ...
