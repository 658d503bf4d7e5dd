"""How calls end: errors of every origin, deadlines, cancellations, servers that go away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.instrumentation.conftest import Spans
from tests.instrumentation.grpc.services import (
    HALF,
    METHOD,
    aio_connected,
    aio_serving,
    clients,
    code,
    connected,
    endless,
    exceptions,
    failed,
    pair,
    pair_then,
    servers,
    serving,
    until,
    until_then,
)

SERVER_ERRORS = {
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
}
ERRORS = [status for status in grpc.StatusCode if status is not grpc.StatusCode.OK]


@pytest.mark.parametrize("status", ERRORS)
@pytest.mark.parametrize("way", ["abort", "set_code"])
def test_a_status_of_a_handler(spans: Spans, status: grpc.StatusCode, way: str) -> None:
    """To the client each is an error; to the server only those that the conventions name."""

    def behave(request: bytes, context: Any) -> bytes:
        if way == "abort":
            context.abort(status, "because")
        context.set_code(status)
        context.set_details("because")
        return b""

    with connected("unary_unary", behave) as stub, pytest.raises(grpc.RpcError) as raised:
        stub(b"a")
    assert raised.value.code() is status
    client, server = pair(spans)
    assert code(client) == code(server) == status.name
    assert failed(client)
    assert client.status.description == "because"
    assert failed(server) == (status.name in SERVER_ERRORS)
    assert not server.events


@pytest.mark.parametrize("status", [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL])
@pytest.mark.parametrize("way", ["abort", "set_code", "number"])
@pytest.mark.parametrize("plain", [False, True])
def test_a_status_of_a_handler_on_asyncio(
    spans: Spans, status: grpc.StatusCode, way: str, plain: bool
) -> None:
    def set_code(context: Any) -> bytes:
        context.set_code(status.value[0] if way == "number" else status)
        context.set_details("because")
        return b""

    async def coroutine(request: bytes, context: Any) -> bytes:
        if way == "abort":
            await context.abort(status, "because")
        return set_code(context)

    def function(request: bytes, context: Any) -> bytes:
        if way == "abort":
            context.abort(status, "because")
        return set_code(context)

    async def main() -> None:
        async with aio_connected("unary_unary", function if plain else coroutine) as stub:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await stub(b"a")
            assert raised.value.code() is status
            client, server = await pair_then(spans)
            assert code(client) == code(server) == status.name
            assert client.status.description == "because"
            assert failed(server) == (status.name in SERVER_ERRORS)
            assert not server.events

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_an_exception_of_a_handler_is_recorded(spans: Spans, kind: str) -> None:
    def unary(request: bytes, context: Any) -> bytes:
        raise KeyError("lost")

    def stream(request: bytes, context: Any) -> Iterator[bytes]:
        yield b"a"
        raise KeyError("lost")

    with connected(kind, unary if kind == "unary_unary" else stream) as stub:
        with pytest.raises(grpc.RpcError):
            list(stub(b"a"))
        client, server = pair(spans)
    assert code(client) == code(server) == "UNKNOWN"
    assert exceptions(server) == ["KeyError"]
    assert server.status.description == "'lost'"


@pytest.mark.parametrize(
    "kind", ["unary_unary", "unary_stream", "writing", "plain", "plain_stream"]
)
def test_an_exception_of_a_handler_on_asyncio_is_recorded(spans: Spans, kind: str) -> None:
    async def unary_unary(request: bytes, context: Any) -> bytes:
        raise KeyError("lost")

    async def unary_stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"a"
        raise KeyError("lost")

    async def writing(request: bytes, context: Any) -> None:
        await context.write(b"a")
        raise KeyError("lost")

    def plain(request: bytes, context: Any) -> bytes:
        raise KeyError("lost")

    def plain_stream(request: bytes, context: Any) -> Iterator[bytes]:
        yield b"a"
        raise KeyError("lost")

    streams = kind not in ("unary_unary", "plain")

    async def main() -> None:
        async with aio_connected(
            "unary_stream" if streams else "unary_unary", locals_of[kind]
        ) as stub:

            async def ask() -> None:
                call = stub(b"a")
                _ = [item async for item in call] if streams else await call

            with pytest.raises(grpc.aio.AioRpcError):
                await ask()
            client, server = await pair_then(spans)
            assert code(client) == code(server) == "UNKNOWN"
            assert exceptions(server) == ["KeyError"]

    locals_of: dict[str, Callable[..., Any]] = {
        "unary_unary": unary_unary,
        "unary_stream": unary_stream,
        "writing": writing,
        "plain": plain,
        "plain_stream": plain_stream,
    }
    asyncio.run(main())


def test_an_error_of_a_call_made_by_a_handler_is_the_handlers_error(spans: Spans) -> None:
    def inner(request: bytes, context: Any) -> bytes:
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
        return b""

    with connected("unary_unary", inner) as further:
        with (
            connected("unary_unary", lambda request, context: further(request)) as stub,
            pytest.raises(grpc.RpcError) as raised,
        ):
            stub(b"a")
        until(lambda: len(servers(spans)) == 2)
    assert raised.value.code() is grpc.StatusCode.UNKNOWN
    assert sorted(code(span) for span in servers(spans)) == ["NOT_FOUND", "UNKNOWN"]
    assert len({span.context.trace_id for span in spans() if span.context}) == 1


def test_a_channel_that_is_closed_ends_its_calls(spans: Spans) -> None:
    with serving("unary_stream", endless) as target:
        channel = grpc.insecure_channel(target)
        call = channel.unary_stream(METHOD)(b"a")
        assert next(call) == b"a"
        channel.close()
        until(lambda: clients(spans))
        assert code(clients(spans)[0]) == "CANCELLED"
        with pytest.raises(ValueError, match="closed channel"):
            channel.unary_unary(METHOD)(b"a")
        del call
    (_, refused) = clients(spans)
    assert (code(refused), (refused.attributes or {})["error.type"]) == ("UNKNOWN", "ValueError")


def test_no_server_is_unavailable(spans: Spans, unused_tcp_port: int) -> None:
    target = f"127.0.0.1:{unused_tcp_port}"
    with grpc.insecure_channel(target) as channel:
        with pytest.raises(grpc.RpcError):
            channel.unary_unary(METHOD)(b"a")
        with pytest.raises(grpc.RpcError):
            channel.unary_unary(METHOD)(b"a", wait_for_ready=True, timeout=HALF)
        with pytest.raises(grpc.RpcError):
            list(channel.stream_stream(METHOD)(iter([b"a"])))

    async def main() -> None:
        async with grpc.aio.insecure_channel(target) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await channel.unary_unary(METHOD)(b"a")
            with pytest.raises(grpc.aio.AioRpcError):
                await channel.stream_stream(METHOD)(iter([b"a"])).read()

    asyncio.run(main())
    until(lambda: len(clients(spans)) == 5)
    codes = [code(span) for span in clients(spans)]
    assert codes == ["UNAVAILABLE", "DEADLINE_EXCEEDED", *["UNAVAILABLE"] * 3]


def test_a_method_nobody_serves_is_the_clients_span_alone(spans: Spans) -> None:
    async def main() -> None:
        with (
            serving("unary_unary", lambda request, context: request) as target,
            grpc.insecure_channel(target) as channel,
            pytest.raises(grpc.RpcError),
        ):
            channel.unary_unary("/shop.Test/Missing")(b"a")
        async with (
            aio_serving("unary_unary", lambda request, context: request) as target,
            grpc.aio.insecure_channel(target) as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError):
                await channel.unary_unary("/shop.Test/Missing")(b"a")
        await until_then(lambda: len(clients(spans)) == 2)

    asyncio.run(main())
    assert {code(span) for span in clients(spans)} == {"UNIMPLEMENTED"}
    assert not servers(spans)


def test_a_request_that_cannot_be_serialized_is_no_lost_span(spans: Spans) -> None:
    def refuse(request: Any) -> bytes:
        raise ValueError(request)

    with grpc.insecure_channel("127.0.0.1:1") as channel:
        with pytest.raises(grpc.RpcError):
            channel.unary_unary(METHOD, request_serializer=refuse)(b"a")
        with pytest.raises(grpc.RpcError):
            channel.unary_stream(METHOD, request_serializer=refuse)(b"a")
    assert [code(span) for span in clients(spans)] == ["INTERNAL", "INTERNAL"]


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_a_request_that_cannot_be_sent_is_no_lost_span_on_asyncio(spans: Spans, kind: str) -> None:
    """Such a call never has a status: its span tells the error, and as soon as it is known."""

    async def main() -> None:
        async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
            call = getattr(channel, kind)(METHOD)(b"a", metadata=(("k", 5),))
            with pytest.raises(TypeError):
                await (call if kind == "unary_unary" else call.read())
            (client,) = clients(spans)
            assert (client.attributes or {})["error.type"] == "TypeError"
            assert code(client) == "UNKNOWN"

    asyncio.run(main())


def test_requests_that_raise_end_their_call(spans: Spans) -> None:
    def requests() -> Iterator[bytes]:
        yield b"a"
        raise KeyError("lost")

    async def main() -> None:
        async with aio_connected("stream_unary", _joined) as stub:
            with pytest.raises(asyncio.CancelledError):
                await stub(requests())
            await until_then(lambda: len(clients(spans)) == 2)

    with (
        connected("stream_unary", lambda requests, context: b"".join(requests)) as stub,
        pytest.raises(grpc.RpcError),
    ):
        stub(requests())
    asyncio.run(main())
    assert [code(span) for span in clients(spans)] == ["UNKNOWN", "CANCELLED"]


async def _joined(requests: AsyncIterator[bytes], context: Any) -> bytes:
    return b"".join([item async for item in requests])


def test_a_callback_that_raises_keeps_no_span_open(spans: Spans) -> None:
    added = threading.Event()

    def behave(request: bytes, context: Any) -> bytes:
        added.wait(10)
        return request

    def raises(_: Any) -> None:
        raise KeyError("mine")

    with connected("unary_unary", behave) as stub:
        future = stub.future(b"a")
        future.add_done_callback(raises)
        added.set()
        assert future.result(10) == b"a"
        pair(spans)
