"""Starlette and FastAPI: one SERVER span per HTTP request, with the route of mounted applications.

An application may be traced already: by contrib's middleware in its stack or around it, or by
FastAPI itself, which from 0.165 on makes spans, metrics and log records. We leave a request to
contrib wherever contrib has it. FastAPI's own telemetry we leave alone where somebody has set it
up (a provider of its own, metrics or logs); where nobody has, it yields to us by a key in the scope.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

from opentelemetry import context
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from strayline.guard import survived
from strayline.imports import Watch, when_imported
from strayline.patching import Patches
from strayline.provider import tracer
from strayline.shims.http_asgi import AsgiExchange, begin
from strayline.shims.http_server import MARK, HttpServer

_patches: Final = Patches()
_BEGIN: Final = survived("tracing a request")
_NAMING: Final = survived("naming a request")
_NATIVE: Final = "fastapi.telemetry"
_CONTRIB: Final = "opentelemetry.instrumentation.asgi"
_MAX_STACK: Final = 64
_NOTHING: Final[dict[str, Any]] = {}
_starlette: HttpServer | None = None
_fastapi: HttpServer | None = None
_watch: Watch | None = None


def on() -> None:
    """Instruments every application, those built before this call too."""
    global _starlette, _fastapi, _watch
    _starlette = HttpServer("asgi", "STARLETTE")
    _fastapi = HttpServer("asgi", "FASTAPI")
    _patches.wrap(Starlette, "__call__", _call)
    _patches.wrap(Mount, "handle", _mounted)
    _patches.wrap(Route, "handle", _routed)
    _watch = when_imported(("fastapi",), _fastapi_on)


def off() -> None:
    global _starlette, _fastapi, _watch
    if _watch is not None:
        _watch.cancel()
    _patches.undo()
    _starlette = _fastapi = _watch = None


def _fastapi_on() -> None:
    # before FastAPI's own telemetry, which its class starts
    _patches.wrap(sys.modules["fastapi"].FastAPI, "__call__", _call)


class _Exchange(AsgiExchange):
    """Knows the scope until its end, since only routing tells the route."""

    __slots__ = ("matched", "mounts", "scope")

    scope: MutableMapping[str, Any] | None
    mounts: str
    matched: Route | None

    def end(self) -> None:
        scope, self.scope = self.scope, None
        if scope is not None:
            with _NAMING:
                self.route = _route(scope, self.mounts, self.matched)
        super().end()


def _call(original: Callable[..., Any]) -> Callable[..., Any]:
    # a coroutine function as the original is: servers look at that to tell ASGI 2 from ASGI 3
    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        exchange = _begin(self, scope, send) if scope["type"] == "http" else None
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


def _begin(app: Any, scope: MutableMapping[str, Any], send: Any) -> _Exchange | None:
    with _BEGIN:
        if MARK in scope:
            scope.setdefault(_NATIVE, None)
            return None
        server = _fastapi if _is_fastapi(app) else _starlette
        if server is None:
            return None
        tracer("asgi")  # decides whose provider; FastAPI's telemetry asks for one
        current = context.get_current()
        if (
            (current and server.yields(current, scope["path"]))
            or _contrib_has(app)
            or _native_has(app, scope)
        ):
            scope[MARK] = None
            return None
        scope.setdefault(_NATIVE, None)
        begun = begin(server, scope, current)
        if begun is None:
            scope[MARK] = None
            return None
        exchange = scope[MARK] = _Exchange(server, begun, scope["method"], send)
        exchange.scope = scope
        exchange.matched = None
        exchange.mounts = ""
        return exchange
    return None


def _is_fastapi(app: Any) -> bool:
    fastapi = sys.modules.get("fastapi")
    return fastapi is not None and isinstance(app, fastapi.FastAPI)


def _contrib_has(app: Any) -> bool:
    """Whether contrib's middleware is in the stack. Its flag on the application tells only what
    will be built: an application instrumented after its first request has none."""
    if _CONTRIB not in sys.modules:
        return False
    stack = app.middleware_stack
    if stack is None:
        return getattr(app, "_is_instrumented_by_opentelemetry", False) or any(
            _is_contribs(middleware.cls) for middleware in app.user_middleware
        )
    for _ in range(_MAX_STACK):
        if stack is None or _is_contribs(type(stack)):
            return stack is not None
        stack = getattr(stack, "app", None)
    return False


def _is_contribs(kind: Any) -> bool:
    return getattr(kind, "__module__", "") == _CONTRIB


def _native_has(app: Any, scope: MutableMapping[str, Any]) -> bool:
    """Whether FastAPI's telemetry traces this request, or will because somebody has set it up."""
    if _NATIVE in scope:
        return getattr(scope[_NATIVE], "span", None) is not None
    config = getattr(app, "_telemetry", None)
    if not config or not config.get("tracing"):
        return False
    if config.get("tracer_provider") is not None or config.get("auto_configure"):
        return True
    from opentelemetry import _logs, metrics

    meters = config.get("meter_provider") or metrics.get_meter_provider()
    loggers = config.get("logger_provider") or _logs.get_logger_provider()
    return (config.get("metrics") and _is_set_up(meters)) or (
        config.get("logs") and _is_set_up(loggers)
    )


def _is_set_up(provider: Any) -> bool:
    return not type(provider).__name__.startswith(("_Proxy", "Proxy", "NoOp"))


def _mounted(original: Callable[..., Any]) -> Callable[..., Any]:
    def handle(self: Mount, scope: Any, receive: Any, send: Any) -> Any:
        exchange = scope.get(MARK)
        if exchange is not None:
            exchange.mounts += self.path
        return original(self, scope, receive, send)

    return handle


def _routed(original: Callable[..., Any]) -> Callable[..., Any]:
    # Starlette tells the route in the scope only since 1.0
    def handle(self: Route, scope: Any, receive: Any, send: Any) -> Any:
        exchange = scope.get(MARK)
        if exchange is not None:
            exchange.matched = self
        return original(self, scope, receive, send)

    return handle


def _route(scope: Mapping[str, Any], mounts: str, matched: Route | None) -> str | None:
    """The template that took the request, with those of the mounts above it and the application's
    root. FastAPI keeps the whole path of a route that came by ``include_router`` beside it."""
    route = scope.get("route", matched)
    included = scope.get("fastapi", _NOTHING).get("effective_route_context")
    if isinstance(route, Mount) or (route is None and mounts):
        path = "/{path}"
    else:
        path = getattr(included, "path_format", None) or getattr(route, "path_format", None)
    if path is None:
        return None
    root = scope.get("app_root_path", scope.get("root_path", ""))
    return f"{root.rstrip('/')}{mounts}{path}"
