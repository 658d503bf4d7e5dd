"""What holds for every HTTP server framework: Starlette, FastAPI, Flask, Django by WSGI and ASGI."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx
import pytest
from opentelemetry import context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

import strayline
from strayline.shims import http_server
from tests.instrumentation.conftest import Spans
from tests.instrumentation.http.clients import told
from tests.instrumentation.http.conftest import Configure
from tests.instrumentation.http.peers import raw, until
from tests.instrumentation.http.servers import SERVERS, Server

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    return SERVERS[request.param]


@pytest.fixture
def port(server: Server) -> Iterator[int]:
    """A served application that was made before anything was instrumented."""
    with server.serve(server.app()) as port:
        yield port


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """A client that traces nothing itself: its transport is called directly."""
    with httpx.Client(trust_env=False, headers={"user-agent": "tester/1"}) as client:
        yield client


def _ask(port: int, path: str, *headers: str, method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: shop.test:{port}", "Connection: close", *headers]
    return raw(port, "\r\n".join([*lines, "", ""]).encode("latin-1"))


def _server_span(spans: Spans) -> ReadableSpan:
    found = until(lambda: [span for span in spans() if span.kind is SpanKind.SERVER])
    assert len(found) == 1
    return found[0]


def test_a_request_is_one_span_that_continues_the_callers_trace(
    port: int, server: Server, spans: Spans
) -> None:
    answer = _ask(port, "/items/7?x=1&y", f"traceparent: {PARENT}", "User-Agent: tester/1")
    assert b"200 OK" in answer
    span = _server_span(spans)
    assert span.name == f"GET {server.route}"
    assert span.status.status_code is StatusCode.UNSET
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id) == (
        int(PARENT[3:35], 16),
        int(PARENT[36:52], 16),
    )
    found = told(span)
    version = found.pop("network.protocol.version")
    assert version in ("1.1", "1.0")  # the standard library's WSGI server says 1.0
    assert found == {
        "http.request.method": "GET",
        "http.route": server.route,
        "http.response.status_code": 200,
        "url.scheme": "http",
        "url.path": "/items/7",
        "url.query": "x=1&y",
        "server.address": "shop.test",
        "server.port": port,
        "client.address": "127.0.0.1",
        "user_agent.original": "tester/1",
    }


def test_what_is_not_found_has_no_route_and_is_no_error_of_the_servers(
    port: int, spans: Spans
) -> None:
    assert b"404" in _ask(port, "/nowhere")
    span = _server_span(spans)
    assert span.name == "GET"
    assert "http.route" not in told(span)
    assert told(span)["http.response.status_code"] == 404
    assert span.status.status_code is StatusCode.UNSET


def test_a_server_error_is_an_error(port: int, spans: Spans) -> None:
    assert b"503" in _ask(port, "/fail")
    span = _server_span(spans)
    assert (span.name, span.status.status_code) == ("GET /fail", StatusCode.ERROR)
    assert told(span)["error.type"] == "503"


def test_a_raising_handler_is_told_by_its_exception(port: int, spans: Spans) -> None:
    assert b"500" in _ask(port, "/boom")
    span = _server_span(spans)
    assert (span.name, span.status.status_code) == ("GET /boom", StatusCode.ERROR)
    assert told(span)["error.type"] == "RuntimeError"
    assert told(span)["http.response.status_code"] == 500
    assert [event.attributes["exception.message"] for event in span.events if event.attributes] == [
        "boom"
    ]


def test_a_streamed_response_is_in_the_span_to_its_last_part(port: int, spans: Spans) -> None:
    assert _ask(port, "/stream").count(b"part") == 3
    server = _server_span(spans)
    parts = [span for span in spans() if span.name.startswith("part")]
    assert len(parts) == 3
    assert server.end_time is not None
    assert server.context is not None
    for part in parts:
        assert part.parent is not None
        assert part.parent.span_id == server.context.span_id
        assert part.end_time is not None
        assert part.end_time <= server.end_time


def test_nothing_of_a_request_is_left_in_the_context(port: int, spans: Spans) -> None:
    for _ in range(3):
        _ask(port, "/items/7")
    found = until(lambda: len(spans()) == 3 and spans())
    assert all(span.parent is None for span in found)
    assert len({span.context.trace_id for span in found}) == 3
    assert not context.get_current()


def test_an_unknown_method_is_other(port: int, server: Server, spans: Spans) -> None:
    _ask(port, "/items/7", method="BREW")
    span = _server_span(spans)
    assert span.name.startswith("HTTP")
    assert told(span)["http.request.method"] == "_OTHER"
    assert told(span)["http.request.method_original"] == "BREW"


@pytest.mark.parametrize(
    "header",
    [
        "traceparent: nonsense",
        "traceparent: 00-00000000000000000000000000000000-0000000000000000-01",
        f"traceparent: {PARENT}{'f' * 20_000}",
        "traceparent: 00-\xff\xfe-\xe9-01",
        f"X-Large: {'x' * 40_000}",
        "User-Agent: \xff\xe9\x80",
    ],
    ids=["nonsense", "zeros", "long", "bytes", "large", "agent"],
)
def test_hostile_headers_are_survived(
    port: int, spans: Spans, header: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert b"200 OK" in _ask(port, "/items/7", header)
    span = _server_span(spans)
    assert span.parent is None
    assert told(span)["http.response.status_code"] == 200
    assert "the call goes on without it" not in caplog.text


@pytest.mark.parametrize("host", ["", "a b/c", "[::1", "x" * 300, "user:secret@shop"])
def test_a_host_that_is_none_is_left_to_the_servers_own_name(
    port: int, spans: Spans, host: str
) -> None:
    raw(port, f"GET /items/7 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    found = until(spans)
    assert "secret" not in str(told(found[0]))
    assert told(found[0]).get("server.address") not in (host, None)


def test_a_request_without_host_is_traced(port: int, spans: Spans) -> None:
    assert b"200 OK" in raw(port, b"GET /items/7 HTTP/1.0\r\n\r\n")
    assert told(_server_span(spans))["server.port"] == port


def test_a_path_of_other_alphabets_is_readable(port: int, spans: Spans) -> None:
    assert b"200 OK" in _ask(port, "/items/%C3%A9t%C3%A9")
    assert told(_server_span(spans))["url.path"] == "/items/été"


@pytest.mark.parametrize("library", ["", "one"])
def test_excluded_urls_are_not_traced(
    configure: Configure, spans: Spans, server: Server, port: int, library: str
) -> None:
    name = f"OTEL_PYTHON_{server.excluded}_" if library else "OTEL_PYTHON_"
    configure(**{f"{name}EXCLUDED_URLS": "health,items/1$"})
    assert b"200 OK" in _ask(port, "/items/1")
    assert b"200 OK" in _ask(port, "/items/22")
    assert told(_server_span(spans))["url.path"] == "/items/22"


def test_old_names_come_beside_the_new_ones_on_request(
    configure: Configure, spans: Spans, server: Server, port: int
) -> None:
    configure(OTEL_SEMCONV_STABILITY_OPT_IN="http/dup")
    _ask(port, "/items/7?x=1", "User-Agent: tester/1")
    assert {
        "http.method": "GET",
        "http.scheme": "http",
        "http.target": "/items/7?x=1",
        "http.status_code": 200,
        "http.client_ip": "127.0.0.1",
        "http.user_agent": "tester/1",
        "net.host.name": "shop.test",
        "net.host.port": port,
        "http.route": server.route,
        "http.request.method": "GET",
    }.items() <= told(_server_span(spans)).items()


def test_headers_are_recorded_as_asked_and_sanitized(
    configure: Configure, spans: Spans, port: int
) -> None:
    configure(
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST="X-.*,cookie",
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE="content-type",
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS="cookie",
    )
    _ask(port, "/items/7", "X-Mine: 1", "Cookie: session=secret")
    found = told(_server_span(spans))
    assert found["http.request.header.x-mine"] == ("1",)
    assert found["http.request.header.cookie"] == ("REDACTED",)
    assert found["http.response.header.content-type"][0].startswith("text/")


def test_an_error_of_ours_is_logged_once_and_the_request_goes_on(
    spans: Spans,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("strayline.guard._said", set())
    with caplog.at_level(logging.WARNING, logger="strayline"):
        for method in ("begin", "finish"):
            monkeypatch.setattr(http_server.HttpServer, method, broken)
            for _ in range(2):
                assert b"200 OK" in _ask(port, "/items/7")
                assert _ask(port, "/stream").count(b"part") == 3
            monkeypatch.setattr(http_server.HttpServer, method, _originals[method])
    until(lambda: len([span for span in spans() if span.kind is SpanKind.SERVER]) == 4)
    assert caplog.text.count("the call goes on without it") == 2


_originals = {
    "begin": http_server.HttpServer.begin,
    "finish": http_server.HttpServer.finish,
}


def test_uninstrumented_applications_are_as_before(port: int, spans: Spans) -> None:
    strayline.uninstrument()
    assert b"200 OK" in _ask(port, "/items/7")
    kept = [span.instrumentation_scope for span in spans()]
    assert not [scope for scope in kept if scope and scope.name.startswith("strayline")]
