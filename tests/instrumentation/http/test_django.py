"""Django alone: instrumented before its settings, async views, streams, errors in middleware."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import got_request_exception
from django.http import FileResponse, HttpResponse
from django.test import override_settings
from opentelemetry import context, trace
from opentelemetry.trace import SpanKind
from werkzeug.test import EnvironBuilder

import strayline
from tests.instrumentation.conftest import Spans
from tests.instrumentation.http import servers
from tests.instrumentation.http.clients import told
from tests.instrumentation.http.peers import asgi_server, raw, until, wsgi_server
from tests.support import programs

KINDS = {
    "wsgi": (servers.django_wsgi, wsgi_server),
    "asgi": (servers.django_asgi, asgi_server),
}


def _ask(port: int, path: str) -> bytes:
    return raw(port, f"GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n".encode())


def _call(path: str, **more: Any) -> tuple[str, Any]:
    environ = EnvironBuilder(path, base_url="http://shop/").get_environ() | more
    said: list[str] = []
    body = servers.django_wsgi()(environ, lambda status, *_: said.append(status))
    assert not context.get_current()
    return said[0], body


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/async/7", "/async/<str:item>"),
        ("/shop/old/7", "/shop/old/(?P<item>\\d+)$"),
    ],
)
def test_async_views_and_included_patterns_have_their_route(
    spans: Spans, kind: str, path: str, route: str
) -> None:
    make, serve = KINDS[kind]
    with serve(make()) as port:
        assert b"200 OK" in _ask(port, path)
        (span,) = until(spans)
    assert told(span)["http.route"] == route


def test_a_mounted_site_has_its_place_in_path_and_route(spans: Spans) -> None:
    _, body = _call("/items/7", SCRIPT_NAME="/site")
    body.close()
    (span,) = spans()
    assert told(span)["http.route"] == "/site/items/<str:item>"
    assert told(span)["url.path"] == "/site/items/7"


def test_a_streamed_body_ends_the_span_when_it_is_closed(spans: Spans) -> None:
    _, body = _call("/stream")
    assert list(body) == [b"part"] * 3
    assert not [span for span in spans() if span.kind is SpanKind.SERVER]
    body.close()
    assert len([span for span in spans() if span.kind is SpanKind.SERVER]) == 1


def test_a_plain_response_goes_to_the_server_as_it_is(spans: Spans) -> None:
    _, body = _call("/items/7")
    assert type(body) is HttpResponse
    assert len(spans()) == 1


def test_a_file_goes_to_the_server_as_it_is(
    spans: Spans, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text("x")
    monkeypatch.setattr(
        servers.urlpatterns[0],
        "callback",
        lambda request, item: FileResponse((tmp_path / "x").open("rb")),
    )
    _, body = _call("/items/7", **{"wsgi.file_wrapper": FileWrapper})
    assert type(body) is FileWrapper
    body.close()
    assert len(spans()) == 1


def _failing_middleware(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        raise RuntimeError("middleware")

    return middleware


def test_an_error_in_middleware_is_in_the_span_though_no_route_is(spans: Spans) -> None:
    servers.configure_django()
    with override_settings(MIDDLEWARE=[f"{__name__}._failing_middleware"]):
        status, _ = _call("/items/7")
    assert status.startswith("500")
    (span,) = spans()
    assert told(span)["error.type"] == "RuntimeError"
    assert "http.route" not in told(span)


def _seeing_middleware(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        response = get_response(request)
        span = trace.get_current_span()
        response["X-Span"] = f"{span.get_span_context().span_id:016x}"
        return response

    return middleware


@pytest.mark.parametrize("kind", KINDS)
def test_the_span_is_current_in_middleware_and_covers_it(spans: Spans, kind: str) -> None:
    servers.configure_django()
    make, serve = KINDS[kind]
    with (
        override_settings(MIDDLEWARE=[f"{__name__}._seeing_middleware"]),
        serve(make()) as port,
    ):
        answer = _ask(port, "/items/7")
        (span,) = until(spans)
    assert span.context is not None
    assert f"{span.context.span_id:016x}".encode() in answer


def test_off_puts_the_very_functions_back() -> None:
    def functions() -> tuple[Any, ...]:
        return (WSGIHandler.__call__, ASGIHandler.__call__, BaseHandler.resolve_request)

    before, receivers = functions(), list(got_request_exception.receivers)
    strayline.instrument(only=["django"])
    assert all(now is not then for now, then in zip(functions(), before, strict=True))
    strayline.uninstrument()
    assert functions() == before
    assert got_request_exception.receivers == receivers


SITE = {
    "site_settings": """
        seen_before = __import__("django.conf").conf.settings.configured
        ROOT_URLCONF, SECRET_KEY, ALLOWED_HOSTS = "site_urls", "test", ["*"]
        MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
    """,
    "site_urls": """
        from django.http import HttpResponse
        from django.urls import path
        urlpatterns = [path("hello/<name>", lambda request, name: HttpResponse(name))]
    """,
}
CATCHING = """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(
        ConsoleSpanExporter(formatter=lambda span: f"SPAN {span.name} {span.kind.name}\\n")))
    trace.set_tracer_provider(provider)
"""
ENTRIES = {
    "wsgi": """
        import strayline.auto
        import os
        os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
        from django.core.wsgi import get_wsgi_application
        application = get_wsgi_application()
        CATCHING
        from werkzeug.test import Client
        print(Client(application).get("/hello/you").status)
    """,
    "asgi": """
        import strayline.auto
        import asyncio, os
        os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
        from django.core.asgi import get_asgi_application
        application = get_asgi_application()
        CATCHING
        import httpx
        async def main():
            transport = httpx.ASGITransport(app=application)
            async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
                print((await client.get("/hello/you")).status_code)
        asyncio.run(main())
    """,
    "manage": """
        import strayline.auto
        import os, sys
        os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
        CATCHING
        from django.core.management import execute_from_command_line
        execute_from_command_line(["manage.py", "check"])
        from django.contrib.staticfiles.handlers import StaticFilesHandler
        from django.core.servers.basehttp import get_internal_wsgi_application
        from django.conf import settings
        settings.STATIC_URL = "/static/"
        from werkzeug.test import Client
        print(Client(StaticFilesHandler(get_internal_wsgi_application())).get("/hello/you").status)
    """,
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_one_import_may_be_the_first_line_of_a_site(tmp_path: Path, entry: str) -> None:
    """Nothing is asked of the settings before the site has said which they are."""
    program = ENTRIES[entry].replace("        CATCHING", CATCHING.replace("\n    ", "\n        "))
    programs.write(tmp_path, **SITE, entry=program)
    done = programs.run(
        [sys.executable, "entry.py"],
        programs.environment(STRAYLINE_INSTRUMENT="django"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "200" in done.stdout
    assert done.stdout.count("SPAN GET /hello/<name> SERVER") == 1
    assert not done.stderr.replace("System check identified no issues (0 silenced).", "").strip()
