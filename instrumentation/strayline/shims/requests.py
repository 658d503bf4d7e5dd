"""requests: one CLIENT span per request on the wire, redirects each their own.

``Session.send`` is what every request passes; it sends itself anew for each redirect, from within
``resolve_redirects``, which is where the span of a redirected request ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from opentelemetry import context, trace
from opentelemetry.trace import Span
from requests.sessions import SessionRedirectMixin

from strayline.failure import failed
from strayline.guard import survived
from strayline.patching import Patches
from strayline.propagation import inject
from strayline.shims.http_client import HttpClient
from strayline.shims.http_spans import SUPPRESS_HTTP, suppressed

_patches: Final = Patches()
_BEGIN: Final = survived("tracing a request of requests")
_END: Final = survived("tracing a response to requests")
_VERSIONS: Final = {9: "0.9", 10: "1.0", 11: "1.1", 20: "2"}
_side: HttpClient | None = None


def on() -> None:
    """Instruments every session."""
    global _side
    _side = HttpClient("requests", "REQUESTS")
    _patches.wrap(requests.Session, "send", _send)
    _patches.wrap(SessionRedirectMixin, "resolve_redirects", _redirected)


def off() -> None:
    global _side
    _patches.undo()
    _side = None


class _Call:
    """A request whose response is awaited."""

    __slots__ = ("_outer", "_span", "_token", "request")

    def __init__(self, request: requests.PreparedRequest, span: Span) -> None:
        self.request: Any = request
        self._span = span
        # urllib3 underneath may be instrumented as well
        self._token: Any = context.attach(
            context.set_value(SUPPRESS_HTTP, True, trace.set_span_in_context(span))
        )
        self._outer = _open.call
        _open.call = self

    def end(self, response: Any = None, error: BaseException | None = None) -> None:
        """Idempotent."""
        if self.request is None:
            return
        self.request = None
        _open.call = self._outer
        context.detach(self._token)
        with _END:
            side = _side
            if error is not None:
                failed(self._span, error)
            elif side is not None and response is not None:
                version = _VERSIONS.get(getattr(response.raw, "version", 0))
                side.answered(self._span, response.status_code, version, response.headers.items())
        self._span.end()


class _Open(threading.local):
    call: _Call | None = None


_open: Final = _Open()


def _send(original: Callable[..., Any]) -> Callable[..., Any]:
    contrib = getattr(original, "opentelemetry_instrumentation_requests_applied", False)

    def send(self: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> Any:
        call = None if contrib else _begin(request)
        if call is None:
            return original(self, request, **kwargs)
        try:
            response = original(self, request, **kwargs)
        except BaseException as error:
            call.end(error=error)
            raise
        call.end(response)
        return response

    return send


def _redirected(original: Callable[..., Any]) -> Callable[..., Any]:
    def resolve_redirects(self: Any, resp: Any, req: Any, *args: Any, **kwargs: Any) -> Any:
        call = _open.call
        if call is not None and call.request is req:
            call.end(resp)
        return original(self, resp, req, *args, **kwargs)

    return resolve_redirects


def _begin(request: requests.PreparedRequest) -> _Call | None:
    with _BEGIN:
        side = _side
        if side is None or suppressed(context.get_current()):
            return None
        url = request.url or ""
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname
        if not host or scheme not in ("http", "https"):  # an adapter for something else
            return None
        headers: Any = request.headers
        span = side.begin(
            request.method or "", url, scheme, host, parts.port, (headers or {}).items()
        )
        if span is None:
            return None
        if headers is not None:
            headers.update(inject(span))
        return _Call(request, span)
    return None
