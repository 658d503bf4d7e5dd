"""httpx to ASGI: one client span, one server span, one trace."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.instrumentation.conftest import Spans


def _fastapi() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item}")
    async def item(item: int) -> dict[str, int]:
        if item == 0:
            raise RuntimeError("no such thing")
        return {"item": item}

    return app


def _ask(app: object, path: str, *, raising: bool = True) -> httpx.Response:
    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=raising)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.get(path)

    return asyncio.run(main())


def test_fastapi_has_exactly_one_server_span_that_continues_the_trace(spans: Spans) -> None:
    assert _ask(_fastapi(), "/items/7?x=1").json() == {"item": 7}
    servers = [span for span in spans() if span.kind is SpanKind.SERVER]
    (client,) = [span for span in spans() if span.kind is SpanKind.CLIENT]
    (server,) = servers
    assert server.name == "GET /items/{item}"
    assert server.parent is not None
    assert server.parent.span_id == client.context.span_id
    assert server.context.trace_id == client.context.trace_id
    told = server.attributes or {}
    assert (told["http.route"], told["http.response.status_code"], told["url.path"]) == (
        "/items/{item}",
        200,
        "/items/7",
    )


def test_an_application_built_before_instrumenting_is_seen_too(spans: Spans) -> None:
    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    app = Starlette(routes=[Route("/hello", hello)])
    assert _ask(app, "/hello").text == "hello"
    assert [span.name for span in spans() if span.kind is SpanKind.SERVER] == ["GET /hello"] or [
        span.name for span in spans() if span.kind is SpanKind.SERVER
    ] == ["GET"]


def test_a_raising_handler_is_an_error_on_both_sides(spans: Spans) -> None:
    response = _ask(_fastapi(), "/items/0", raising=False)
    assert response.status_code == 500
    kinds = {
        span.kind: span.status.status_code
        for span in spans()
        if span.kind in (SpanKind.SERVER, SpanKind.CLIENT)
    }
    assert kinds == {SpanKind.SERVER: StatusCode.ERROR, SpanKind.CLIENT: StatusCode.ERROR}


def test_an_unreachable_host_is_an_error_and_still_raises(spans: Spans) -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.get("http://127.0.0.1:9/")
    (client,) = spans()
    assert client.status.status_code is StatusCode.ERROR
    assert (client.attributes or {})["error.type"] == "ConnectError"


def test_credentials_in_a_url_are_never_recorded(spans: Spans) -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.get("http://user:secret@127.0.0.1:9/")
    assert "secret" not in str((spans()[0].attributes or {})["url.full"])
