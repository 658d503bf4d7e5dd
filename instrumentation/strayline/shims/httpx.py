"""httpx: one CLIENT span per request on the wire, redirects and the steps of an auth flow each
their own.

``_send_single_request`` is the choke point that every transport passes, custom and ASGI ones too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import httpx
from opentelemetry import context, trace
from opentelemetry.trace import Span

from strayline.failure import failed
from strayline.guard import survived
from strayline.patching import Patches
from strayline.propagation import inject
from strayline.shims.http_client import HttpClient
from strayline.shims.http_spans import suppressed

_patches: Final = Patches()
_BEGIN: Final = survived("tracing an httpx request")
_END: Final = survived("tracing an httpx response")
_FAIL: Final = survived("tracing an httpx failure")
_CONTRIB: Final = "opentelemetry.instrumentation.httpx"
_VERSIONS: Final = {b"HTTP/1.1": "1.1", b"HTTP/2": "2", b"HTTP/1.0": "1.0"}
_side: HttpClient | None = None


def on() -> None:
    """Instruments both clients."""
    global _side
    _side = HttpClient("httpx", "HTTPX")
    _patches.wrap(httpx.Client, "_send_single_request", _sync)
    _patches.wrap(httpx.AsyncClient, "_send_single_request", _async)


def off() -> None:
    global _side
    _patches.undo()
    _side = None


def _sync(original: Callable[..., httpx.Response]) -> Callable[..., httpx.Response]:
    mine = _side

    def send(self: httpx.Client, request: httpx.Request) -> httpx.Response:
        span = _begin(mine, self, request)
        if span is None:
            return original(self, request)
        token = context.attach(trace.set_span_in_context(span))
        try:
            response = original(self, request)
        except BaseException as error:
            with _FAIL:
                failed(span, error)
            raise
        else:
            _answered(span, response)
            return response
        finally:
            context.detach(token)
            span.end()

    return send


def _async(original: Callable[..., Any]) -> Callable[..., Any]:
    mine = _side

    async def send(self: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
        span = _begin(mine, self, request)
        if span is None:
            return await original(self, request)
        token = context.attach(trace.set_span_in_context(span))
        try:
            response = await original(self, request)
        except BaseException as error:
            with _FAIL:
                failed(span, error)
            raise
        else:
            _answered(span, response)
            return response
        finally:
            context.detach(token)
            span.end()

    return send


def _begin(side: HttpClient | None, client: Any, request: httpx.Request) -> Span | None:
    """Starts the span and puts its context on the request; None when it is not ours to trace, or
    the wrapper is one of before that somebody else has kept in place."""
    with _BEGIN:
        if (
            side is None
            or side is not _side
            or suppressed(context.get_current())
            or (_CONTRIB in sys.modules and _contrib_has(client, request.url))
        ):
            return None
        url = request.url
        span = side.begin(
            request.method,
            str(url),
            url.scheme,
            url.host,
            url.port,
            request.headers.raw if side.request_headers is not None else (),
        )
        if span is not None:
            for name, value in inject(span).items():  # update() takes three times as long
                request.headers[name] = value
        return span
    return None


def _answered(span: Span, response: httpx.Response) -> None:
    with _END:
        side = _side
        if side is not None and span.is_recording():
            version: Any = response.extensions.get("http_version")
            side.answered(
                span,
                response.status_code,
                _VERSIONS.get(version),
                response.headers.raw if side.response_headers is not None else (),
            )


def _contrib_has(client: Any, url: httpx.URL) -> bool:
    """Whether contrib traces this request. It does so in transports: one client's, when told to,
    the plain ones of the whole process, or in a transport of its own around another."""
    if getattr(client, "_is_instrumented_by_opentelemetry", False):
        return True
    transport = client._transport_for_url(url)
    if type(transport).__module__ == _CONTRIB:
        return True
    if isinstance(transport, (httpx.ASGITransport, httpx.WSGITransport, httpx.MockTransport)):
        return False
    # a transport of the application's own most likely hands on to a plain one
    plain: Any = httpx.HTTPTransport.handle_request
    return hasattr(plain, "__wrapped__")
