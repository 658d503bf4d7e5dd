"""One SERVER span for each HTTP request that comes in, by the semantic conventions 1.44.

The span begins when the server calls the application and ends when the last part of the response
is handed back. Addresses are as the server tells them: whoever trusts ``X-Forwarded-For`` or
``Forwarded`` says so to the server, which knows its proxies.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode

from strayline import conventions as c
from strayline import redact
from strayline.failure import failed
from strayline.guard import survived
from strayline.propagation import extract, remote_parent
from strayline.provider import tracer
from strayline.shims.http_client import DEFAULT_PORTS
from strayline.shims.http_spans import Side, suppressed

MAX_AGENT: Final = 1024
"""Characters kept of a user agent."""
MAX_HOST: Final = 261
"""A DNS name, a colon and a port."""
MAX_TRACE_HEADER: Final = 8192
"""Longer trace headers are nobody's."""
MARK: Final = "strayline.traced"
"""In an ASGI scope or WSGI environ: the ``Exchange``, or None for a request that is not ours."""

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:/?#@\[\]]+)(?::([0-9]{1,5}))?")
_BEGIN: Final = survived("tracing a request")
_END: Final = survived("ending a request's span")


class Exchange:
    """One request until it is answered. The ASGI and WSGI forms of it hear the response."""

    __slots__ = ("_ended", "_error", "_method", "_server", "_status", "_token", "route", "span")

    def __init__(self, server: HttpServer, span: Span, token: Any, method: str) -> None:
        self.span = span
        self.route: str | None = None
        self._error: BaseException | None = None
        self._server = server
        self._token = token
        self._method = method
        self._status = 0
        self._ended = False

    def answered(self, status: int, headers: Iterable[tuple[Any, Any]]) -> None:
        """The response begins."""
        self._status = status
        captured = self._server.response_headers
        if captured is not None:
            with _END:
                self.span.set_attributes(captured.attributes(headers))

    def failed(self, error: BaseException) -> None:
        """The application raised; unless the response was complete before."""
        if not self._ended:
            self._error = error

    def leave(self) -> None:
        """Gives back the context that was current before the request."""
        token, self._token = self._token, None
        if token is not None:
            context.detach(token)

    def end(self) -> None:
        """Ends the span. Idempotent."""
        if self._ended:
            return
        self._ended = True
        with _END:
            self._server.finish(self.span, self._method, self._status, self.route, self._error)
        self._error = None
        self.span.end()


class HttpServer(Side):
    """How one server library's requests are recorded."""

    old = {  # noqa: RUF012 - read only
        c.HTTP_REQUEST_METHOD: "http.method",
        c.URL_SCHEME: "http.scheme",
        c.SERVER_ADDRESS: "net.host.name",
        c.SERVER_PORT: "net.host.port",
        c.CLIENT_ADDRESS: "http.client_ip",
        c.USER_AGENT_ORIGINAL: "http.user_agent",
        c.HTTP_RESPONSE_STATUS_CODE: "http.status_code",
        c.NETWORK_PROTOCOL_VERSION: "http.flavor",
    }

    def __init__(self, scope: str, library: str) -> None:
        super().__init__(scope, library, "SERVER")

    def yields(self, current: Context, path: str) -> bool:
        """Whether this request is not to be traced here: it is suppressed, or somebody who wraps
        the application has a SERVER span for it already."""
        if not current:
            return False
        if suppressed(current):
            return True
        span: Any = trace.get_current_span(current)
        if getattr(span, "kind", None) is not SpanKind.SERVER or not span.is_recording():
            return False
        scope = getattr(getattr(span, "instrumentation_scope", None), "name", "")
        if scope.startswith("strayline."):
            return False
        told = getattr(span, "attributes", None) or {}
        target: Any = told.get(c.URL_PATH) or told.get("http.target")
        return not isinstance(target, str) or target.partition("?")[0] == path

    def begin(
        self,
        current: Context,
        get: Callable[[str], str | None],
        keys: Callable[[], Iterable[str]],
        headers: Iterable[tuple[Any, Any]],
        method: str,
        scheme: str,
        path: str,
        query: str,
        server: tuple[str, int | None] | None,
        client: str | None,
        version: str | None,
    ) -> tuple[Span, Any] | None:
        """Starts the span and makes it current; None when the URL is one that is not traced.
        ``get`` gives a header by its lower-case name, ``keys`` all their names."""
        host, port = _place(get("host"))
        if host is None and server is not None:
            host, port = server
        if self.excluded is not None:
            place = f"{host or ''}:{port}" if port else host or ""
            if self.excluded.search(f"{scheme}://{place}{path}"):
                return None
        attributes: dict[str, Any] = {
            c.HTTP_REQUEST_METHOD: method,
            c.URL_SCHEME: scheme,
            c.URL_PATH: path if len(path) <= redact.MAX_TEXT else path[: redact.MAX_TEXT],
        }
        if query:
            attributes[c.URL_QUERY] = redact.query(query)
        if host is not None:
            attributes[c.SERVER_ADDRESS] = host
            attributes[c.SERVER_PORT] = port or DEFAULT_PORTS.get(scheme, 80)
        if client:
            attributes[c.CLIENT_ADDRESS] = client
        if version:
            attributes[c.NETWORK_PROTOCOL_VERSION] = version
        agent = get("user-agent")
        if agent:
            attributes[c.USER_AGENT_ORIGINAL] = agent[:MAX_AGENT]
        name = method if method in self.known else self.method(method, attributes)
        if self.request_headers is not None:
            attributes.update(self.request_headers.attributes(headers))
        if not self.plain:
            if self.dup:
                found = attributes.get(c.URL_QUERY)
                path = attributes[c.URL_PATH]
                attributes["http.target"] = f"{path}?{found}" if found else path
            attributes = self.finished(attributes)
        parent = extract(get, keys)
        inner = parent
        if current:  # not so under a server, which calls from an empty context
            inner = Context({**current, **parent})
            if _is_within(current, parent):
                parent = current
        span = tracer(self.scope).start_span(
            name, context=parent, kind=SpanKind.SERVER, attributes=attributes
        )
        return span, context.attach(trace.set_span_in_context(span, inner))

    def finish(
        self, span: Span, method: str, status: int, route: str | None, error: BaseException | None
    ) -> None:
        """Notes how it went."""
        attributes: dict[str, Any] = {}
        if status:
            attributes[c.HTTP_RESPONSE_STATUS_CODE] = status
        if route:
            attributes[c.HTTP_ROUTE] = route
            span.update_name(f"{method if method in self.known else 'HTTP'} {route}")
        if error is not None:
            failed(span, error)
        elif status >= 500:
            attributes[c.ERROR_TYPE] = str(status)
            span.set_status(StatusCode.ERROR)
        if attributes:
            span.set_attributes(attributes if self.plain else self.finished(attributes))


def _is_within(current: Context, parent: Context) -> bool:
    """Whether the current span is nearer to this request than the one that its headers tell: there
    is none, or a middleware around the application has made a span of the same trace."""
    here = trace.get_current_span(current)
    if not here.is_recording():
        return False
    remote = remote_parent(parent)
    return remote is None or remote.trace_id == here.get_span_context().trace_id


def _place(host: str | None) -> tuple[str | None, int | None]:
    return (None, None) if host is None or len(host) > MAX_HOST else _parsed(host)


@functools.lru_cache(512)
def _parsed(host: str) -> tuple[str | None, int | None]:
    found = _HOST.fullmatch(host)
    if found is None:
        return None, None
    port = int(found[2]) if found[2] else None
    return found[1].strip("[]"), port if port and port < 65536 else None
