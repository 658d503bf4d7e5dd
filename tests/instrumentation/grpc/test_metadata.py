"""Metadata on their way out stay the caller's; what comes in may be anything."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from opentelemetry import baggage, context, propagate
from opentelemetry.propagators.textmap import TextMapPropagator

from tests.instrumentation.conftest import Spans
from tests.instrumentation.grpc.services import (
    METHOD,
    aio_connected,
    clients,
    code,
    connected,
    pair,
    servers,
    serving,
    until,
)

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
REMOTE = f"00-{TRACE_ID}-b7ad6b7169203331-01"


class Heard:
    """A handler that keeps the metadata it was sent."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, Any]] = []

    def __call__(self, request: bytes, servicer: Any) -> bytes:
        self.pairs = [tuple(pair) for pair in servicer.invocation_metadata()]
        return request

    async def awaited(self, request: bytes, servicer: Any) -> bytes:
        return self(request, servicer)

    def values(self, key: str) -> list[Any]:
        return [value for name, value in self.pairs if name == key]


GIVEN = (("k", "1"), ("k", "2"), ("blob-bin", b"\x00\xff"), ("traceparent", REMOTE))


@pytest.mark.parametrize("make", [tuple, list, lambda pairs: grpc.aio.Metadata(*pairs)])
def test_the_callers_metadata_arrive_and_stay_as_they_were(spans: Spans, make: Any) -> None:
    """Repeated keys too. A stale trace parent gives way to the call's own span."""
    heard, given = Heard(), make(GIVEN)
    with connected("unary_unary", heard) as stub:
        stub(b"a", metadata=given)
        client, _ = pair(spans)
    assert list(given) == list(make(GIVEN))
    assert heard.values("k") == ["1", "2"]
    assert heard.values("blob-bin") == [b"\x00\xff"]
    (parent,) = heard.values("traceparent")
    assert client.context is not None
    assert parent.split("-")[2] == f"{client.context.span_id:016x}"


@pytest.mark.parametrize("make", [tuple, lambda pairs: grpc.aio.Metadata(*pairs)])
def test_the_callers_metadata_stay_as_they_were_on_asyncio(spans: Spans, make: Any) -> None:
    heard, given = Heard(), make(GIVEN)

    async def main() -> None:
        async with aio_connected("unary_unary", heard.awaited) as stub:
            await stub(b"a", metadata=given)

    asyncio.run(main())
    assert list(given) == list(make(GIVEN))
    assert (heard.values("k"), heard.values("blob-bin")) == (["1", "2"], [b"\x00\xff"])
    assert len(heard.values("traceparent")) == 1
    assert TRACE_ID not in heard.values("traceparent")[0]


@pytest.mark.parametrize("wrong", [5, "text", [("only-key",)], [("k", 5)], [None], {"k": "v"}])
def test_wrong_metadata_are_gRPCs_to_refuse(spans: Spans, wrong: Any) -> None:
    """The same exception as without us, and the next call works."""

    async def main() -> type[BaseException]:
        async with aio_connected("unary_unary", Heard().awaited) as stub:
            try:
                await stub(b"a", metadata=wrong)
            except BaseException as error:
                return type(error)
            return type(None)

    def kinds() -> list[type[BaseException]]:
        found: list[type[BaseException]] = []
        with connected("unary_unary", Heard()) as stub:
            try:
                stub(b"a", metadata=wrong)
            except BaseException as error:
                found.append(type(error))
            assert stub(b"a") == b"a"
        return [*found, asyncio.run(main())]

    import strayline

    ours = kinds()
    strayline.uninstrument()
    bare = kinds()
    strayline.instrument()
    assert ours == bare


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        "00-" + "0" * 32 + "-" + "0" * 16 + "-01",
        "ff-" + REMOTE[3:],
        REMOTE + "-more",
        REMOTE.upper(),
        "x" * 1_000_000,
        REMOTE + "x" * 1_000_000,
    ],
)
def test_a_hostile_trace_parent_begins_a_new_trace(spans: Spans, traceparent: str) -> None:
    """Megabytes pass only where the server's own limit is raised."""
    size = (("grpc.max_metadata_size", 4_000_000), ("grpc.absolute_max_metadata_size", 4_000_000))
    raw = (("traceparent", traceparent), ("baggage", "," * 3000), ("tracestate", "=" * 100))
    with (
        serving("unary_unary", Heard(), options=size) as target,
        grpc.insecure_channel(target, size) as channel,
        _untraced(),
    ):
        assert channel.unary_unary(METHOD)(b"a", metadata=raw) == b"a"
        until(lambda: servers(spans))
    (server,) = servers(spans)
    assert server.parent is None
    assert code(server) == "OK"


def test_a_trace_parent_as_bytes_is_none(spans: Spans) -> None:
    raw = (("traceparent-bin", REMOTE.encode()), ("tracestate-bin", b"\xff" * 100))
    with connected("unary_unary", Heard()) as stub, _untraced():
        assert stub(b"a", metadata=raw) == b"a"
        until(lambda: servers(spans))
    assert servers(spans)[0].parent is None


def test_a_remote_parent_is_adopted(spans: Spans) -> None:
    with connected("unary_unary", Heard()) as stub, _untraced():
        stub(b"a", metadata=(("traceparent", REMOTE), ("tracestate", "a=b")))
        until(lambda: servers(spans))
    (server,) = servers(spans)
    assert server.context is not None
    assert f"{server.context.trace_id:032x}" == TRACE_ID
    assert server.context.trace_state.get("a") == "b"


def test_baggage_too_large_for_metadata_stays_at_home(spans: Spans) -> None:
    """The call would be refused for it, and without us it is not sent at all."""
    heard = Heard()
    token = context.attach(baggage.set_baggage("big", "x" * 8000))
    try:
        with connected("unary_unary", heard) as stub:
            assert stub(b"a") == b"a"
    finally:
        context.detach(token)
    assert heard.values("baggage") == []
    assert len(heard.values("traceparent")) == 1


class Odd(TextMapPropagator):
    """A propagator whose headers gRPC would not take as they are."""

    def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Any:
        return context

    def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
        carrier["X-Upper"] = "fine"
        carrier["x-umlaut"] = "ä"
        carrier["x-lines"] = "a\nb"

    @property
    def fields(self) -> set[str]:
        return set()


def test_headers_that_gRPC_refuses_are_not_sent(spans: Spans) -> None:
    heard, before = Heard(), propagate.get_global_textmap()
    propagate.set_global_textmap(Odd())
    try:
        with connected("unary_unary", heard) as stub:
            assert stub(b"a") == b"a"
    finally:
        propagate.set_global_textmap(before)
    assert heard.values("x-upper") == ["fine"]
    assert heard.values("x-umlaut") == heard.values("x-lines") == []
    assert len(clients(spans)) == 1


class _untraced:  # noqa: N801 - reads as a statement
    """Calls in the block are the test's own: no span of ours takes their metadata's place."""

    def __enter__(self) -> None:
        self._token = context.attach(context.set_value("suppress_instrumentation", True))

    def __exit__(self, *exception: object) -> None:
        context.detach(self._token)
