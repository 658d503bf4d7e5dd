"""aiohttp's client alone: sessions made before, middleware, reconnects, cancellation, websockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.client_reqrep import ClientRequest
from opentelemetry import context
from opentelemetry.trace import StatusCode

import strayline
from tests.instrumentation.conftest import Spans
from tests.instrumentation.http.clients import told
from tests.instrumentation.http.peers import Peer, until


def _with_session(work: Callable[[aiohttp.ClientSession], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession(**options) as session:
            await work(session)
        assert not context.get_current()

    asyncio.run(main())


def test_a_session_made_before_instrumenting_is_seen(spans: Spans, peer: Peer) -> None:
    async def work(session: aiohttp.ClientSession) -> None:
        strayline.instrument()
        async with session.get(peer.url("/ok")):
            pass

    strayline.uninstrument()
    _with_session(work)
    assert len(spans()) == 1


def test_each_try_of_a_retrying_middleware_is_in_one_span_with_the_last_status(
    spans: Spans, peer: Peer
) -> None:
    async def twice(request: Any, handler: Any) -> Any:
        (await handler(request)).release()  # an answer left to the garbage collector warns
        return await handler(request)

    async def work(session: aiohttp.ClientSession) -> None:
        async with session.get(peer.url("/status/202")) as answer:
            assert answer.status == 202

    _with_session(work, middlewares=(twice,))
    (span,) = spans()
    assert told(span)["http.response.status_code"] == 202
    assert len(peer.heard) == 2


def test_raise_for_status_says_no_more_than_the_status(spans: Spans, peer: Peer) -> None:
    async def work(session: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.ClientResponseError):
            await session.get(peer.url("/status/404"))

    _with_session(work, raise_for_status=True)
    (span,) = spans()
    assert told(span)["error.type"] == "404"
    assert not span.events


def test_too_many_redirects_are_told_by_the_last_span(spans: Spans, peer: Peer) -> None:
    async def work(session: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.TooManyRedirects):
            await session.get(peer.url("/redirect/9"), max_redirects=2)

    _with_session(work)
    assert [told(span)["http.response.status_code"] for span in spans()] == [302, 302]
    assert [told(span).get("error.type") for span in spans()] == [None, "TooManyRedirects"]


def test_cancellation_ends_the_span_as_an_error(spans: Spans, peer: Peer) -> None:
    async def work(session: aiohttp.ClientSession) -> None:
        task = asyncio.create_task(session.get(peer.url("/slow/0.3")))  # type: ignore[arg-type]
        await asyncio.to_thread(until, lambda: peer.heard)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    _with_session(work)
    (span,) = spans()
    assert told(span)["error.type"] == "CancelledError"
    assert span.status.status_code is StatusCode.ERROR


def test_a_timeout_is_told_by_its_exception(spans: Spans, peer: Peer) -> None:
    async def work(session: aiohttp.ClientSession) -> None:
        timeout = aiohttp.ClientTimeout(total=0.05)
        with pytest.raises(asyncio.TimeoutError):
            await session.get(peer.url("/slow/0.3"), timeout=timeout)

    _with_session(work)
    assert "Timeout" in told(spans()[0])["error.type"]


def test_requests_at_the_same_time_have_their_own_spans(spans: Spans, peer: Peer) -> None:
    async def work(session: aiohttp.ClientSession) -> None:
        async def one(number: int) -> None:
            async with session.get(peer.url(f"/redirect/1?n={number}")) as answer:
                assert answer.status == 200

        await asyncio.gather(*(one(number) for number in range(8)))

    _with_session(work)
    sent = sorted(heard["traceparent"][36:52] for heard in peer.heard)
    assert sent == sorted(f"{span.context.span_id:016x}" for span in spans() if span.context)
    assert len(set(sent)) == 16


def test_a_url_that_is_none_has_no_span(spans: Spans) -> None:
    async def work(session: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.InvalidURL):
            await session.get("http:///")

    _with_session(work)
    assert spans() == []


def _served(handler: Callable[[web.Request], Any], ask: Callable[[str], Any]) -> None:
    async def main() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            await ask(f"http://127.0.0.1:{runner.addresses[0][1]}")
        finally:
            await runner.cleanup()

    asyncio.run(main())


def test_a_reconnect_of_aiohttps_own_stays_in_the_span_that_it_rescues(spans: Spans) -> None:
    """A kept connection that the server drops at the second request is silently replaced."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.headers["traceparent"])
        if len(asked) == 2:
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(0)
        return web.Response(text="ok")

    async def ask(base: str) -> None:
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                async with session.get(f"{base}/") as answer:
                    assert answer.status == 200

    _served(handler, ask)
    assert len(asked) == 3
    assert [told(span)["http.response.status_code"] for span in spans()] == [200, 200]
    assert asked[1] == asked[2]


def test_a_proxys_tunnel_is_no_answer(spans: Spans) -> None:
    """The proxy refuses CONNECT: the request has failed and has no status of its own."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=403)

    async def ask(base: str) -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientHttpProxyError):
                await session.get("https://shop.test/", proxy=base)

    _served(handler, ask)
    (span,) = spans()
    assert told(span)["server.address"] == "shop.test"
    assert told(span)["error.type"] == "ClientHttpProxyError"
    assert "http.response.status_code" not in told(span)


def test_a_websocket_is_the_span_of_its_handshake(spans: Spans) -> None:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    async def ask(base: str) -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(base) as socket:
            await socket.send_str("hello")
            assert await socket.receive_str() == "hello"

    _served(handler, ask)
    (span,) = spans()
    assert told(span)["http.response.status_code"] == 101


def test_off_puts_the_very_functions_back() -> None:
    def functions() -> tuple[Callable[..., Coroutine[Any, Any, Any]] | Any, ...]:
        return (aiohttp.ClientSession._request, ClientRequest.__init__, ClientRequest.send)

    before = functions()
    strayline.instrument(only=["aiohttp"])
    assert functions()[0] is not before[0]
    strayline.uninstrument()
    assert functions() == before
