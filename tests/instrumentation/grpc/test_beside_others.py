"""Users' interceptors, contrib's instrumentations before and after ours, exporters' own calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.grpc import (
    GrpcAioInstrumentorClient,
    GrpcAioInstrumentorServer,
    GrpcInstrumentorClient,
    GrpcInstrumentorServer,
    aio_client_interceptors,
    aio_server_interceptor,
    client_interceptor,
    server_interceptor,
)
from opentelemetry.instrumentation.grpc.grpcext import intercept_channel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

import strayline
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
    until_then,
)
from tests.instrumentation.grpc.test_four_kinds import Async, Plain, ask, ask_iterating

CONTRIB = "opentelemetry.instrumentation.grpc"
INSTRUMENTORS = {
    "client": GrpcInstrumentorClient,
    "server": GrpcInstrumentorServer,
    "aio client": GrpcAioInstrumentorClient,
    "aio server": GrpcAioInstrumentorServer,
}
SIDES = [("client",), ("server",), ("client", "server")]


@contextmanager
def contrib(order: str, *sides: str) -> Iterator[None]:
    """Contrib's instrumentations, switched on ``before`` ours or ``after``."""
    with ExitStack() as stack:
        if order == "before":
            strayline.uninstrument()
        for side in sides:
            instrumentor = INSTRUMENTORS[side]()
            instrumentor.instrument(skip_dep_check=True)
            stack.callback(instrumentor.uninstrument)
        if order == "before":
            strayline.instrument()
        yield
        if order == "before":  # each takes back what it found
            strayline.uninstrument()


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("kind", KINDS)
def test_contrib_beside_us_doubles_no_span(
    spans: Spans, order: str, sides: tuple[str, ...], kind: str
) -> None:
    with contrib(order, *sides), connected(kind, getattr(Plain(), kind)) as stub:
        ask(kind, stub)
        client, server = pair(spans)
    _by_contrib(client, "client" in sides)
    _by_contrib(server, "server" in sides)


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("kind", KINDS)
def test_contrib_beside_us_doubles_no_span_on_asyncio(
    spans: Spans, order: str, sides: tuple[str, ...], kind: str
) -> None:
    async def main() -> None:
        async with aio_connected(kind, getattr(Async(), kind)) as stub:
            await ask_iterating(kind, stub)
            client, server = await pair_then(spans)
            _by_contrib(client, "client" in sides)
            _by_contrib(server, "server" in sides)

    with contrib(order, *(f"aio {side}" for side in sides)):
        asyncio.run(main())


def _by_contrib(span: Any, expected: bool) -> None:
    assert span.instrumentation_scope.name.startswith(CONTRIB) == expected


def test_contribs_interceptors_set_by_hand_double_no_span(spans: Spans) -> None:
    async def main() -> None:
        interceptors = aio_client_interceptors()
        async with (
            aio_serving(
                KINDS[0], Async().unary_unary, interceptors=[aio_server_interceptor()]
            ) as target,
            grpc.aio.insecure_channel(target, interceptors=interceptors) as channel,
        ):
            await channel.unary_unary(METHOD)(b"a")
            await until_then(lambda: len(servers(spans)) == 2)

    with (
        serving(KINDS[0], Plain().unary_unary, interceptors=[server_interceptor()]) as target,
        grpc.insecure_channel(target) as channel,
    ):
        intercept_channel(channel, client_interceptor()).unary_unary(METHOD)(b"a")
        pair(spans)
    asyncio.run(main())
    assert len(clients(spans)) == len(servers(spans)) == 2
    for span in (*clients(spans), *servers(spans)):
        _by_contrib(span, True)


def test_a_call_within_contribs_span_of_another_is_traced(spans: Spans) -> None:
    """Only the very call that contrib traces is contrib's."""
    with connected(KINDS[0], Plain().unary_unary) as stub:
        tracer = trace.get_tracer(CONTRIB)
        with tracer.start_as_current_span("/shop.Test/Other", kind=trace.SpanKind.CLIENT):
            stub(b"a")
        until(lambda: len(clients(spans)) == 2)


