"""All four call types, every kind of client against every kind of server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.instrumentation.conftest import Spans
from tests.instrumentation.grpc.services import (
    KINDS,
    METHOD,
    aio_connected,
    aio_serving,
    clients,
    code,
    connected,
    pair,
    pair_then,
    servers,
    serving,
    until,
)

ANSWERS = {
    "unary_unary": b"a",
    "unary_stream": [b"a", b"a"],
    "stream_unary": b"ab",
    "stream_stream": [b"a", b"b"],
}


class Plain:
    """Handlers that are a class's methods."""

    def unary_unary(self, request: bytes, context: Any) -> bytes:
        return request

    def unary_stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        yield from (request, request)

    def stream_unary(self, requests: Iterator[bytes], context: Any) -> bytes:
        return b"".join(requests)

    def stream_stream(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield from requests


class Async:
    async def unary_unary(self, request: bytes, context: Any) -> bytes:
        return request

    async def unary_stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for _ in range(2):
            yield request

    async def stream_unary(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"".join([item async for item in requests])

    async def stream_stream(
        self, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        async for item in requests:
            yield item


class Writing(Async):
    """The reader-writer API of asyncio's servers."""

    async def unary_stream(self, request: bytes, context: Any) -> None:  # type: ignore[override]
        for _ in range(2):
            await context.write(request)

    async def stream_unary(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        found = b""
        while (item := await context.read()) is not grpc.aio.EOF:
            found += item
        return found

    async def stream_stream(  # type: ignore[override]
        self, requests: AsyncIterator[bytes], context: Any
    ) -> None:
        while (item := await context.read()) is not grpc.aio.EOF:
            await context.write(item)


def ask(kind: str, stub: Any) -> Any:
    """One call on a sync channel."""
    request = iter([b"a", b"b"]) if kind.startswith("stream") else b"a"
    return list(stub(request)) if kind.endswith("stream") else stub(request)


async def _requests() -> AsyncIterator[bytes]:
    for item in (b"a", b"b"):
        yield item


async def ask_iterating(kind: str, stub: Any) -> Any:
    """One call on an asyncio channel, by asynchronous iterators."""
    call = stub(_requests() if kind.startswith("stream") else b"a")
    return [item async for item in call] if kind.endswith("stream") else await call


async def ask_reading(kind: str, stub: Any) -> Any:
    """One call on an asyncio channel, by ``write()`` and ``read()``."""
    if kind.startswith("stream"):
        call = stub()
        for item in (b"a", b"b"):
            await call.write(item)
        await call.done_writing()
    else:
        call = stub(b"a")
    if not kind.endswith("stream"):
        return await call
    found: list[bytes] = []
    while (item := await call.read()) is not grpc.aio.EOF:
        found.append(item)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_sync_client_sync_server(spans: Spans, kind: str) -> None:
    with connected(kind, getattr(Plain(), kind)) as stub:
        assert ask(kind, stub) == ANSWERS[kind]
        client, server = pair(spans)
    assert client.name == server.name == "shop.Test/Do"
    assert code(client) == code(server) == "OK"


@pytest.mark.parametrize("service", [Plain, Async, Writing])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("asking", [ask_iterating, ask_reading])
def test_asyncio_client_asyncio_server(
    spans: Spans, kind: str, service: Callable[[], Any], asking: Callable[..., Any]
) -> None:
    """Plain functions on an asyncio server run on its thread pool, as they do without us."""

    async def main() -> None:
        async with aio_connected(kind, getattr(service(), kind)) as stub:
            assert await asking(kind, stub) == ANSWERS[kind]
            client, server = await pair_then(spans)
            assert client.name == server.name == "shop.Test/Do"
            assert code(client) == code(server) == "OK"

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_sync_client_asyncio_server(spans: Spans, kind: str) -> None:
    async def main() -> None:
        async with aio_serving(kind, getattr(Async(), kind)) as target:

            def call() -> Any:
                with grpc.insecure_channel(target) as channel:
                    return ask(kind, getattr(channel, kind)(METHOD))

            assert await asyncio.to_thread(call) == ANSWERS[kind]
            await pair_then(spans)

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_asyncio_client_sync_server(spans: Spans, kind: str) -> None:
    async def main() -> None:
        with serving(kind, getattr(Plain(), kind)) as target:
            async with grpc.aio.insecure_channel(target) as channel:
                assert await ask_iterating(kind, getattr(channel, kind)(METHOD)) == ANSWERS[kind]
            await pair_then(spans)

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["unary_unary", "stream_unary"])
def test_with_call_and_future_are_each_one_span(spans: Spans, kind: str) -> None:
    def request() -> Any:
        return iter([b"a", b"b"]) if kind.startswith("stream") else b"a"

    with connected(kind, getattr(Plain(), kind)) as stub:
        answer, call = stub.with_call(request())
        assert (answer, call.code()) == (ANSWERS[kind], grpc.StatusCode.OK)
        future = stub.future(request())
        seen: list[Any] = []
        future.add_done_callback(seen.append)
        assert future.result(10) == ANSWERS[kind]
        pending = (grpc.Call, grpc.Future)
        assert isinstance(future, pending)
        assert isinstance(call, pending)
        _wait_for(spans, 2)
        assert seen == [future]
    assert [code(span) for span in clients(spans)] == ["OK", "OK"]


def test_many_futures_at_once_each_have_their_span(spans: Spans) -> None:
    with connected("unary_unary", Plain().unary_unary) as stub:
        futures = [stub.future(b"%d" % number) for number in range(50)]
        assert [future.result(10) for future in futures] == [b"%d" % n for n in range(50)]
        _wait_for(spans, 50)


def test_arguments_pass_by_name_and_by_position(spans: Spans) -> None:
    with connected("unary_unary", Plain().unary_unary) as stub:
        assert stub(b"a", 10, (("k", "v"),), None, True, grpc.Compression.Gzip) == b"a"
        assert stub(request=b"a", timeout=10, wait_for_ready=True) == b"a"
        with pytest.raises(TypeError):
            stub(b"a", nonsense=1)
    with connected("stream_unary", Plain().stream_unary) as stub:
        assert stub(request_iterator=iter([b"a"]), compression=grpc.Compression.Deflate) == b"a"
    assert [code(span) for span in clients(spans)] == ["OK", "OK", "UNKNOWN", "OK"]


def test_asyncio_arguments_pass(spans: Spans) -> None:
    async def main() -> None:
        async with aio_connected("unary_unary", Async().unary_unary) as stub:
            assert await stub(
                b"a", timeout=10, wait_for_ready=True, compression=grpc.Compression.Gzip
            ) == (b"a")
            await pair_then(spans)

    asyncio.run(main())


def test_a_channel_may_read_its_streams_on_the_callers_thread(spans: Spans) -> None:
    option = grpc.experimental.ChannelOptions.SingleThreadedUnaryStream
    with (
        serving("unary_stream", Plain().unary_stream) as target,
        grpc.insecure_channel(target, ((option, 1),)) as channel,
    ):
        assert list(channel.unary_stream(METHOD)(b"a")) == [b"a", b"a"]
        pair(spans)


def test_generated_stubs_and_registered_methods(spans: Spans) -> None:
    try:
        from demo_services import shop_pb2, shop_pb2_grpc
    except RuntimeError as error:  # generated for a newer grpcio than this one
        pytest.skip(str(error))

    class Orders(shop_pb2_grpc.OrdersServicer):
        def CreateOrder(self, request: Any, context: Any) -> Any:
            return shop_pb2.CreateOrderReply(order_id="7")

    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        shop_pb2_grpc.add_OrdersServicer_to_server(Orders(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = shop_pb2_grpc.OrdersStub(channel)
            assert stub.CreateOrder(shop_pb2.CreateOrderRequest()).order_id == "7"
            client, server_span = pair(spans)
        server.stop(None).wait()
    assert client.name == server_span.name
    assert client.name.endswith("Orders/CreateOrder")


def test_the_experimental_simple_stubs_are_traced(spans: Spans) -> None:
    with serving("unary_unary", Plain().unary_unary) as target:
        with pytest.warns(grpc.experimental.ExperimentalApiWarning):
            answer = grpc.experimental.unary_unary(b"a", target, METHOD, insecure=True, timeout=10)
        assert answer == b"a"
        pair(spans)


def _wait_for(spans: Spans, count: int) -> None:
    until(lambda: len(clients(spans)) == len(servers(spans)) == count)
