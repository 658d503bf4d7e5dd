"""What is current within handlers, and that no context is left in a wrong place."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import threading
import types
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.trace import SpanKind

from strayline.shims.grpc_aio_server import _wrapped
from strayline.shims.grpc_server import Call
from tests.instrumentation.conftest import Spans
from tests.instrumentation.grpc.services import (
    KINDS,
    METHOD,
    aio_connected,
    clients,
    code,
    connected,
    handler,
    pair,
    pair_then,
    servers,
    until,
    until_then,
)

TRACER = trace.get_tracer("application")
MINE: contextvars.ContextVar[str] = contextvars.ContextVar("mine", default="unset")


@pytest.fixture(autouse=True)
def no_context_is_detached_elsewhere(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG):
        yield
        gc.collect()
    assert "Failed to detach context" not in caplog.text


def made(name: str) -> None:
    """A span of the application."""
    with TRACER.start_as_current_span(name):
        pass


def parents(spans: Spans) -> dict[str, str | None]:
    """Names of the spans that the application made, with their parents' names."""
    names = {span.context.span_id: span.name for span in spans() if span.context}
    return {
        span.name: names.get(span.parent.span_id) if span.parent else None
        for span in spans()
        if span.kind is SpanKind.INTERNAL
    }


class Plain:
    def unary_unary(self, request: bytes, context: Any) -> bytes:
        made("inside")
        return request

    def unary_stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        made("first")
        yield request
        made("second")
        yield request

    def stream_unary(self, requests: Iterator[bytes], context: Any) -> bytes:
        found = b"".join(requests)
        made("inside")
        return found

    def stream_stream(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for number, item in enumerate(requests):
            made(f"item {number}")
            yield item


class Async:
    async def unary_unary(self, request: bytes, context: Any) -> bytes:
        await asyncio.sleep(0)
        made("inside")
        return request

    async def unary_stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        made("first")
        yield request
        await asyncio.sleep(0)
        made("second")
        yield request

    async def stream_unary(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        found = b"".join([item async for item in requests])
        made("inside")
        return found

    async def stream_stream(
        self, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        number = 0
        async for item in requests:
            made(f"item {number}")
            number += 1
            yield item


@pytest.mark.parametrize("kind", KINDS)
def test_the_span_is_current_in_a_handler(spans: Spans, kind: str) -> None:
    with connected(kind, getattr(Plain(), kind)) as stub:
        answer = stub(iter([b"a", b"b"]) if kind.startswith("stream") else b"a")
        _ = list(answer) if kind.endswith("stream") else None
        pair(spans)
    assert parents(spans)
    assert set(parents(spans).values()) == {"shop.Test/Do"}


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_span_is_current_in_a_handler_on_asyncio(spans: Spans, kind: str, plain: bool) -> None:
    async def main() -> None:
        async with aio_connected(kind, getattr(Plain() if plain else Async(), kind)) as stub:
            call = stub(iter([b"a", b"b"]) if kind.startswith("stream") else b"a")
            _ = [item async for item in call] if kind.endswith("stream") else await call
            await pair_then(spans)

    asyncio.run(main())
    assert parents(spans)
    assert set(parents(spans).values()) == {"shop.Test/Do"}


def test_what_a_streaming_handler_makes_current_stays_so_for_it_alone(spans: Spans) -> None:
    """Two streams take turns on one thread's channel; each has its own current span and
    variables, from answer to answer."""

    def behave(request: bytes, servicer: Any) -> Iterator[bytes]:
        MINE.set(request.decode())
        with TRACER.start_as_current_span(f"work {request.decode()}"):
            for number in range(3):
                made(f"{request.decode()}{number}")
                yield MINE.get().encode()

    with connected("unary_stream", behave) as stub:
        first, second = stub(b"x"), stub(b"y")
        turns = [next(call) for _ in range(3) for call in (first, second)]
        assert turns == [b"x", b"y"] * 3
        assert (list(first), list(second)) == ([], [])
        until(lambda: len(servers(spans)) == 2)
    told = parents(spans)
    assert {told[f"x{n}"] for n in range(3)} == {"work x"}
    assert {told[f"y{n}"] for n in range(3)} == {"work y"}
    assert told["work x"] == told["work y"] == "shop.Test/Do"


def test_a_stream_that_nobody_reads_on_closes_its_handler_within_its_span(spans: Spans) -> None:
    closed = threading.Event()

    def behave(request: bytes, servicer: Any) -> Iterator[bytes]:
        try:
            with TRACER.start_as_current_span("work"):
                while True:
                    yield b"a"
        finally:
            made("cleanup")
            closed.set()

    with connected("unary_stream", behave) as stub:
        call = stub(b"a")
        assert next(call) == b"a"
        call.cancel()
        assert closed.wait(10)
        _, server = pair(spans)
    told = parents(spans)
    assert told["work"] == told["cleanup"] == "shop.Test/Do"
    (cleanup,) = spans("cleanup")
    assert server.end_time is not None
    assert cleanup.end_time is not None
    assert cleanup.end_time <= server.end_time


def test_a_cancelled_async_generator_leaves_no_context_behind(spans: Spans) -> None:
    async def main() -> None:
        closed = asyncio.Event()

        async def behave(request: bytes, servicer: Any) -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"a" * 1000
            finally:
                closed.set()

        async with aio_connected("unary_stream", behave) as stub:
            call = stub(b"a")
            assert await call.read()
            call.cancel()
            await closed.wait()
            await pair_then(spans)

    asyncio.run(main())


class Servicer:
    """What a handler is given, without a server: grpcio 1.85 crashes, with us and without, when
    a server's objects outlive its loop."""

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def peer(self) -> str:
        return ""

    def time_remaining(self) -> None:
        return None

    def code(self) -> None:
        return None

    details = code


def test_a_handler_that_outlives_its_loop_is_closed_in_whatever_context(spans: Spans) -> None:
    @types.coroutine
    def forever() -> Any:
        yield

    async def behave(request: bytes, servicer: Any) -> None:
        await forever()

    wrapped: Any = _wrapped(behave, False, Call("shop.Test/Do", {}))
    handling = wrapped(b"a", Servicer())
    contextvars.copy_context().run(handling.send, None)
    handling.close()
    (server,) = servers(spans)
    assert code(server) == "CANCELLED"


def test_a_pool_thread_is_left_as_it_was(spans: Spans) -> None:
    """The next request, and whoever else uses the pool, starts from nothing."""
    seen: list[Any] = []
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "shop.Test",
                    {
                        "Do": handler("unary_stream", Plain().unary_stream),
                        "Fail": handler("unary_unary", _fail),
                    },
                ),
            )
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            list(channel.unary_stream(METHOD)(b"a"))
            with pytest.raises(grpc.RpcError):
                channel.unary_unary("/shop.Test/Fail")(b"a")
        pool.submit(lambda: seen.append(context.get_current())).result()
        server.stop(None).wait()
    assert seen == [{}]


def _fail(request: bytes, servicer: Any) -> bytes:
    raise KeyError(request)


def test_a_client_leaves_the_callers_context_alone(spans: Spans) -> None:
    with (
        connected("unary_unary", lambda request, servicer: request) as stub,
        TRACER.start_as_current_span("caller") as caller,
    ):
        before = context.get_current()
        stub(b"a")
        future = stub.future(b"a")
        assert context.get_current() is before
        future.result(10)
        until(lambda: len(clients(spans)) == 2)
    for span in clients(spans):
        assert span.parent is not None
        assert span.parent.span_id == caller.get_span_context().span_id


def test_concurrent_asyncio_calls_have_their_own_parents(spans: Spans) -> None:
    async def main() -> None:
        async with aio_connected("unary_unary", Async().unary_unary) as stub:

            async def one(number: int) -> None:
                with TRACER.start_as_current_span(f"caller {number}"):
                    await stub(b"a")

            await asyncio.gather(*(one(number) for number in range(10)))
            await until_then(lambda: len(servers(spans)) == 10)

    asyncio.run(main())
    told = parents(spans)
    assert len({span.context.trace_id for span in servers(spans) if span.context}) == 10
    assert [told[f"caller {number}"] for number in range(10)] == [None] * 10


def test_baggage_arrives_with_the_call(spans: Spans) -> None:
    seen: list[Any] = []

    def behave(request: bytes, servicer: Any) -> bytes:
        seen.append(baggage.get_baggage("customer"))
        return request

    token = context.attach(baggage.set_baggage("customer", "7"))
    try:
        with connected("unary_unary", behave) as stub:
            stub(b"a")
    finally:
        context.detach(token)
    assert seen == ["7"]
