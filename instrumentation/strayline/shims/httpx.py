"""httpx: one CLIENT span per request on the wire, redirects each their own.

``_send_single_request`` is the choke point that every transport passes, custom and ASGI ones too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import httpx
from opentelemetry import context, propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode

from strayline.conventions import ERROR_TYPE, SERVER_ADDRESS, SERVER_PORT
from strayline.guard import survived
from strayline.patching import Patches
from strayline.provider import tracer

_patches: Final = Patches()
SUPPRESS: Final = "suppress_instrumentation"
"""The context key by which OpenTelemetry's own exporters ask not to be traced."""
_SUPPRESS_HTTP: Final = "suppress_http_instrumentation"
_KNOWN: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}
)


def on() -> None:
    """Instruments both clients."""
    _patches.wrap(httpx.Client, "_send_single_request", _sync)
    _patches.wrap(httpx.AsyncClient, "_send_single_request", _async)


def off() -> None:
    _patches.undo()


def _sync(original: Callable[..., httpx.Response]) -> Callable[..., httpx.Response]:
    def send(self: httpx.Client, request: httpx.Request) -> httpx.Response:
        span = _begin(self, request)
        if span is None:
            return original(self, request)
        with trace.use_span(
            span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        ):
            try:
                response = original(self, request)
            except BaseException as error:
                _failed(span, error)
                raise
            _answered(span, response)
            return response

    return send


def _async(original: Callable[..., Any]) -> Callable[..., Any]:
    async def send(self: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
        span = _begin(self, request)
        if span is None:
            return await original(self, request)
        with trace.use_span(
            span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        ):
            try:
                response = await original(self, request)
            except BaseException as error:
                _failed(span, error)
                raise
            _answered(span, response)
            return response

    return send


def _begin(client: Any, request: httpx.Request) -> Span | None:
    """Starts the span and puts its context on the request; None when somebody else has."""
    if (context.get_value(SUPPRESS) or context.get_value(_SUPPRESS_HTTP)) or getattr(
        client, "_is_instrumented_by_opentelemetry", False
    ):
        return None
    span: Span | None = None
    with survived("tracing an httpx request"):
        url = request.url
        method = request.method if request.method in _KNOWN else "_OTHER"
        attributes: dict[str, Any] = {
            "http.request.method": method,
            "url.full": str(url.copy_with(username=None, password=None))
            if url.userinfo
            else str(url),
            SERVER_ADDRESS: url.host,
            SERVER_PORT: url.port or (443 if url.scheme == "https" else 80),
        }
        if method == "_OTHER":
            attributes["http.request.method_original"] = request.method
        span = tracer("httpx").start_span(
            "HTTP" if method == "_OTHER" else method, kind=SpanKind.CLIENT, attributes=attributes
        )
        propagate.inject(request.headers, trace.set_span_in_context(span))
    return span


def _answered(span: Span, response: httpx.Response) -> None:
    with survived("tracing an httpx response"):
        span.set_attribute("http.response.status_code", response.status_code)
        version = response.extensions.get("http_version")
        if isinstance(version, bytes):
            span.set_attribute(
                "network.protocol.version", version.decode("ascii", "replace").removeprefix("HTTP/")
            )
        if response.status_code >= 400:
            span.set_attribute(ERROR_TYPE, str(response.status_code))
            span.set_status(StatusCode.ERROR)


def _failed(span: Span, error: BaseException) -> None:
    with survived("tracing an httpx failure"):
        span.set_attribute(ERROR_TYPE, type(error).__qualname__)
        if isinstance(error, Exception):
            span.record_exception(error)
        span.set_status(StatusCode.ERROR, str(error))
