"""aiohttp's client: one CLIENT span per request on the wire, redirects each their own.

``ClientSession._request`` is what every request passes. Within it each redirect makes a new
``ClientRequest``, whose headers are its own: there a span begins, and the one before it ends. A
reconnect that aiohttp makes by itself belongs to the span that it rescues.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from opentelemetry import context
from opentelemetry.trace import Span

from strayline.failure import failed
from strayline.guard import survived
from strayline.patching import Patches
from strayline.propagation import inject
from strayline.shims.http_client import HttpClient
from strayline.shims.http_spans import suppressed

_patches: Final = Patches()
_BEGIN: Final = survived("tracing an aiohttp request")
_END: Final = survived("tracing an aiohttp response")
_CONTRIB: Final = "opentelemetry.instrumentation.aiohttp_client"
_side: HttpClient | None = None


def on() -> None:
    """Instruments every session."""
    global _side
    _side = HttpClient("aiohttp", "AIOHTTP_CLIENT")
    _patches.wrap(aiohttp.ClientSession, "_request", _request)
    _patches.wrap(ClientRequest, "__init__", _made)
    _patches.wrap(ClientRequest, "send", _sent)


def off() -> None:
    global _side
    _patches.undo()
    _side = None


class _Call:
    """One call of the application's, with the request that is on the wire."""

    __slots__ = ("request", "response", "side", "span")

    def __init__(self, side: HttpClient) -> None:
        self.side = side
        self.span: Span | None = None
        self.request: Any = None
        self.response: Any = None

    def begin(self, request: Any) -> None:
        """A request is about to be sent: the first, one more after a redirect, or the same again."""
        if getattr(self.response, "status", None) is not None:
            self.end()
        self.request, self.response = request, None
        if self.span is None:
            url = request.url
            self.span = self.side.begin(
                request.method,
                str(url),
                url.scheme,
                url.host or "",
                url.port,
                request.headers.items(),
            )
        if self.span is not None:
            request.headers.update(inject(self.span))

    def end(self, error: BaseException | None = None) -> None:
        """Idempotent."""
        span, response = self.span, self.response
        self.span = self.request = self.response = None
        if span is None:
            return
        with _END:
            status = getattr(response, "status", None)
            if status is not None:
                version = response.version
                told = f"{version.major}.{version.minor}" if version is not None else None
                self.side.answered(span, status, told, response.headers.items())
            # raise_for_status says nothing that the status does not
            if error is not None and (status is None or getattr(error, "status", None) != status):
                failed(span, error)
        span.end()


_call: Final[ContextVar[_Call | None]] = ContextVar("strayline_aiohttp_call", default=None)


def _request(original: Callable[..., Any]) -> Callable[..., Any]:
    side = _side

    async def request(self: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> Any:
        if side is not _side:  # a wrapper of before that somebody else has kept in place
            return await original(self, *args, **kwargs)
        if side is None or suppressed(context.get_current()) or _contrib_has(self):
            token = _call.set(None)
            try:
                return await original(self, *args, **kwargs)
            finally:
                _call.reset(token)
        call = _Call(side)
        token = _call.set(call)
        try:
            response = await original(self, *args, **kwargs)
        except BaseException as error:
            call.end(error)
            raise
        else:
            call.end()
            return response
        finally:
            _call.reset(token)

    return request


def _made(original: Callable[..., None]) -> Callable[..., None]:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        call = _call.get()
        # the connector's own request to a proxy belongs to no session
        if call is not None and kwargs.get("session") is not None:
            with _BEGIN:
                call.begin(self)

    return __init__


def _sent(original: Callable[..., Any]) -> Callable[..., Any]:
    async def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        response = await original(self, *args, **kwargs)
        call = _call.get()
        if call is not None and call.request is self:
            call.response = response
        return response

    return send


def _contrib_has(session: Any) -> bool:
    return _CONTRIB in sys.modules and any(
        getattr(heard, "__module__", None) == _CONTRIB
        for config in session.trace_configs
        for heard in config.on_request_start
    )
