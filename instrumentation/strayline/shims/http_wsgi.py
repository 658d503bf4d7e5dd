"""An HTTP request as WSGI has it, for every framework that speaks WSGI."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from opentelemetry import context, trace
from opentelemetry.context import Context

from strayline.guard import survived
from strayline.redact import MAX_TEXT
from strayline.shims.http_server import MAX_TRACE_HEADER, Exchange, HttpServer

_HEARING: Final = survived("tracing a response")
_ENVIRON: Final = {
    "host": "HTTP_HOST",
    "user-agent": "HTTP_USER_AGENT",
    "traceparent": "HTTP_TRACEPARENT",
    "tracestate": "HTTP_TRACESTATE",
    "baggage": "HTTP_BAGGAGE",
}


class WsgiExchange(Exchange):
    """One request; ``start_response`` goes to the application in place of the server's."""

    __slots__ = ("_start_response", "environ")

    def __init__(
        self,
        server: HttpServer,
        begun: tuple[Any, Any],
        environ: Mapping[str, Any],
        start_response: Callable[..., Any],
    ) -> None:
        super().__init__(server, *begun, environ["REQUEST_METHOD"])
        self._start_response = start_response
        self.environ = environ

    def start_response(self, status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        """Listens, and passes on."""
        with _HEARING:
            self.answered(int(status[:3]), headers)
            self.routed()
        return self._start_response(status, headers, *rest)

    def routed(self) -> None:
        """A chance to ask the framework for the route, while it still knows."""


class Body:
    """A response's body on its way to the server. The span is current while a part of it is made,
    and ends when the server closes it."""

    __slots__ = ("_closed", "_exchange", "_inner", "_parts")

    def __init__(self, exchange: WsgiExchange, parts: Iterable[bytes]) -> None:
        self._exchange = exchange
        self._parts = parts
        self._inner: Context | None = trace.set_span_in_context(exchange.span)
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        parts = iter(self._parts)
        while True:
            token = None if self._inner is None else context.attach(self._inner)
            try:
                part = next(parts)
            except StopIteration:
                return
            except BaseException as error:
                self._exchange.failed(error)
                raise
            finally:
                if token is not None:
                    context.detach(token)
            yield part

    def close(self) -> None:
        """What a server must call, whatever happened."""
        if self._closed:
            return
        self._closed = True
        try:
            close = getattr(self._parts, "close", None)
            if close is not None:
                close()
        finally:
            self._exchange.end()


def handed_back(exchange: WsgiExchange, parts: Any) -> Any:
    """The body to give to the server. A file stays as it is, and the span ends: the server tells it
    by its type and may have the kernel send it."""
    files = exchange.environ.get("wsgi.file_wrapper")
    if isinstance(files, type) and isinstance(parts, files):
        exchange.end()
        return parts
    return Body(exchange, parts)


class _Headers:
    __slots__ = ("_environ",)

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ

    def get(self, name: str) -> str | None:
        key = _ENVIRON.get(name) or f"HTTP_{name.upper().replace('-', '_')}"
        value = self._environ.get(key)
        return value if isinstance(value, str) and len(value) <= MAX_TRACE_HEADER else None

    def keys(self) -> list[str]:
        return [name for name, _ in self.items()]

    def items(self) -> Iterator[tuple[str, str]]:
        for key, value in self._environ.items():
            if key.startswith("HTTP_"):
                yield key[5:].replace("_", "-").lower(), value
            elif key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                yield key.replace("_", "-").lower(), value


def path_of(environ: Mapping[str, Any]) -> str:
    """The path, decoded. WSGI has UTF-8 octets in the guise of latin-1."""
    raw = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    return raw if raw.isascii() else raw.encode("latin-1", "replace").decode("utf-8", "replace")


def begin(
    server: HttpServer, environ: Mapping[str, Any], current: Context, path: str
) -> tuple[Any, Any] | None:
    """Span and context token of the request that ``environ`` tells; see ``HttpServer.begin``."""
    headers = _Headers(environ)
    name, port = environ.get("SERVER_NAME"), environ.get("SERVER_PORT")
    protocol = environ.get("SERVER_PROTOCOL", "")
    return server.begin(
        current,
        headers.get,
        headers.keys,
        headers.items(),
        environ["REQUEST_METHOD"],
        environ.get("wsgi.url_scheme") or "http",
        path,
        environ.get("QUERY_STRING", "")[:MAX_TEXT],
        (name, int(port) if port and port.isdigit() else None) if name else None,
        environ.get("REMOTE_ADDR"),
        protocol[5:] if protocol.startswith("HTTP/") else None,
    )
