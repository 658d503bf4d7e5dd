"""Spans against the semantic conventions 1.44 for gRPC, by table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from strayline.shims.grpc_spans import peer_attributes, target_attributes
from tests.instrumentation.conftest import Spans
from tests.instrumentation.grpc.conftest import Configure
from tests.instrumentation.grpc.services import (
    METHOD,
    aio_connected,
    clients,
    connected,
    pair,
    pair_then,
    service,
)

REQUIRED: dict[str, type] = {
    "rpc.system.name": str,
    "rpc.method": str,
    "rpc.response.status_code": str,
    "server.address": str,
}
CONDITIONAL: dict[str, tuple[type, Callable[[ReadableSpan], bool]]] = {
    "server.port": (int, lambda span: not _given(span)["server.address"].startswith("/")),
    "error.type": (str, lambda span: _fails(span)),
    "client.port": (int, lambda span: span.kind is SpanKind.SERVER and "client.address" in _given(span) and not _given(span)["server.address"].startswith("/")),
}  # fmt: skip
RECOMMENDED = {"client.address": str}
SERVER_ERRORS = ("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS")  # fmt: skip


def _given(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def _fails(span: ReadableSpan) -> bool:
    status = _given(span)["rpc.response.status_code"]
    return status in SERVER_ERRORS if span.kind is SpanKind.SERVER else status != "OK"


def check(span: ReadableSpan) -> None:
    """Holds a span to the table: what must be there is, and nothing that is not in it."""
    given = _given(span)
    for name, kind in REQUIRED.items():
        assert type(given.get(name)) is kind, name
    for name, (kind, condition) in CONDITIONAL.items():
        assert (name in given) == condition(span), name
        assert name not in given or type(given[name]) is kind, name
    for name, kind in RECOMMENDED.items():
        assert name not in given or type(given[name]) is kind, name
    assert set(given) <= {*REQUIRED, *CONDITIONAL, *RECOMMENDED}
    assert given["rpc.system.name"] == "grpc"
    assert span.name == given["rpc.method"]
    assert (span.status.status_code is StatusCode.ERROR) == _fails(span)
    assert span.status.status_code is not StatusCode.OK
    if _fails(span):
        assert given["error.type"] == given["rpc.response.status_code"]
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "strayline.grpc"


def _behaves(status: grpc.StatusCode | None) -> Callable[[bytes, Any], bytes]:
    def behave(request: bytes, servicer: Any) -> bytes:
        if status is not None:
            servicer.abort(status, "because")
        return request

    return behave


OUTCOMES = [None, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL]


@pytest.mark.parametrize("status", OUTCOMES)
def test_sync_spans_keep_to_the_table(spans: Spans, status: grpc.StatusCode | None) -> None:
    with connected("unary_unary", _behaves(status)) as stub:
        stub.future(b"a").exception(10)
        for span in pair(spans):
            check(span)


@pytest.mark.parametrize("status", OUTCOMES)
def test_asyncio_spans_keep_to_the_table(spans: Spans, status: grpc.StatusCode | None) -> None:
    async def main() -> None:
        async with aio_connected("unary_unary", _behaves(status)) as stub:
            await asyncio.wait([asyncio.ensure_future(_wait(stub(b"a")))])
            for span in await pair_then(spans):
                check(span)

    asyncio.run(main())


async def _wait(call: Any) -> Any:
    try:
        return await call
    except grpc.aio.AioRpcError:
        return None


def test_whole_spans(spans: Spans) -> None:
    with connected("unary_unary", _behaves(None)) as stub:
        stub(b"a")
        client, server = pair(spans)
    common = {
        "rpc.system.name": "grpc",
        "rpc.method": "shop.Test/Do",
        "rpc.response.status_code": "OK",
        "server.address": "127.0.0.1",
    }
    port, peer = _given(client)["server.port"], _given(server)["client.port"]
    assert _given(client) == {**common, "server.port": port}
    assert _given(server) == {
        **common,
        "server.port": port,
        "client.address": "127.0.0.1",
        "client.port": peer,
    }
    assert (client.kind, server.kind) == (SpanKind.CLIENT, SpanKind.SERVER)
    assert not client.events
    assert not server.events
    assert not client.links


def test_old_names_too_on_request(spans: Spans, configure: Configure) -> None:
    configure(OTEL_SEMCONV_STABILITY_OPT_IN="rpc/dup")
    with connected("unary_unary", _behaves(grpc.StatusCode.NOT_FOUND)) as stub:
        stub.future(b"a").exception(10)
        client, server = pair(spans)
    for span, peer in ((client, "net.peer.name"), (server, "net.peer.ip")):
        given = _given(span)
        assert given["rpc.system"] == given["rpc.system.name"] == "grpc"
        assert (given["rpc.service"], given["rpc.method"]) == ("shop.Test", "shop.Test/Do")
        assert given["rpc.grpc.status_code"] == 5
        assert given[peer] == "127.0.0.1"
        assert isinstance(given["net.peer.port"], int)


def test_a_socket_in_the_file_system(spans: Spans, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers((service("unary_unary", _behaves(None)),))
        server.add_insecure_port(f"unix:{path}")
        server.start()
        with grpc.insecure_channel(f"unix://{path}") as channel:
            channel.unary_unary(METHOD)(b"a")
            for span in pair(spans):
                check(span)
                assert _given(span)["server.address"] == str(path)
        server.stop(None).wait()


@pytest.mark.parametrize(
    ("target", "address", "port"),
    [
        ("localhost:50051", "localhost", 50051),
        ("example.com", "example.com", None),
        ("dns:example.com:1", "example.com", 1),
        ("dns:///example.com:1", "example.com", 1),
        ("dns://8.8.8.8/example.com:1", "example.com", 1),
        ("ipv4:10.0.0.1:1", "10.0.0.1", 1),
        ("ipv4:10.0.0.1:1,10.0.0.2:1", "10.0.0.1:1,10.0.0.2:1", None),
        ("ipv6:[::1]:1", "::1", 1),
        ("[::1]:1", "::1", 1),
        ("::1", "::1", None),
        ("unix:relative/s", "relative/s", None),
        ("unix:///tmp/s", "/tmp/s", None),
        ("unix-abstract:name", "name", None),
        ("xds:///orders", "orders", None),
        ("passthrough:///localhost:1", "localhost", 1),
        ("host:99999999999999999999", "host", 99999999999999999999),
        ("host:²", "host:²", None),
    ],
)
def test_targets(target: str, address: str, port: int | None) -> None:
    expected = {"server.address": address} | ({} if port is None else {"server.port": port})
    assert target_attributes(target) == expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("ipv4:10.0.0.1:5", {"client.address": "10.0.0.1", "client.port": 5}),
        ("ipv6:%5B::1%5D:5", {"client.address": "::1", "client.port": 5}),
        ("ipv6:[::1]:5", {"client.address": "::1", "client.port": 5}),
        ("unix:/tmp/s", {"client.address": "/tmp/s"}),
        ("unix:", {}),
        ("", {}),
    ],
)
def test_peers(peer: str, expected: dict[str, Any]) -> None:
    assert peer_attributes(peer) == expected


@pytest.mark.parametrize("excluded", ["shop.Test", "other.Service, shop.Test/Do"])
def test_excluded_services_and_methods_are_not_traced(
    spans: Spans, configure: Configure, excluded: str
) -> None:
    configure(OTEL_PYTHON_GRPC_EXCLUDED_SERVICES=excluded)
    with connected("unary_unary", _behaves(None)) as stub:
        assert stub(b"a") == b"a"
    asyncio.run(_one_on_asyncio())
    assert not spans()


async def _one_on_asyncio() -> None:
    async with aio_connected("unary_unary", _behaves(None)) as stub:
        assert await stub(b"a") == b"a"


def test_other_services_are_traced_and_health_checks_too(
    spans: Spans, configure: Configure
) -> None:
    configure(OTEL_PYTHON_GRPC_EXCLUDED_SERVICES="shop,shop.Tes,shop.Test/Don,Test")
    with connected("unary_unary", _behaves(None)) as stub:
        stub(b"a")
        pair(spans)
    health = "/grpc.health.v1.Health/Check"
    with grpc.insecure_channel("127.0.0.1:1") as channel, pytest.raises(grpc.RpcError):
        channel.unary_unary(health)(b"a")
    assert [span.name for span in clients(spans)] == ["shop.Test/Do", health[1:]]


def test_attributes_and_messages_are_redacted(spans: Spans, configure: Configure) -> None:
    configure(STRAYLINE_REDACT="client.address,token")

    def behave(request: bytes, servicer: Any) -> Iterator[bytes]:
        yield request
        raise ValueError("GET https://me:secret@host/?token=secret")

    with connected("unary_stream", behave) as stub:
        with pytest.raises(grpc.RpcError):
            list(stub(b"a"))
        client, server = pair(spans)
    assert _given(server)["client.address"] == "REDACTED"
    assert "secret" not in str(client.status.description)
    assert "secret" not in str(server.status.description)
    assert "secret" not in str([event.attributes for event in server.events])
