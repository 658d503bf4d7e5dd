"""Flask: one SERVER span per HTTP request.

``Flask.__call__`` is what a server calls, ``Flask.wsgi_app`` what remains when an application was
wrapped in middleware that is served in its place; whoever is passed first marks the request. Both
are methods of the class: applications made before, and subclasses, are seen too. The route is read
when the response begins, the last moment at which Flask knows it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import flask
from flask.signals import got_request_exception
from opentelemetry import context

from strayline.guard import survived
from strayline.patching import Patches
from strayline.shims.http_server import MARK, HttpServer
from strayline.shims.http_wsgi import WsgiExchange, begin, handed_back, path_of

_patches: Final = Patches()
_BEGIN: Final = survived("tracing a request")
_FAIL: Final = survived("tracing a failed request")
_CONTRIB: Final = "opentelemetry.instrumentation."
_MAX_STACK: Final = 64
_server: HttpServer | None = None


def on() -> None:
    """Instruments every application."""
    global _server
    _server = HttpServer("flask", "FLASK")
    _patches.wrap(flask.Flask, "__call__", _call)
    _patches.wrap(flask.Flask, "wsgi_app", _call)
    got_request_exception.connect(_raised)


def off() -> None:
    global _server
    _patches.undo()
    got_request_exception.disconnect(_raised)
    _server = None


class _Exchange(WsgiExchange):
    __slots__ = ()

    def routed(self) -> None:
        if flask.has_request_context():
            rule = flask.request.url_rule
            if rule is not None:
                self.route = f"{flask.request.root_path}{rule.rule}"


def _call(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: flask.Flask, environ: Any, start_response: Callable[..., Any]) -> Any:
        exchange = None if MARK in environ else _begin(self, environ, start_response)
        if exchange is None:
            return original(self, environ, start_response)
        try:
            parts = original(self, environ, exchange.start_response)
        except BaseException as error:
            exchange.failed(error)
            exchange.end()
            raise
        finally:
            exchange.leave()
        return handed_back(exchange, parts)

    return call


def _begin(app: flask.Flask, environ: Any, start_response: Callable[..., Any]) -> _Exchange | None:
    with _BEGIN:
        server = _server
        if server is None:
            return None
        current = context.get_current()
        path = path_of(environ)
        begun = None
        if not (current and server.yields(current, path)) and not _contrib_has(app):
            begun = begin(server, environ, current, path)
        if begun is None:
            environ[MARK] = None
            return None
        exchange = environ[MARK] = _Exchange(server, begun, environ, start_response)
        return exchange
    return None


def _raised(sender: Any, exception: BaseException | None = None, **_: Any) -> None:
    """An exception that Flask turns into a response."""
    with _FAIL:
        exchange = flask.request.environ.get(MARK)
        if exchange is not None and exception is not None:
            exchange.failed(exception)


def _contrib_has(app: flask.Flask) -> bool:
    """Whether contrib traces this application: by its hooks, or by its middleware somewhere
    within ``wsgi_app``."""
    if getattr(app, "_is_instrumented_by_opentelemetry", False):
        return True
    if f"{_CONTRIB}wsgi" not in sys.modules:
        return False
    inner: Any = app.wsgi_app
    for _ in range(_MAX_STACK):
        if inner is None or type(inner).__module__ == f"{_CONTRIB}wsgi":
            return inner is not None
        inner = next(
            (vars(inner)[name] for name in ("wsgi_app", "app", "wsgi") if name in _own(inner)), None
        )
    return False


def _own(thing: Any) -> dict[str, Any]:
    return getattr(thing, "__dict__", {})
