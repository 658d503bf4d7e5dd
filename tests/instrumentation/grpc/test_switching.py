"""Switching on and off, also with channels and servers at work; and errors of our own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc._channel
import grpc._server
import grpc.aio
import grpc.aio._call
import grpc.aio._server
import pytest

import strayline
from strayline import guard
from strayline.shims import grpc_client, grpc_server, grpc_spans
from tests.instrumentation.conftest import Spans
from tests.instrumentation.grpc.services import (
    KINDS,
    METHOD,
    aio_connected,
    clients,
    connected,
    handler,
    pair,
    servers,
    serving,
    until,
)
from tests.instrumentation.grpc.test_four_kinds import ANSWERS, Async, Plain, ask, ask_iterating

MODULES = (grpc, grpc.aio, grpc._channel, grpc._server, grpc.aio._call, grpc.aio._server)


def _everything() -> dict[tuple[str, str, str], Any]:
    """All functions and classes of gRPC's modules, with the classes' own attributes."""
    found: dict[tuple[str, str, str], Any] = {}
    for module in MODULES:
        for name, value in vars(module).items():
            found[module.__name__, name, ""] = value
            if isinstance(value, type):
                for attribute, held in vars(value).items():
                    if callable(held):
                        found[module.__name__, name, attribute] = held
    return found


def test_uninstrument_restores_the_very_functions() -> None:
    strayline.uninstrument()
    before = _everything()
    strayline.instrument()
    during = _everything()
    strayline.uninstrument()
    after = _everything()
    assert {key for key in before if before[key] is not during[key]}
    assert before.keys() == after.keys()
    assert not [key for key in before if before[key] is not after[key]]


def test_running_servers_and_channels_fall_silent_and_speak_again(spans: Spans) -> None:
    """A channel made before is traced once we are on; a server is not, if it was made before."""
    with connected("unary_unary", Plain().unary_unary) as stub:
        assert stub(b"a") == b"a"
        pair(spans)
        strayline.uninstrument()
        assert stub(b"a") == b"a"
        assert len(spans()) == 2
        strayline.instrument()
        assert stub(b"a") == b"a"
        until(lambda: len(servers(spans)) == 2)
    assert len(clients(spans)) == 2


def test_what_was_made_before_us(spans: Spans) -> None:
    strayline.uninstrument()
    with connected("unary_unary", Plain().unary_unary) as stub:
        strayline.instrument()
        assert stub(b"a") == b"a"
        until(lambda: clients(spans))
    assert not servers(spans)


def test_functions_imported_by_name_before_us_are_traced(spans: Spans) -> None:
    strayline.uninstrument()
    from grpc import insecure_channel, server

    strayline.instrument()
    with ThreadPoolExecutor(1) as pool:
        running = server(pool, handlers=(_generic(),))
        port = running.add_insecure_port("127.0.0.1:0")
        running.start()
        with insecure_channel(f"127.0.0.1:{port}") as channel:
            channel.unary_unary(METHOD)(b"a")
            pair(spans)
        running.stop(None).wait()


def _generic() -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(
        "shop.Test", {"Do": handler("unary_unary", Plain().unary_unary)}
    )


FAULTS: tuple[tuple[Any, str], ...] = (
    (grpc_client, "called"),
    (grpc_client, "with_context"),
    (grpc_client, "tracer"),
    (grpc_client, "CODES"),
    (grpc_client, "_End"),
    (grpc_client, "_AioEnd"),
    (grpc_server, "served"),
    (grpc_server, "parent_of"),
    (grpc_server, "tracer"),
    (grpc_server, "peer_attributes"),
    (grpc_server, "_gone"),
    (grpc_spans, "StatusCode"),
    (grpc_spans, "RPC_STATUS_CODE"),
)


class Broken:
    """Fails whatever is done with it."""

    def _fail(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("broken on purpose")

    __call__ = __getattr__ = __hash__ = _fail  # type: ignore[assignment]


@pytest.mark.parametrize(("module", "name"), FAULTS, ids=[name for _, name in FAULTS])
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_ours_leaves_the_call_untouched(
    spans: Spans,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    module: Any,
    name: str,
    kind: str,
) -> None:
    """It is logged, once for all calls."""
    monkeypatch.setattr(guard, "_said", set[Any]())
    monkeypatch.setattr(module, name, Broken())

    async def main() -> None:
        async with aio_connected(kind, getattr(Async(), kind)) as stub:
            for _ in range(2):
                assert await ask_iterating(kind, stub) == ANSWERS[kind]

    with caplog.at_level(logging.WARNING, "strayline"):
        with connected(kind, getattr(Plain(), kind)) as stub:
            for _ in range(2):
                assert ask(kind, stub) == ANSWERS[kind]
        asyncio.run(main())
    said = [record.getMessage() for record in caplog.records if record.name == "strayline"]
    assert len(said) == len(set(said))
    assert all("the call goes on" in line for line in said)


def test_a_server_that_cannot_be_traced_works(
    spans: Spans, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from strayline.shims import grpc as shim

    monkeypatch.setattr(shim, "Serving", Broken())
    with connected("unary_unary", Plain().unary_unary) as stub:
        assert stub(b"a") == b"a"
        until(lambda: clients(spans))
    assert not servers(spans)


def test_a_version_that_lacks_a_class_is_named_and_the_rest_is_traced(
    spans: Spans, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    strayline.uninstrument()
    monkeypatch.delattr(grpc._channel, "_SingleThreadedUnaryStreamMultiCallable")
    with caplog.at_level(logging.WARNING, "strayline"):
        strayline.instrument()
    assert "_SingleThreadedUnaryStreamMultiCallable" in caplog.text
    with connected("unary_unary", Plain().unary_unary) as stub:
        stub(b"a")
        pair(spans)
    strayline.uninstrument()


def test_handlers_of_interceptors_are_not_kept(spans: Spans) -> None:
    """One that makes a new handler for each request has none of them held by us."""
    import gc
    import weakref

    made: list[weakref.ref[Any]] = []

    class Fresh(grpc.ServerInterceptor):
        def intercept_service(self, continuation: Any, details: Any) -> Any:
            found = continuation(details)

            def behave(request: bytes, servicer: Any) -> Any:
                return found.unary_unary(request, servicer)

            made.append(weakref.ref(behave))
            return grpc.unary_unary_rpc_method_handler(behave)

    with (
        serving("unary_unary", Plain().unary_unary, interceptors=[Fresh()]) as target,
        grpc.insecure_channel(target) as channel,
    ):
        for _ in range(5):
            channel.unary_unary(METHOD)(b"a")
        until(lambda: len(servers(spans)) == 5)
        until(lambda: gc.collect() >= 0 and sum(ref() is not None for ref in made) <= 1)


def test_a_pool_of_a_handlers_own_is_used(spans: Spans) -> None:
    """grpcio's experimental attributes of a behaviour are seen through ours."""
    import threading

    seen: list[str] = []

    def behave(request: bytes, servicer: Any) -> bytes:
        seen.append(threading.current_thread().name)
        return request

    with ThreadPoolExecutor(1, thread_name_prefix="own") as pool:
        behave.experimental_thread_pool = pool  # type: ignore[attr-defined]
        with connected("unary_unary", behave) as stub:
            stub(b"a")
            pair(spans)
    assert seen[0].startswith("own")


def test_a_handler_that_pushes_its_answers_is_left_alone(spans: Spans) -> None:
    def behave(request: bytes, servicer: Any, send: Callable[[Any], None]) -> None:
        send(request)
        send(None)

    behave.experimental_non_blocking = True  # type: ignore[attr-defined]
    with connected("unary_stream", behave) as stub:
        assert list(stub(b"a")) == [b"a"]
        until(lambda: clients(spans))
    assert not servers(spans)
