"""httpx alone: transports of every kind, streams, auth flows, cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

import strayline
from tests.instrumentation.conftest import Spans
from tests.instrumentation.http.clients import told
from tests.instrumentation.http.peers import Peer, until
from tests.instrumentation.http.servers import fastapi_app


def test_a_request_through_an_asgi_transport_is_client_and_server_in_one_trace(
    spans: Spans,
) -> None:
    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app=fastapi_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.get("/items/7?x=1")

    assert asyncio.run(main()).text == "7"
    (server,) = [span for span in spans() if span.kind is SpanKind.SERVER]
    (client,) = [span for span in spans() if span.kind is SpanKind.CLIENT]
    assert (client.name, server.name) == ("GET", "GET /items/{item}")
    assert server.parent is not None
    assert server.parent.span_id == client.context.span_id
    assert server.context.trace_id == client.context.trace_id


def test_the_span_is_current_within_a_transport_of_ones_own(spans: Spans) -> None:
    seen: list[int] = []

    class Transport(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(trace.get_current_span().get_span_context().span_id)
            return httpx.Response(200)

    with httpx.Client(transport=Transport()) as client:
        client.get("https://shop/")
    (span,) = spans()
    assert span.context is not None
    assert seen == [span.context.span_id]
    assert told(span)["server.port"] == 443
    assert "network.protocol.version" not in told(span)


def test_a_stream_ends_its_span_when_the_headers_are_in(spans: Spans, peer: Peer) -> None:
    with httpx.Client(trust_env=False) as client, client.stream("GET", peer.url("/ok")) as answer:
        assert told(spans()[0])["http.response.status_code"] == 200
        assert answer.read() == b"ok"


def test_each_step_of_an_auth_flow_is_a_span(spans: Spans, peer: Peer) -> None:
    class Again(httpx.Auth):
        def auth_flow(
            self, request: httpx.Request
        ) -> Generator[httpx.Request, httpx.Response, None]:
            yield request
            yield request

    with httpx.Client(trust_env=False, auth=Again()) as client:
        client.get(peer.url("/ok"))
    assert len(spans()) == 2
    assert len({heard["traceparent"] for heard in peer.heard}) == 2


def test_a_request_sent_twice_travels_under_the_span_of_the_day(spans: Spans, peer: Peer) -> None:
    with httpx.Client(trust_env=False) as client:
        request = client.build_request("GET", peer.url("/ok"))
        client.send(request)
        client.send(request)
    sent = [heard["traceparent"][36:52] for heard in peer.heard]
    assert sent == [f"{span.context.span_id:016x}" for span in spans() if span.context]


def test_cancellation_ends_the_span_as_an_error_without_exception_event(
    spans: Spans, peer: Peer
) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            task = asyncio.create_task(client.get(peer.url("/slow/0.3")))
            await asyncio.to_thread(until, lambda: peer.heard)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    (span,) = spans()
    assert told(span)["error.type"] == "CancelledError"
    assert span.status.status_code is StatusCode.ERROR
    assert not span.events


def test_credentials_in_a_url_are_never_recorded(spans: Spans, peer: Peer) -> None:
    with httpx.Client(trust_env=False) as client:
        client.get(peer.url("/ok", user="user:secret@"))
    assert told(spans()[0])["url.full"] == peer.url("/ok", user="REDACTED:REDACTED@")


def test_a_url_of_other_alphabets_and_ipv6_is_recorded_as_sent(spans: Spans) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    with httpx.Client(transport=transport) as client:
        client.get("http://[::1]:81/é?ü=ß")
    found = told(spans()[0])
    assert (found["server.address"], found["server.port"]) == ("::1", 81)
    assert found["url.full"] == "http://[::1]:81/%C3%A9?%C3%BC=%C3%9F"


def test_an_unread_generator_body_is_left_to_httpx(spans: Spans, peer: Peer) -> None:
    def parts() -> Iterator[bytes]:
        yield b"a"

    with httpx.Client(trust_env=False) as client:
        answer = client.post(peer.url("/ok"), content=parts(), headers={"content-length": "1"})
    assert answer.status_code == 200


def test_off_puts_the_very_functions_back() -> None:
    before = (httpx.Client._send_single_request, httpx.AsyncClient._send_single_request)
    strayline.instrument(only=["httpx"])
    assert httpx.Client._send_single_request is not before[0]
    strayline.uninstrument()
    assert (httpx.Client._send_single_request, httpx.AsyncClient._send_single_request) == before
