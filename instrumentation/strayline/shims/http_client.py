"""One CLIENT span for each HTTP request on the wire, by the semantic conventions 1.44.

A span begins before the request is sent and ends when the response's headers are in, or with the
error. A streamed body is read later, by the application, and its time is the application's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from opentelemetry.trace import Span, SpanKind, StatusCode

from strayline import conventions as c
from strayline import redact
from strayline.provider import tracer
from strayline.shims.http_spans import Side

DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class HttpClient(Side):
    """How one client library's requests are recorded."""

    old = {  # noqa: RUF012 - read only
        c.HTTP_REQUEST_METHOD: "http.method",
        c.URL_FULL: "http.url",
        c.URL_SCHEME: "http.scheme",
        c.SERVER_ADDRESS: "net.peer.name",
        c.SERVER_PORT: "net.peer.port",
        c.HTTP_RESPONSE_STATUS_CODE: "http.status_code",
        c.NETWORK_PROTOCOL_VERSION: "http.flavor",
    }

    def __init__(self, scope: str, library: str) -> None:
        super().__init__(scope, library, "CLIENT")

    def begin(
        self,
        method: str,
        url: str,
        scheme: str,
        host: str,
        port: int | None,
        headers: Iterable[tuple[Any, Any]],
    ) -> Span | None:
        """Starts the span; None when the URL is one that is not traced. ``headers`` are looked at
        only if some are to be recorded."""
        if self.excluded is not None and self.excluded.search(url):
            return None
        attributes: dict[str, Any] = {
            c.HTTP_REQUEST_METHOD: method,
            c.URL_FULL: redact.url(url),
            c.SERVER_ADDRESS: host,
            c.SERVER_PORT: port or DEFAULT_PORTS.get(scheme, 0),
        }
        name = method if method in self.known else self.method(method, attributes)
        if self.request_headers is not None:
            attributes.update(self.request_headers.attributes(headers))
        if not self.plain:
            if self.dup:
                attributes[c.URL_SCHEME] = scheme
            attributes = self.finished(attributes)
        return tracer(self.scope).start_span(name, kind=SpanKind.CLIENT, attributes=attributes)

    def answered(
        self, span: Span, status: int, version: str | None, headers: Iterable[tuple[Any, Any]]
    ) -> None:
        """Notes the response. ``version`` is HTTP's: ``1.1``, ``2``."""
        attributes: dict[str, Any] = {c.HTTP_RESPONSE_STATUS_CODE: status}
        if version is not None:
            attributes[c.NETWORK_PROTOCOL_VERSION] = version
        if status >= 400:
            attributes[c.ERROR_TYPE] = str(status)
            span.set_status(StatusCode.ERROR)
        if self.response_headers is not None:
            attributes.update(self.response_headers.attributes(headers))
        span.set_attributes(attributes if self.plain else self.finished(attributes))
