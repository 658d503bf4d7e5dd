"""Real servers on loopback, one method each test, and what is waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import grpc.aio
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from tests.instrumentation.conftest import Spans

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
METHOD = "/shop.Test/Do"
HALF = 0.1
"""Seconds of a deadline that is meant to pass."""


def handler(kind: str, behaviour: Callable[..., Any]) -> grpc.RpcMethodHandler:
    make: Any = getattr(grpc, f"{kind}_rpc_method_handler")
    return make(behaviour)


def service(kind: str, behaviour: Callable[..., Any]) -> grpc.GenericRpcHandler:
    """``shop.Test/Do``."""
    return grpc.method_handlers_generic_handler("shop.Test", {"Do": handler(kind, behaviour)})


@contextmanager
def serving(
    kind: str, behaviour: Callable[..., Any], *, interceptors: Sequence[Any] = (), **options: Any
) -> Iterator[str]:
    """A thread-pool server; gives its target."""
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, interceptors=interceptors, **options)
        server.add_generic_rpc_handlers((service(kind, behaviour),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()


@asynccontextmanager
async def aio_serving(
    kind: str, behaviour: Callable[..., Any], *, interceptors: Sequence[Any] = (), **options: Any
) -> AsyncIterator[str]:
    """An asyncio server, with a pool for plain functions; gives its target."""
    with ThreadPoolExecutor(4) as pool:
        server = grpc.aio.server(pool, interceptors=interceptors, **options)
        server.add_generic_rpc_handlers((service(kind, behaviour),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop(None)


@contextmanager
def connected(kind: str, behaviour: Callable[..., Any], **options: Any) -> Iterator[Any]:
    """A sync multi-callable of a served method."""
    with serving(kind, behaviour, **options) as target, grpc.insecure_channel(target) as channel:
        yield getattr(channel, kind)(METHOD)


@asynccontextmanager
async def aio_connected(
    kind: str, behaviour: Callable[..., Any], **options: Any
) -> AsyncIterator[Any]:
    """An asyncio multi-callable of a served method."""
    async with (
        aio_serving(kind, behaviour, **options) as target,
        grpc.aio.insecure_channel(target) as channel,
    ):
        yield getattr(channel, kind)(METHOD)


def clients(spans: Spans) -> list[ReadableSpan]:
    return [span for span in spans() if span.kind is SpanKind.CLIENT]


def servers(spans: Spans) -> list[ReadableSpan]:
    return [span for span in spans() if span.kind is SpanKind.SERVER]


def code(span: ReadableSpan) -> Any:
    return (span.attributes or {}).get("rpc.response.status_code")


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Waits for what another thread does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


async def until_then(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Waits for what another task or thread does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.002)


def pair(spans: Spans) -> tuple[ReadableSpan, ReadableSpan]:
    """The one client span and its child, the one server span, once both have ended."""
    until(lambda: clients(spans) and servers(spans))
    return checked(spans)


async def pair_then(spans: Spans) -> tuple[ReadableSpan, ReadableSpan]:
    """``pair`` while the loop runs on."""
    await until_then(lambda: clients(spans) and servers(spans))
    return checked(spans)


def checked(spans: Spans) -> tuple[ReadableSpan, ReadableSpan]:
    (client,), (server,) = clients(spans), servers(spans)
    assert client.context is not None
    assert server.parent is not None
    assert server.parent.span_id == client.context.span_id
    assert server.context is not None
    assert server.context.trace_id == client.context.trace_id
    return client, server


def failed(span: ReadableSpan) -> bool:
    error = (span.attributes or {}).get("error.type")
    assert (error is not None) == (span.status.status_code is StatusCode.ERROR)
    return error is not None


def exceptions(span: ReadableSpan) -> list[Any]:
    return [(event.attributes or {})["exception.type"] for event in span.events]


def endless(request: Any, context: Any) -> Iterator[bytes]:
    while True:
        yield b"a"
