"""gRPC, sync and asyncio, all four call types, errors too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from tests.instrumentation.conftest import Spans

METHODS = ("UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream")


def _handlers(service: Any) -> grpc.GenericRpcHandler:
    makers = (
        grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler,
        grpc.stream_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler,
    )  # fmt: skip
    return grpc.method_handlers_generic_handler(
        "shop.Test",
        {name: make(getattr(service, name)) for name, make in zip(METHODS, makers, strict=True)},
    )


class Sync:
    def UnaryUnary(self, request: bytes, context: Any) -> bytes:
        if request == b"bad":
            context.abort(grpc.StatusCode.INTERNAL, "broken")
        return request

    def UnaryStream(self, request: bytes, context: Any) -> Iterator[bytes]:
        yield from (request, request)

    def StreamUnary(self, requests: Iterator[bytes], context: Any) -> bytes:
        return b"".join(requests)

    def StreamStream(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield from requests


class Async:
    async def UnaryUnary(self, request: bytes, context: Any) -> bytes:
        if request == b"bad":
            await context.abort(grpc.StatusCode.INTERNAL, "broken")
        return request

    async def UnaryStream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for _ in range(2):
            yield request

    async def StreamUnary(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"".join([item async for item in requests])

    async def StreamStream(
        self, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        async for item in requests:
            yield item


def _check(spans: Spans, calls: int) -> None:
    clients = {s.context.span_id: s for s in spans() if s.kind is SpanKind.CLIENT}
    servers = [s for s in spans() if s.kind is SpanKind.SERVER]
    assert len(clients) == len(servers) == calls
    for server in servers:
        assert server.parent is not None
        client = clients[server.parent.span_id]
        assert client.name == server.name
        assert (server.attributes or {})["rpc.method"].startswith("shop.Test/")
        assert (client.attributes or {})["rpc.response.status_code"] == (server.attributes or {})[
            "rpc.response.status_code"
        ]
    errors = [s for s in (*clients.values(), *servers) if s.status.status_code is StatusCode.ERROR]
    assert {s.name for s in errors} == {"shop.Test/UnaryUnary"}
    assert len(errors) == 2


def test_sync_client_and_server(spans: Spans) -> None:
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((_handlers(Sync()),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert channel.unary_unary("/shop.Test/UnaryUnary")(b"a") == b"a"
        assert list(channel.unary_stream("/shop.Test/UnaryStream")(b"a")) == [b"a", b"a"]
        assert channel.stream_unary("/shop.Test/StreamUnary")(iter([b"a", b"b"])) == b"ab"
        assert list(channel.stream_stream("/shop.Test/StreamStream")(iter([b"a", b"b"]))) == [
            b"a",
            b"b",
        ]
        with pytest.raises(grpc.RpcError):
            channel.unary_unary("/shop.Test/UnaryUnary")(b"bad")
    server.stop(1).wait()
    _check(spans, 5)


def test_asyncio_client_and_server(spans: Spans) -> None:
    async def main() -> None:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((_handlers(Async()),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert await channel.unary_unary("/shop.Test/UnaryUnary")(b"a") == b"a"
            assert [x async for x in channel.unary_stream("/shop.Test/UnaryStream")(b"a")] == [
                b"a",
                b"a",
            ]
            assert await channel.stream_unary("/shop.Test/StreamUnary")(iter([b"a", b"b"])) == b"ab"
            assert [
                x
                async for x in channel.stream_stream("/shop.Test/StreamStream")(iter([b"a", b"b"]))
            ] == [b"a", b"b"]
            with pytest.raises(grpc.RpcError):
                await channel.unary_unary("/shop.Test/UnaryUnary")(b"bad")
        await server.stop(1)

    asyncio.run(main())
    _check(spans, 5)
