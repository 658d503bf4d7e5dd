"""Starlette and FastAPI alone: routes of mounted applications, background work, what is not HTTP."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

import strayline
from tests.instrumentation.conftest import Spans
from tests.instrumentation.http.clients import told
from tests.instrumentation.http.servers import fastapi_app, starlette_app
from tests.support import programs


async def _hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


def _scope(path: str = "/items/7", **more: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"shop")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        **more,
    }


def _call(
    app: Any, scope: dict[str, Any], heard: Callable[[Any], None] | None = None
) -> list[dict[str, Any]]:
    """Calls an application as a server does, from an empty context; gives what it sent."""
    sent: list[dict[str, Any]] = []

    incoming = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return incoming.pop() if incoming else await asyncio.Future()

    async def send(event: Any) -> None:
        sent.append(event)
        if heard is not None:
            heard(event)

    async def main() -> None:
        await app(scope, receive, send)
        assert not context.get_current()

    asyncio.run(main())
    return sent


def _shop() -> FastAPI:
    items = APIRouter()

    @items.get("/{item}")
    async def item(item: int) -> int:
        return item

    nested = APIRouter()
    nested.include_router(items, prefix="/items")
    tenant = FastAPI()

    @tenant.get("/orders/{order}")
    async def order(order: int) -> int:
        return order

    app = FastAPI()
    app.include_router(items, prefix="/items")
    app.include_router(nested, prefix="/v2")
    app.mount("/tenants/{tenant}", tenant)
    app.mount("/files", StaticFiles(directory="."))
    app.mount(
        "/plain",
        Starlette(routes=[Mount("/deep", routes=[Route("/{x}", _hello)]), Route("/y", _hello)]),
    )
    return app


@pytest.mark.parametrize("under", ["", "/api"])
@pytest.mark.parametrize(
    ("path", "status", "route"),
    [
        ("/items/7", 200, "/items/{item}"),
        ("/v2/items/7", 200, "/v2/items/{item}"),
        ("/tenants/a/orders/7", 200, "/tenants/{tenant}/orders/{order}"),
        ("/tenants/a/nothing", 404, "/tenants/{tenant}/{path}"),
        ("/files/README.md", 200, "/files/{path}"),
        ("/plain/deep/7", 200, "/plain/deep/{x}"),
        ("/plain/y", 200, "/plain/y"),
        ("/items/none", 422, "/items/{item}"),
    ],
)
def test_a_route_is_told_with_every_mount_above_it(
    spans: Spans, under: str, path: str, status: int, route: str
) -> None:
    app: Any = _shop()
    if under:
        app = Starlette(routes=[Mount(under, app)])
    assert _call(app, _scope(under + path))[0]["status"] == status
    (span,) = spans()
    assert span.name == f"GET {under}{route}"
    assert told(span)["http.route"] == under + route


def test_the_root_of_an_application_behind_a_proxy_is_in_its_route(spans: Spans) -> None:
    _call(fastapi_app(), _scope("/api/items/7", root_path="/api"))
    _call(starlette_app(), _scope("/v1/items/7", root_path="/v1"))
    assert [told(span)["http.route"] for span in spans()] == [
        "/api/items/{item}",
        "/v1/items/{item}",
    ]


def test_a_host_route_is_told_by_the_route_within(spans: Spans) -> None:
    app = Starlette(routes=[Host("shop", Starlette(routes=[Route("/x", _hello)]))])
    _call(app, _scope("/x"))
    assert told(spans()[0])["http.route"] == "/x"


def test_a_method_that_a_route_lacks_is_told_with_the_route(spans: Spans) -> None:
    assert _call(starlette_app(), _scope(method="DELETE"))[0]["status"] == 405
    assert spans()[0].name == "DELETE /items/{item}"


def test_background_tasks_do_not_count_but_belong_to_the_trace(spans: Spans) -> None:
    def later() -> None:
        trace.get_tracer("test").start_span("later").end()

    async def answer(request: Request) -> Response:
        return PlainTextResponse("ok", background=BackgroundTask(later))

    ended_before: list[bool] = []

    def heard(event: Any) -> None:
        if event["type"] == "http.response.body":
            ended_before.append(bool([s for s in spans() if s.kind is SpanKind.SERVER]))

    _call(Starlette(routes=[Route("/", answer)]), _scope("/"), heard)
    (server,) = [span for span in spans() if span.kind is SpanKind.SERVER]
    (work,) = spans("later")
    assert ended_before == [True]
    assert work.parent is not None
    assert work.parent.span_id == server.context.span_id
    assert server.end_time <= work.start_time


def test_a_failing_background_task_is_no_failure_of_the_request(spans: Spans) -> None:
    def later() -> None:
        raise RuntimeError("later")

    async def answer(request: Request) -> Response:
        return PlainTextResponse("ok", background=BackgroundTask(later))

    with pytest.raises(RuntimeError, match="later"):
        _call(Starlette(routes=[Route("/", answer)]), _scope("/"))
    assert spans()[0].status.status_code is StatusCode.UNSET


def test_middleware_that_copies_or_spawns_changes_nothing(spans: Spans) -> None:
    class Around(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Response:
            return await call_next(request)

    app = Starlette(routes=[Route("/x/{y}", _hello)], middleware=[Middleware(Around)])

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        await app(dict(scope), receive, send)

    _call(plain, _scope("/x/1"))
    (span,) = spans()
    assert told(span)["http.route"] == "/x/{y}"


def test_a_cancelled_request_is_an_error_of_its_span(spans: Spans) -> None:
    entered = asyncio.Event()

    async def wait(request: Request) -> Response:
        entered.set()
        await asyncio.Event().wait()
        return Response()

    async def main() -> None:
        app = Starlette(routes=[Route("/", wait)])
        task = asyncio.create_task(app(_scope("/"), None, None))  # type: ignore[arg-type]
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    (span,) = spans()
    assert told(span)["error.type"] == "CancelledError"
    assert span.name == "GET /"


def test_websockets_and_lifespan_are_untouched(spans: Spans) -> None:
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/ws", socket)])
    incoming = iter([{"type": "websocket.connect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(incoming)

    async def send(event: Any) -> None:
        sent.append(event)

    scope = _scope("/ws", type="websocket", scheme="ws", subprotocols=[])
    del scope["method"]
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    assert [event["type"] for event in sent] == [
        "websocket.accept",
        "websocket.send",
        "websocket.close",
    ]
    assert "strayline.traced" not in scope
    assert spans() == []


def test_trailers_and_files_by_path_end_the_span_in_their_time(spans: Spans) -> None:
    ended: list[int] = []

    def app_of(*events: dict[str, Any]) -> Starlette:
        async def raw(scope: Any, receive: Any, send: Any) -> None:
            for event in events:
                await send(event)
                ended.append(len(spans()))

        return Starlette(routes=[Mount("/", raw)])

    start = {"type": "http.response.start", "status": 200, "headers": []}
    _call(
        app_of(
            start | {"trailers": True},
            {"type": "http.response.body", "body": b"", "more_body": False},
            {"type": "http.response.trailers", "headers": [], "more_trailers": False},
        ),
        _scope("/"),
    )
    assert ended == [0, 0, 1]
    ended.clear()
    _call(app_of(start, {"type": "http.response.pathsend", "path": "/x"}), _scope("/"))
    assert ended == [1, 2]


def test_a_scope_of_odd_types_is_served_all_the_same(
    spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strayline.guard._said", set())
    app = starlette_app()
    odd = [
        {"client": None, "server": None},
        {"server": ("/run/shop.sock", None)},
        {"headers": [[b"host", b"\xff\xfe"], [b"traceparent", b"\x00" * 9000]]},
        {"headers": [(b"tracestate", b"a=1"), (b"tracestate", b"b=2")]},
        {"query_string": b"\xff=%ff&" * 200_000},
        {"http_version": None, "scheme": ""},
    ]
    for more in odd:
        assert _call(app, _scope(**more))[0]["status"] == 200
    assert len(spans()) == len(odd)
    assert max(len(str(told(span))) for span in spans()) < 20_000


def test_a_client_traced_within_a_handler_is_a_child_of_the_server_span(spans: Spans) -> None:
    async def ask(request: Request) -> Response:
        transport = httpx.MockTransport(lambda request: httpx.Response(200))
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get("http://other/")
        return PlainTextResponse("ok")

    _call(Starlette(routes=[Route("/", ask)]), _scope("/"))
    client, server = spans()
    assert client.parent is not None
    assert client.parent.span_id == server.context.span_id


def test_off_puts_the_very_functions_back() -> None:
    def functions() -> tuple[Any, ...]:
        return (Starlette.__call__, FastAPI.__call__, Mount.handle, Route.handle)

    before = functions()
    strayline.instrument(only=["fastapi"])
    assert all(now is not then for now, then in zip(functions(), before, strict=True))
    assert asyncio.iscoroutinefunction(Starlette().__call__)
    strayline.uninstrument()
    assert functions() == before


def test_fastapi_imported_long_after_starlette_is_ours_from_its_own_call_on() -> None:
    """Otherwise its own telemetry would come first."""
    program = """
        import strayline.auto, sys
        import starlette.applications
        assert "fastapi" not in sys.modules
        import fastapi
        print(fastapi.FastAPI.__call__.__module__)
    """
    done = programs.run([sys.executable, "-c", textwrap.dedent(program)], programs.environment())
    assert done.stdout.split() == ["strayline.shims.asgi"], done.stderr
