"""Calls that are given up: deadlines, cancellations by either side, servers that stop."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
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
    failed,
    pair,
    pair_then,
    service,
    serving,
    until_then,
)


def test_a_deadline_is_exceeded(spans: Spans) -> None:
    gone = threading.Event()

    def behave(request: bytes, context: Any) -> bytes:
        context.add_callback(gone.set)
        gone.wait(10)
        return request

    with connected("unary_unary", behave) as stub:
        with pytest.raises(grpc.RpcError):
            stub(b"a", timeout=HALF)
        client, server = pair(spans)
    assert code(client) == code(server) == "DEADLINE_EXCEEDED"
    assert failed(client)
    assert failed(server)


def test_a_deadline_is_exceeded_on_asyncio(spans: Spans) -> None:
    async def behave(request: bytes, context: Any) -> bytes:
        await asyncio.Event().wait()
        return request

    async def main() -> None:
        async with aio_connected("unary_unary", behave) as stub:
            with pytest.raises(grpc.aio.AioRpcError):
                await stub(b"a", timeout=HALF)
            client, server = await pair_then(spans)
            assert code(client) == code(server) == "DEADLINE_EXCEEDED"

    asyncio.run(main())


def test_a_client_cancels_while_it_waits(spans: Spans) -> None:
    entered, gone = threading.Event(), threading.Event()

    def behave(request: bytes, context: Any) -> bytes:
        context.add_callback(gone.set)
        entered.set()
        gone.wait(10)
        return request

    with connected("unary_unary", behave) as stub:
        future = stub.future(b"a")
        assert entered.wait(10)
        assert future.cancel()
        with pytest.raises(grpc.FutureCancelledError):
            future.result()
        client, server = pair(spans)
    assert code(client) == code(server) == "CANCELLED"
    assert failed(client)
    assert not failed(server)


@pytest.mark.parametrize("by", ["cancel", "task"])
def test_a_client_cancels_while_it_waits_on_asyncio(spans: Spans, by: str) -> None:
    async def main() -> None:
        entered = asyncio.Event()

        async def behave(request: bytes, context: Any) -> bytes:
            entered.set()
            await asyncio.Event().wait()
            return request

        async with aio_connected("unary_unary", behave) as stub:
            call = stub(b"a")

            async def wait() -> None:
                await call

            task = asyncio.create_task(wait())
            await entered.wait()
            _ = call.cancel() if by == "cancel" else task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            client, server = await pair_then(spans)
            assert code(client) == code(server) == "CANCELLED"
            assert failed(client)
            assert not failed(server)

    asyncio.run(main())


@pytest.mark.parametrize("single_threaded", [False, True])
def test_a_client_cancels_in_mid_stream(spans: Spans, single_threaded: bool) -> None:
    option = (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1)
    with (
        serving("unary_stream", endless) as target,
        grpc.insecure_channel(target, (option,) if single_threaded else ()) as channel,
    ):
        call = channel.unary_stream(METHOD)(b"a")
        assert next(call) == b"a"
        call.cancel()
        with pytest.raises(grpc.RpcError):
            list(call)
        del call
        gc.collect()  # the call is the error that it raises, and no thread of its own ends it
        client, server = pair(spans)
    assert code(client) == code(server) == "CANCELLED"


@pytest.mark.parametrize("single_threaded", [False, True])
def test_a_stream_that_its_client_drops_ends(spans: Spans, single_threaded: bool) -> None:
    """Nothing of ours keeps it from being collected, which is what cancels it."""
    option = (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1)
    with (
        serving("unary_stream", endless) as target,
        grpc.insecure_channel(target, (option,) if single_threaded else ()) as channel,
    ):
        call = channel.unary_stream(METHOD)(b"a")
        assert next(call) == b"a"
        assert not clients(spans)
        del call
        client, server = pair(spans)
    assert code(client) == code(server) == "CANCELLED"


def test_a_bidirectional_stream_that_its_client_drops_ends(spans: Spans) -> None:
    release = threading.Event()

    def requests() -> Iterator[bytes]:
        yield b"a"
        release.wait(10)

    with connected("stream_stream", lambda requests, context: requests) as stub:
        call = stub(requests())
        assert next(call) == b"a"
        del call
        client, server = pair(spans)
        release.set()
    assert code(client) == "CANCELLED"
    # the handler may hear of the requests' end before it hears why
    assert code(server) in ("CANCELLED", "OK")


def test_a_stream_that_its_client_drops_ends_with_its_channel_on_asyncio(spans: Spans) -> None:
    """grpcio 1.85 itself keeps such a call until then; older ones leave it to be collected."""

    async def main() -> None:
        async def behave(request: bytes, context: Any) -> AsyncIterator[bytes]:
            while True:
                yield b"a"

        async with (
            aio_serving("unary_stream", behave) as target,
            grpc.aio.insecure_channel(target) as channel,
        ):
            async for item in channel.unary_stream(METHOD)(b"a"):
                assert item == b"a"
                break
        await until_then(lambda: gc.collect() >= 0 and clients(spans))
        client, server = await pair_then(spans)
        assert code(client) == code(server) == "CANCELLED"

    asyncio.run(main())


@pytest.mark.parametrize("style", ["generator", "writing"])
def test_a_client_cancels_in_mid_stream_on_asyncio(spans: Spans, style: str) -> None:
    """Not a plain function's stream: grpcio never wakes its thread again, with us or without."""

    async def generator(request: bytes, context: Any) -> AsyncIterator[bytes]:
        while True:
            yield b"a"

    async def writing(request: bytes, context: Any) -> None:
        while True:
            await context.write(b"a")

    handled: Any = generator if style == "generator" else writing

    async def main() -> None:
        async with aio_connected("unary_stream", handled) as stub:
            call = stub(b"a")
            assert await call.read() == b"a"
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call.read()
            client, server = await pair_then(spans)
            assert code(client) == code(server) == "CANCELLED"

    asyncio.run(main())


def test_a_server_that_stops_cancels_what_it_works_on(spans: Spans) -> None:
    entered, gone = threading.Event(), threading.Event()

    def behave(request: bytes, context: Any) -> bytes:
        context.add_callback(gone.set)
        entered.set()
        gone.wait(10)
        return request

    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers((service("unary_unary", behave),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            future = channel.unary_unary(METHOD).future(b"a")
            assert entered.wait(10)
            server.stop(None).wait()
            with pytest.raises(grpc.RpcError):
                future.result(10)
    client, answered = pair(spans)
    assert code(client) in ("CANCELLED", "UNAVAILABLE")
    assert code(answered) == "CANCELLED"


def test_a_server_on_asyncio_that_stops_cancels_what_it_works_on(spans: Spans) -> None:
    async def main() -> None:
        entered = asyncio.Event()

        async def behave(request: bytes, context: Any) -> bytes:
            entered.set()
            await asyncio.Event().wait()
            return request

        async with aio_serving("unary_unary", behave) as target:
            channel = grpc.aio.insecure_channel(target)
            call = channel.unary_unary(METHOD)(b"a")
            await entered.wait()
        with pytest.raises(grpc.aio.AioRpcError):
            await call
        await channel.close()
        client, server = await pair_then(spans)
        assert code(client) in ("CANCELLED", "UNAVAILABLE")
        assert code(server) == "CANCELLED"

    asyncio.run(main())
