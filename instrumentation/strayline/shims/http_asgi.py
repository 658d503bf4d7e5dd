"""An HTTP request as ASGI has it, for every framework that speaks ASGI."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from opentelemetry.context import Context

from strayline.guard import survived
from strayline.redact import MAX_TEXT
from strayline.shims.http_server import MAX_TRACE_HEADER, Exchange, HttpServer

_HEARING: Final = survived("tracing a response")
_WIRE: Final = {
    name: name.encode() for name in ("host", "user-agent", "traceparent", "tracestate", "baggage")
}
_LISTS: Final = frozenset({"tracestate", "baggage"})
"""Headers that may come in several lines and mean one list."""


class AsgiExchange(Exchange):
    """One request; ``send`` goes to the application in place of the server's.

    The span ends when the last part of the body is handed to the server, so that background tasks
    do not count. A server error waits for the application to return: the exception comes after it.
    """

    __slots__ = ("_send", "_trailers")

    def __init__(
        self,
        server: HttpServer,
        begun: tuple[Any, Any],
        method: str,
        send: Callable[[Mapping[str, Any]], Any],
    ) -> None:
        super().__init__(server, *begun, method)
        self._send = send
        self._trailers = False

    def send(self, event: Mapping[str, Any]) -> Any:
        """Listens, and passes on: the awaitable is the server's own."""
        with _HEARING:
            kind = event["type"]
            if kind == "http.response.body":
                over = not event.get("more_body") and not self._trailers
            elif kind == "http.response.start":
                self.answered(event["status"], event.get("headers", ()))
                self._trailers = bool(event.get("trailers"))
                over = False
            else:
                over = kind == "http.response.pathsend" or (
                    kind == "http.response.trailers" and not event.get("more_trailers")
                )
            if over and self._status < 500:
                self.end()
        return self._send(event)


class _Headers:
    __slots__ = ("_pairs", "_table")

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._pairs = pairs
        self._table = dict(pairs)

    def get(self, name: str) -> str | None:
        wire = _WIRE.get(name) or name.encode("latin-1")
        value = self._table.get(wire)
        if value is None:
            return None
        if name in _LISTS:
            value = b",".join([each for header, each in self._pairs if header == wire])
        return value.decode("latin-1") if len(value) <= MAX_TRACE_HEADER else None

    def keys(self) -> list[str]:
        return [name.decode("latin-1") for name in self._table]


def begin(server: HttpServer, scope: Mapping[str, Any], current: Context) -> tuple[Any, Any] | None:
    """Span and context token of the request that ``scope`` tells; see ``HttpServer.begin``."""
    pairs = scope["headers"]
    if not isinstance(pairs, (list, tuple)):  # an iterator is the application's to use up
        pairs = ()
    headers = _Headers(pairs)
    query = scope.get("query_string")
    client = scope.get("client")
    return server.begin(
        current,
        headers.get,
        headers.keys,
        pairs,
        scope["method"],
        scope.get("scheme") or "http",
        scope["path"],
        query[:MAX_TEXT].decode("latin-1") if query else "",
        scope.get("server"),
        client[0] if client else None,
        scope.get("http_version"),
    )
