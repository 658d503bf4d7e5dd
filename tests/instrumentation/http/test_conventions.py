"""HTTP spans of every library, held to the semantic conventions 1.44 by table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from strayline.shims.http_spans import KNOWN_METHODS
from tests.instrumentation.conftest import Spans
from tests.instrumentation.http.clients import CLIENTS, told
from tests.instrumentation.http.peers import Peer, raw, until
from tests.instrumentation.http.servers import SERVERS


@dataclass(frozen=True)
class Case:
    """One exchange, and what is known of it."""

    method: str = "GET"
    path: str = "/ok"
    status: int | None = 200
    query: str = ""
    routed: bool = True


Needed = Callable[[Case], bool]


def _always(case: Case) -> bool:
    return True


def _failed(limit: int) -> Needed:
    return lambda case: case.status is None or case.status >= limit


CLIENT: dict[str, tuple[type, Needed]] = {
    # required
    "http.request.method": (str, _always),
    "server.address": (str, _always),
    "server.port": (int, _always),
    "url.full": (str, _always),
    # conditionally required
    "error.type": (str, _failed(400)),
    "http.request.method_original": (str, lambda case: case.method not in KNOWN_METHODS),
    "http.response.status_code": (int, lambda case: case.status is not None),
    # recommended
    "network.protocol.version": (str, lambda case: case.status is not None),
}
SERVER: dict[str, tuple[type, Needed]] = {
    # required
    "http.request.method": (str, _always),
    "url.path": (str, _always),
    "url.scheme": (str, _always),
    # conditionally required
    "error.type": (str, _failed(500)),
    "http.request.method_original": (str, lambda case: case.method not in KNOWN_METHODS),
    "http.response.status_code": (int, lambda case: case.status is not None),
    "http.route": (str, lambda case: case.routed),
    "server.port": (int, _always),  # once server.address is there
    "url.query": (str, lambda case: bool(case.query)),
    # recommended
    "server.address": (str, _always),
    "client.address": (str, _always),
    "network.protocol.version": (str, _always),
    "user_agent.original": (str, _always),  # these requests send one
}


def _check(span: ReadableSpan, case: Case, table: dict[str, tuple[type, Needed]]) -> None:
    found = told(span)
    needed = {name: kind for name, (kind, when) in table.items() if when(case)}
    assert found.keys() == needed.keys()
    assert all(type(found[name]) is kind for name, kind in needed.items())
    known = case.method in KNOWN_METHODS
    assert found["http.request.method"] == (case.method if known else "_OTHER")
    assert not known or "http.request.method_original" not in found
    verb = case.method if known else "HTTP"
    assert span.name == (f"{verb} {found['http.route']}" if "http.route" in found else verb)
    is_error = "error.type" in found
    assert (span.status.status_code is StatusCode.ERROR) is is_error
    if is_error and case.status is not None and not span.events:
        assert found["error.type"] == str(case.status)


CLIENT_CASES = [
    *(Case(method=method) for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")),
    *(Case(method=method) for method in ("PATCH", "QUERY", "BREW", "PROPFIND")),
    *(Case(path=f"/status/{status}", status=status) for status in (204, 299, 304, 400, 404, 418)),
    *(Case(path=f"/status/{status}", status=status) for status in (500, 503)),
    Case(path="/ok?a=1", query="a=1"),
    Case(path="", status=None),
]


@pytest.mark.parametrize("case", CLIENT_CASES, ids=str)
@pytest.mark.parametrize("name", CLIENTS)
def test_client_spans_have_what_the_conventions_require_and_no_more(
    spans: Spans, peer: Peer, name: str, case: Case
) -> None:
    if case.status is None:
        with pytest.raises(Exception):  # noqa: B017, PT011 - each client has its own
            CLIENTS[name](case.method, "http://127.0.0.1:9/")
    else:
        assert CLIENTS[name](case.method, peer.url(case.path)) == case.status
    (span,) = spans()
    assert span.kind is SpanKind.CLIENT
    _check(span, case, CLIENT)


SERVER_CASES = [
    Case(path="/items/7"),
    Case(path="/items/7", query="a=1&b=2"),
    Case(path="/items/7", method="POST"),
    Case(path="/items/7", method="BREW"),
    Case(path="/stream"),
    Case(path="/fail", status=503),
    Case(path="/boom", status=500),
    Case(path="/nowhere", status=404, routed=False),
]


@pytest.mark.parametrize("case", SERVER_CASES, ids=str)
@pytest.mark.parametrize("name", SERVERS)
def test_server_spans_have_what_the_conventions_require_and_no_more(
    spans: Spans, name: str, case: Case
) -> None:
    server = SERVERS[name]
    target = f"{case.path}?{case.query}" if case.query else case.path
    with server.serve(server.app()) as port:
        answer = raw(
            port,
            f"{case.method} {target} HTTP/1.1\r\nHost: shop\r\nUser-Agent: tester/1\r\n"
            "Content-Length: 0\r\nConnection: close\r\n\r\n".encode(),
        )
        assert str(case.status).encode() in answer.partition(b"\r\n")[0]
        (span,) = until(lambda: [span for span in spans() if span.kind is SpanKind.SERVER])
    _check(span, case, SERVER)
