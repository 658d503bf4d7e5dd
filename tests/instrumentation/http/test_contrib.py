"""Beside OpenTelemetry's own instrumentations and FastAPI's telemetry: one span a request, not two."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import httpx
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.aiohttp_client import (
    AioHttpClientInstrumentor,
    create_trace_config,
)
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware as AsgiMiddleware
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.httpx import (
    HTTPXClientInstrumentor,
    SyncOpenTelemetryTransport,
)
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.starlette import StarletteInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware as WsgiMiddleware
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

import strayline
from tests.instrumentation.conftest import Spans
from tests.instrumentation.http import servers
from tests.instrumentation.http.clients import CLIENTS
from tests.instrumentation.http.peers import Peer, asgi_server, raw, until, wsgi_server

INSTRUMENTORS: dict[str, type[Any]] = {
    "httpx": HTTPXClientInstrumentor,
    "httpx_async": HTTPXClientInstrumentor,
    "requests": RequestsInstrumentor,
    "aiohttp": AioHttpClientInstrumentor,
}


def _scope(span: ReadableSpan) -> str:
    return span.instrumentation_scope.name if span.instrumentation_scope else ""


def _of(spans: Spans, kind: SpanKind) -> list[str]:
    return [_scope(span) for span in spans() if span.kind is kind]


@contextmanager
def _instrumented(instrumentor: Any) -> Iterator[None]:
    instrumentor.instrument()
    try:
        yield
    finally:
        instrumentor.uninstrument()


@pytest.mark.parametrize("contrib_first", [True, False], ids=["contrib first", "ours first"])
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_that_contrib_traces_has_contribs_span_alone(
    spans: Spans, peer: Peer, name: str, contrib_first: bool
) -> None:
    if contrib_first:
        strayline.uninstrument()
    with _instrumented(INSTRUMENTORS[name]()):
        strayline.instrument()
        CLIENTS[name]("GET", peer.url("/ok"))
        (scope,) = _of(spans, SpanKind.CLIENT)
        assert scope.startswith("opentelemetry.")
        strayline.uninstrument()
    strayline.instrument()
    CLIENTS[name]("GET", peer.url("/ok"))
    assert _of(spans, SpanKind.CLIENT)[1:] == [f"strayline.{name.removesuffix('_async')}"]


def test_an_httpx_client_that_contrib_instruments_has_contribs_span_alone(
    spans: Spans, peer: Peer
) -> None:
    with httpx.Client(trust_env=False) as client:
        HTTPXClientInstrumentor.instrument_client(client)
        client.get(peer.url("/ok"))
    assert len(_of(spans, SpanKind.CLIENT)) == 1


def test_contribs_httpx_transport_has_its_span_alone(spans: Spans, peer: Peer) -> None:
    transport = SyncOpenTelemetryTransport(httpx.HTTPTransport())
    with httpx.Client(transport=transport, trust_env=False) as client:
        client.get(peer.url("/ok"))
    assert len(_of(spans, SpanKind.CLIENT)) == 1


def test_contribs_aiohttp_trace_config_has_its_span_alone(spans: Spans, peer: Peer) -> None:
    async def main() -> None:
        async with (
            aiohttp.ClientSession(trace_configs=[create_trace_config()]) as session,
            session.get(peer.url("/ok")),
        ):
            pass

    asyncio.run(main())
    assert len(_of(spans, SpanKind.CLIENT)) == 1


def test_a_custom_httpx_transport_is_ours_where_contrib_has_only_the_plain_ones(
    spans: Spans,
) -> None:
    with _instrumented(HTTPXClientInstrumentor()):
        transport = httpx.MockTransport(lambda request: httpx.Response(200))
        with httpx.Client(transport=transport) as client:
            client.get("http://shop/")
    assert _of(spans, SpanKind.CLIENT) == ["strayline.httpx"]


def test_opentelemetrys_exporter_is_not_traced(spans: Spans, peer: Peer) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=peer.url("/ok"))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    provider.get_tracer("test").start_span("work").end()
    assert provider.force_flush()
    provider.shutdown()
    assert len(peer.heard) == 1
    assert "traceparent" not in peer.heard[0]
    assert spans() == []


def _fastapi() -> Any:
    app = servers.fastapi_app()
    FastAPIInstrumentor.instrument_app(app)
    return app


def _starlette() -> Any:
    app = servers.starlette_app()
    StarletteInstrumentor.instrument_app(app)
    return app


def _starlette_middleware() -> Any:
    app = servers.starlette_app()
    app.add_middleware(AsgiMiddleware)
    return app


def _flask() -> Any:
    app = servers.flask_app()
    FlaskInstrumentor.instrument_app(app)
    return app


def _flask_middleware() -> Any:
    app: Any = servers.flask_app()
    app.wsgi_app = WsgiMiddleware(app.wsgi_app)
    return app


CONTRIB_APPS: dict[str, tuple[Callable[[], Any], Any]] = {
    "fastapi": (_fastapi, asgi_server),
    "starlette": (_starlette, asgi_server),
    "starlette, middleware": (_starlette_middleware, asgi_server),
    "starlette, wrapped": (lambda: AsgiMiddleware(servers.starlette_app()), asgi_server),
    "fastapi, wrapped": (
        lambda: AsgiMiddleware(servers.fastapi_app(telemetry={"tracing": False})),
        asgi_server,
    ),
    "django, wrapped asgi": (lambda: AsgiMiddleware(servers.django_asgi()), asgi_server),
    "django, wrapped wsgi": (lambda: WsgiMiddleware(servers.django_wsgi()), wsgi_server),
    "flask": (_flask, wsgi_server),
    "flask, middleware": (_flask_middleware, wsgi_server),
    "flask, wrapped": (lambda: WsgiMiddleware(servers.flask_app()), wsgi_server),
}


def _ask(port: int) -> None:
    request = b"GET /items/7 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
    assert b"200 OK" in raw(port, request)


@pytest.mark.parametrize("name", CONTRIB_APPS)
def test_an_application_that_contrib_traces_has_contribs_span_alone(
    spans: Spans, name: str
) -> None:
    make, serve = CONTRIB_APPS[name]
    with serve(make()) as port:
        for count in (1, 2):  # the stack is built with the first request
            _ask(port)
            until(lambda n=count: len(_of(spans, SpanKind.SERVER)) >= n)
    scopes = {_scope(span) for span in spans()}
    assert len(_of(spans, SpanKind.SERVER)) == 2
    assert not [scope for scope in scopes if scope.startswith("strayline")]


def test_fastapi_instrumented_after_its_first_request_stays_ours(spans: Spans) -> None:
    app = servers.fastapi_app()
    with asgi_server(app) as port:
        _ask(port)
        FastAPIInstrumentor.instrument_app(app)
        try:
            _ask(port)
        finally:
            FastAPIInstrumentor.uninstrument_app(app)
    assert _of(spans, SpanKind.SERVER) == ["strayline.asgi"] * 2


@pytest.mark.parametrize("kind", ["django_wsgi", "django_asgi"])
def test_django_with_contribs_middleware_has_contribs_span_alone(spans: Spans, kind: str) -> None:
    servers.configure_django()
    server = servers.SERVERS[kind]
    with _instrumented(DjangoInstrumentor()), server.serve(server.app()) as port:
        _ask(port)
        until(lambda: _of(spans, SpanKind.SERVER))
    assert _of(spans, SpanKind.SERVER) == ["opentelemetry.instrumentation.django"]
    assert not [span for span in spans() if _scope(span).startswith("strayline")]


def test_fastapi_that_traces_itself_by_default_has_our_span_alone(spans: Spans) -> None:
    with asgi_server(servers.fastapi_app()) as port:
        _ask(port)
    assert {_scope(span) for span in spans()} == {"strayline.asgi"}


def test_fastapi_whose_telemetry_somebody_set_up_keeps_it(spans: Spans) -> None:
    meters = MeterProvider()
    for options in (
        {"tracer_provider": trace.get_tracer_provider()},
        {"meter_provider": meters},
    ):
        with asgi_server(servers.fastapi_app(telemetry=options)) as port:
            _ask(port)
    assert _of(spans, SpanKind.SERVER) == ["fastapi"] * 2
    meters.shutdown()


def test_fastapi_that_measures_but_does_not_trace_is_traced_by_us(spans: Spans) -> None:
    meters = MeterProvider()
    options = {"meter_provider": meters, "tracing": False}
    with asgi_server(servers.fastapi_app(telemetry=options)) as port:
        _ask(port)
    assert _of(spans, SpanKind.SERVER) == ["strayline.asgi"]
    meters.shutdown()


def test_fastapi_mounted_in_another_application_is_in_its_span(spans: Spans) -> None:
    outer = servers.starlette_app()
    outer.mount("/shop", servers.fastapi_app())
    with asgi_server(outer) as port:
        raw(port, b"GET /shop/items/7 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
    (span,) = [span for span in spans() if span.kind is SpanKind.SERVER]
    assert span.name == "GET /shop/items/{item}"


@pytest.mark.parametrize("kind", servers.SERVERS)
def test_a_span_around_the_application_is_the_parent(spans: Spans, kind: str) -> None:
    """Middleware of the application's own, outside of what is instrumented."""
    server = servers.SERVERS[kind]
    app = server.app()
    tracer = trace.get_tracer("test")
    wrapped: Any
    if server.serve is asgi_server:

        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            with tracer.start_as_current_span("around"):
                await app(scope, receive, send)

    else:

        def wrapped(environ: Any, start_response: Any) -> Any:
            with tracer.start_as_current_span("around"):
                return app(environ, start_response)

    with server.serve(wrapped) as port:
        _ask(port)
        until(lambda: len(spans()) == 2)
    (inner,) = [span for span in spans() if span.kind is SpanKind.SERVER]
    (around,) = spans("around")
    assert inner.parent is not None
    assert around.context is not None
    assert inner.parent.span_id == around.context.span_id
