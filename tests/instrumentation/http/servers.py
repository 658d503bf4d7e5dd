"""Every HTTP server framework that is instrumented, with one application written in each.

Routes: ``/items/{item}`` answers, ``/fail`` answers 503, ``/boom`` raises, ``/stream`` streams
three parts and makes a span before each, ``/later`` makes a span after its answer where the
framework can. Anything else is not found.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import django
import flask
from django.conf import settings as django_settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse as FastText
from fastapi.responses import StreamingResponse as FastStream
from opentelemetry import trace
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from tests.instrumentation.http.peers import asgi_server, wsgi_server


def _work(name: str) -> None:
    trace.get_tracer("test").start_span(name).end()


def _parts() -> Iterator[bytes]:
    for number in range(3):
        _work(f"part {number}")
        yield b"part"


async def _async_parts() -> AsyncIterator[bytes]:
    for part in _parts():
        yield part


def starlette_app() -> Starlette:
    async def item(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.path_params["item"])

    async def fail(request: Request) -> PlainTextResponse:
        return PlainTextResponse("no", 503)

    async def boom(request: Request) -> PlainTextResponse:
        raise RuntimeError("boom")

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(_async_parts())

    return Starlette(
        routes=[
            Route("/items/{item}", item, methods=["GET", "POST", "BREW"]),
            Route("/fail", fail),
            Route("/boom", boom),
            Route("/stream", stream),
        ]
    )


def fastapi_app(**options: Any) -> FastAPI:
    app = FastAPI(**options)

    @app.get("/items/{item}")
    async def item(item: str) -> FastText:
        return FastText(item)

    app.add_api_route("/items/{item}", item, methods=["POST", "BREW"])

    @app.get("/fail")
    def fail() -> FastText:
        return FastText("no", 503)

    @app.get("/boom")
    def boom() -> None:
        raise RuntimeError("boom")

    @app.get("/stream")
    async def stream() -> FastStream:
        return FastStream(_async_parts())

    return app


def flask_app() -> flask.Flask:
    app = flask.Flask("shop")

    @app.route("/items/<item>", methods=["GET", "POST", "BREW"])
    def item(item: str) -> str:
        return item

    @app.route("/fail")
    def fail() -> tuple[str, int]:
        return "no", 503

    @app.route("/boom")
    def boom() -> str:
        raise RuntimeError("boom")

    @app.route("/stream")
    def stream() -> flask.Response:
        return flask.Response(_parts())

    return app


def _item(request: HttpRequest, item: str) -> HttpResponse:
    return HttpResponse(item)


async def _async_item(request: HttpRequest, item: str) -> HttpResponse:
    return HttpResponse(item)


def _fail(request: HttpRequest) -> HttpResponse:
    return HttpResponse("no", status=503)


def _boom(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("boom")


def _stream(request: HttpRequest) -> StreamingHttpResponse:
    is_async = hasattr(request, "scope")
    return StreamingHttpResponse(_async_parts() if is_async else _parts())


urlpatterns = [
    path("items/<str:item>", _item),
    path("async/<str:item>", _async_item),
    path("fail", _fail),
    path("boom", _boom),
    path("stream", _stream),
    path("shop/", include([re_path(r"^old/(?P<item>\d+)$", _item)])),
]


def configure_django() -> None:
    if not django_settings.configured:
        os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        django_settings.configure(
            ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="test", LOGGING_CONFIG=None
        )
        django.setup()


def django_wsgi() -> Any:
    configure_django()
    return get_wsgi_application()


def django_asgi() -> Any:
    configure_django()
    return get_asgi_application()


@dataclass(frozen=True)
class Server:
    """A framework: how its application is made and served, and how it writes the item's route."""

    app: Callable[[], Any]
    serve: Callable[[Any], AbstractContextManager[int]]
    route: str
    excluded: str
    """``OTEL_PYTHON_<this>_EXCLUDED_URLS``."""


SERVERS: dict[str, Server] = {
    "starlette": Server(starlette_app, asgi_server, "/items/{item}", "STARLETTE"),
    "fastapi": Server(fastapi_app, asgi_server, "/items/{item}", "FASTAPI"),
    "flask": Server(flask_app, wsgi_server, "/items/<item>", "FLASK"),
    "django_wsgi": Server(django_wsgi, wsgi_server, "/items/<str:item>", "DJANGO"),
    "django_asgi": Server(django_asgi, asgi_server, "/items/<str:item>", "DJANGO"),
}
