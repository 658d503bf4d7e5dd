"""Django: one SERVER span per HTTP request, under WSGI and ASGI.

The handlers that a server calls are what is instrumented, not the list of middleware: no setting
is read before Django reads it, none is changed, and the span covers every middleware.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import got_request_exception
from opentelemetry import context

from strayline.guard import survived
from strayline.imports import Watch, when_imported
from strayline.patching import Patches
from strayline.shims import http_asgi, http_wsgi
from strayline.shims.http_server import MARK, Exchange, HttpServer

_patches: Final = Patches()
_BEGIN: Final = survived("tracing a request")
_NAMING: Final = survived("naming a request")
_FAIL: Final = survived("tracing a failed request")
_CONTRIB: Final = "opentelemetry.instrumentation.django"
_ASGI: Final = "django.core.handlers.asgi"
_server: HttpServer | None = None
_asgi: Watch | None = None


def on() -> None:
    """Instruments both handlers; the one for ASGI when it is imported, since that takes long."""
    global _server, _asgi
    _server = HttpServer("django", "DJANGO")
    _patches.wrap(WSGIHandler, "__call__", _wsgi_call)
    _patches.wrap(BaseHandler, "resolve_request", _resolved)
    got_request_exception.connect(_raised, dispatch_uid=MARK)
    _asgi = when_imported((_ASGI,), _asgi_on)


def off() -> None:
    global _server, _asgi
    if _asgi is not None:
        _asgi.cancel()
    got_request_exception.disconnect(dispatch_uid=MARK)
    _patches.undo()
    _server = _asgi = None


def _asgi_on() -> None:
    _patches.wrap(sys.modules[_ASGI].ASGIHandler, "__call__", _asgi_call)


def _wsgi_call(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, environ: Any, start_response: Callable[..., Any]) -> Any:
        exchange = None if MARK in environ else _wsgi_begin(environ, start_response)
        if exchange is None:
            return original(self, environ, start_response)
        try:
            response = original(self, environ, exchange.start_response)
        except BaseException as error:
            exchange.failed(error)
            exchange.end()
            raise
        finally:
            exchange.leave()
        if getattr(response, "streaming", False):
            return http_wsgi.handed_back(exchange, response)
        exchange.end()
        return response

    return call


def _asgi_call(original: Callable[..., Any]) -> Callable[..., Any]:
    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        http = scope["type"] == "http" and MARK not in scope
        exchange = _asgi_begin(scope, send) if http else None
        if exchange is None:
            await original(self, scope, receive, send)
            return
        try:
            await original(self, scope, receive, exchange.send)
        except BaseException as error:
            exchange.failed(error)
            raise
        finally:
            exchange.end()
            exchange.leave()

    return call


def _wsgi_begin(environ: Any, start_response: Any) -> http_wsgi.WsgiExchange | None:
    with _BEGIN:
        server = _server
        if server is None:
            return None
        current = context.get_current()
        path = http_wsgi.path_of(environ)
        environ[MARK] = None
        if (current and server.yields(current, path)) or _contrib_has():
            return None
        begun = http_wsgi.begin(server, environ, current, path)
        if begun is None:
            return None
        exchange = environ[MARK] = http_wsgi.WsgiExchange(server, begun, environ, start_response)
        return exchange
    return None


def _asgi_begin(scope: Any, send: Any) -> http_asgi.AsgiExchange | None:
    with _BEGIN:
        server = _server
        if server is None:
            return None
        current = context.get_current()
        scope[MARK] = None
        if (current and server.yields(current, scope["path"])) or _contrib_has():
            return None
        begun = http_asgi.begin(server, scope, current)
        if begun is None:
            return None
        exchange = scope[MARK] = http_asgi.AsgiExchange(server, begun, scope["method"], send)
        return exchange
    return None


def _contrib_has() -> bool:
    return _CONTRIB in sys.modules and any(
        name.startswith(_CONTRIB) for name in getattr(settings, "MIDDLEWARE", None) or ()
    )


def _exchange(request: Any) -> Exchange | None:
    carrier = getattr(request, "scope", None) or getattr(request, "environ", None) or {}
    return carrier.get(MARK)


def _resolved(original: Callable[..., Any]) -> Callable[..., Any]:
    def resolve_request(self: Any, request: Any) -> Any:
        found = original(self, request)
        with _NAMING:
            exchange = _exchange(request)
            route = getattr(request.resolver_match, "route", None)
            if exchange is not None and route is not None:
                root = request.path[: len(request.path) - len(request.path_info)]
                exchange.route = f"{root.rstrip('/')}/{route.removeprefix('^')}"
        return found

    return resolve_request


def _raised(sender: Any, request: Any = None, **_: Any) -> None:
    """An exception that Django turns into a response; it is the one being handled."""
    with _FAIL:
        exchange = _exchange(request)
        error = sys.exc_info()[1]
        if exchange is not None and error is not None:
            exchange.failed(error)
