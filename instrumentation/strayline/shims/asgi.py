"""ASGI servers built on Starlette (FastAPI among them): one SERVER span per request.

FastAPI 0.165 and later trace themselves, and contrib's middleware may be installed by the
application: whoever wraps the application gets there first and the others yield. Ours is told
apart by a mark in the scope, which mounted applications share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from opentelemetry import context, propagate, trace
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import Span, SpanKind, StatusCode
from starlette.applications import Starlette

from strayline.conventions import ERROR_TYPE, SERVER_ADDRESS, SERVER_PORT
from strayline.guard import survived
from strayline.patching import Patches
from strayline.provider import tracer

_patches: Final = Patches()
_MARK: Final = "strayline.traced"
_NATIVE: Final = "fastapi.telemetry"
MAX_HEADER: Final = 8192
"""Longer trace headers are nobody's."""


def on() -> None:
    """Instruments every application, those built before this call too."""
    _patches.wrap(Starlette, "__call__", _call)
    try:
        from fastapi import FastAPI
    except ImportError:
        return
    _patches.wrap(FastAPI, "__call__", _call)


def off() -> None:
    _patches.undo()


def _call(original: Callable[..., Any]) -> Callable[..., Any]:
    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if (
            scope["type"] != "http"
            or _MARK in scope
            or getattr(self, "_is_instrumented_by_opentelemetry", False)
        ):
            await original(self, scope, receive, send)
            return
        span, token = _begin(scope)
        if span is None:
            await original(self, scope, receive, send)
            return
        scope[_MARK] = True
        scope.setdefault(_NATIVE, None)  # FastAPI's own telemetry yields to whoever is here

        async def observed(event: Mapping[str, Any]) -> None:
            if event["type"] == "http.response.start":
                _answered(span, event["status"])
            await send(event)

        try:
            await original(self, scope, receive, observed)
        except BaseException as error:
            _failed(span, error)
            raise
        finally:
            _name(span, scope)
            span.end()
            if token is not None:
                with survived("leaving a request's context"):
                    context.detach(token)

    return call


class _Headers(Getter[Any]):
    def get(self, carrier: Any, key: str) -> list[str] | None:
        wanted = key.lower().encode("latin-1")
        found = [
            value.decode("latin-1")
            for name, value in carrier
            if name.lower() == wanted and len(value) <= MAX_HEADER
        ]
        return found or None

    def keys(self, carrier: Any) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier]


_headers: Final = _Headers()


def _begin(scope: Mapping[str, Any]) -> tuple[Span | None, Any]:
    with survived("tracing a request"):
        parent = propagate.extract(scope["headers"], getter=_headers)
        attributes: dict[str, Any] = {
            "http.request.method": scope["method"],
            "url.scheme": scope.get("scheme", "http"),
            "url.path": scope["path"],
            "network.protocol.version": scope.get("http_version", "1.1"),
        }
        if scope.get("query_string"):
            attributes["url.query"] = scope["query_string"].decode("latin-1")
        for name, place in (
            (SERVER_ADDRESS, scope.get("server")),
            ("client.address", scope.get("client")),
        ):
            if place:
                attributes[name] = place[0]
        if scope.get("server") and scope["server"][1]:
            attributes[SERVER_PORT] = scope["server"][1]
        agent = _first(scope["headers"], b"user-agent")
        if agent is not None:
            attributes["user_agent.original"] = agent
        span = tracer("asgi").start_span(
            scope["method"], context=parent, kind=SpanKind.SERVER, attributes=attributes
        )
        return span, context.attach(trace.set_span_in_context(span, parent))
    return None, None


def _first(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str | None:
    return next(
        (value.decode("latin-1")[:1024] for name, value in headers if name.lower() == wanted), None
    )


def _answered(span: Span, status: int) -> None:
    with survived("tracing a response"):
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_attribute(ERROR_TYPE, str(status))
            span.set_status(StatusCode.ERROR)


def _failed(span: Span, error: BaseException) -> None:
    with survived("tracing a failed request"):
        span.set_attribute(ERROR_TYPE, type(error).__qualname__)
        if isinstance(error, Exception):
            span.record_exception(error)
        span.set_status(StatusCode.ERROR, str(error))


def _name(span: Span, scope: Mapping[str, Any]) -> None:
    """Only after routing is it known which route took the request."""
    with survived("naming a request"):
        route = scope.get("route")
        path = getattr(route, "path_format", None) or getattr(route, "path", None)
        if path:
            span.set_attribute("http.route", path)
            span.update_name(f"{scope['method']} {path}")