class Retrying(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """A user's: adds metadata, and asks again once."""

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        details = details._replace(metadata=(("x-user", "1"),))
        call = continuation(details, request)
        return continuation(details, request) if call.exception() else call

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(details._replace(metadata=(("x-user", "1"),)), request)


class Guard(grpc.ServerInterceptor):
    """A user's: refuses at first, then looks at what is current around a handler."""

    def __init__(self) -> None:
        self.asked = 0
        self.seen: list[str] = []

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        self.asked += 1
        if self.asked == 1:
            return grpc.unary_unary_rpc_method_handler(self._refuse)
        assert ("x-user", "1") in [tuple(pair) for pair in details.invocation_metadata]
        found = continuation(details)

        def around(request: bytes, servicer: Any) -> Any:
            self.seen.append(getattr(trace.get_current_span(), "name", ""))
            return found.unary_unary(request, servicer)

        return grpc.unary_unary_rpc_method_handler(around)

    def _refuse(self, request: bytes, servicer: Any) -> None:
        servicer.abort(grpc.StatusCode.UNAUTHENTICATED, "who is it?")


def test_users_interceptors_work_and_each_attempt_is_a_span(spans: Spans) -> None:
    guard = Guard()
    with (
        serving(KINDS[0], Plain().unary_unary, interceptors=[guard]) as target,
        grpc.insecure_channel(target) as channel,
    ):
        stub = grpc.intercept_channel(channel, Retrying()).unary_unary(METHOD)
        assert stub(b"a") == b"a"
        until(lambda: len(servers(spans)) == 2)
    codes = ["UNAUTHENTICATED", "OK"]
    assert [code(span) for span in clients(spans)] == codes
    assert [code(span) for span in servers(spans)] == codes
    assert guard.seen == ["shop.Test/Do"]


class AioUser(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        details.metadata.add("x-user", "1")
        return await continuation(details, request + b"!")


class AioGuard(grpc.aio.ServerInterceptor):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        self.seen = [tuple(pair) for pair in details.invocation_metadata]
        return await continuation(details)


def test_users_interceptors_work_on_asyncio(spans: Spans) -> None:
    guard = AioGuard()

    async def main() -> None:
        async with (
            aio_serving(KINDS[0], Async().unary_unary, interceptors=[guard]) as target,
            grpc.aio.insecure_channel(target, interceptors=[AioUser()]) as channel,
        ):
            with trace.get_tracer("application").start_as_current_span("caller") as caller:
                assert await channel.unary_unary(METHOD)(b"a") == b"a!"
            client, _ = await pair_then(spans)
            assert client.parent is not None
            assert client.parent.span_id == caller.get_span_context().span_id

    asyncio.run(main())
    assert ("x-user", "1") in guard.seen


def test_a_user_who_wraps_a_traced_channel_keeps_its_answers(spans: Spans) -> None:
    with (
        serving("unary_stream", Plain().unary_stream) as target,
        grpc.insecure_channel(target) as channel,
    ):
        stub = grpc.intercept_channel(channel, Retrying()).unary_stream(METHOD)
        assert list(stub(b"a")) == [b"a", b"a"]
        pair(spans)


@pytest.mark.parametrize("processor", [SimpleSpanProcessor, BatchSpanProcessor])
def test_an_exporters_own_calls_are_not_traced(spans: Spans, processor: Any) -> None:
    """By gRPC to a real server, in the caller's thread and in the exporter's own."""
    heard = threading.Event()

    def export(request: bytes, servicer: Any) -> bytes:
        heard.set()
        return b""

    collector = grpc.method_handlers_generic_handler(
        "opentelemetry.proto.collector.trace.v1.TraceService",
        {"Export": grpc.unary_unary_rpc_method_handler(export)},
    )
    with ThreadPoolExecutor(1) as pool:
        strayline.uninstrument()  # the collector is no part of the traced system
        server = grpc.server(pool)
        server.add_generic_rpc_handlers((collector,))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        strayline.instrument()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(
            processor(OTLPSpanExporter(f"http://127.0.0.1:{port}", insecure=True))
        )
        provider.get_tracer("application").start_span("work").end()
        assert provider.force_flush(10_000)
        assert heard.wait(10)
        provider.shutdown()
        server.stop(None).wait()
    assert not clients(spans)
    assert not servers(spans)
