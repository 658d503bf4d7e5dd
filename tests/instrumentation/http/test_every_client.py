"""What holds for every HTTP client: httpx, requests, aiohttp."""

from __future__ import annotations

import logging
from typing import Any

import aiohttp
import httpx
import pytest
import requests
from opentelemetry import context, trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

import strayline
from strayline.shims import http_client
from tests.instrumentation.conftest import Spans
from tests.instrumentation.http.clients import CLIENTS, UNREACHABLE, Ask, told
from tests.instrumentation.http.conftest import Configure
from tests.instrumentation.http.peers import Peer


@pytest.fixture(params=CLIENTS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def ask(name: str) -> Ask:
    return CLIENTS[name]


def _ids(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"


def test_a_request_is_one_span_that_travels_in_its_headers(
    spans: Spans, peer: Peer, ask: Ask
) -> None:
    assert ask("GET", peer.url("/ok?x=1")) == 200
    (span,) = spans()
    assert (span.name, span.kind, span.status.status_code) == (
        "GET",
        SpanKind.CLIENT,
        StatusCode.UNSET,
    )
    assert told(span) == {
        "http.request.method": "GET",
        "url.full": peer.url("/ok?x=1"),
        "server.address": "127.0.0.1",
        "server.port": peer.port,
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
    }
    (heard,) = peer.heard
    assert heard["traceparent"] == _ids(span)


def test_the_span_is_a_child_of_the_current_one(spans: Spans, peer: Peer, ask: Ask) -> None:
    with trace.get_tracer("test").start_as_current_span("work") as work:
        ask("GET", peer.url("/ok"))
        assert trace.get_current_span() is work
    (client,) = [span for span in spans() if span.kind is SpanKind.CLIENT]
    assert client.parent is not None
    assert client.parent.span_id == work.get_span_context().span_id


@pytest.mark.parametrize("status", [400, 404, 503])
def test_a_client_counts_every_status_from_400_on_as_an_error(
    spans: Spans, peer: Peer, ask: Ask, status: int
) -> None:
    assert ask("GET", peer.url(f"/status/{status}")) == status
    (span,) = spans()
    assert span.status.status_code is StatusCode.ERROR
    assert told(span)["http.response.status_code"] == status
    assert told(span)["error.type"] == str(status)


def test_each_redirect_is_a_span_of_its_own_beside_the_first(
    spans: Spans, peer: Peer, ask: Ask
) -> None:
    with trace.get_tracer("test").start_as_current_span("work") as work:
        assert ask("GET", peer.url("/redirect/2")) == 200
    clients = [span for span in spans() if span.kind is SpanKind.CLIENT]
    assert [
        (told(span)["url.full"], told(span)["http.response.status_code"]) for span in clients
    ] == [
        (peer.url("/redirect/2"), 302),
        (peer.url("/redirect/1"), 302),
        (peer.url("/redirect/0"), 200),
    ]
    assert {span.parent.span_id for span in clients if span.parent} == {
        work.get_span_context().span_id
    }
    assert [heard["traceparent"] for heard in peer.heard] == [_ids(span) for span in clients]


def test_a_redirect_that_is_not_followed_is_no_error(spans: Spans, peer: Peer, ask: Ask) -> None:
    assert ask("GET", peer.url("/redirect/1"), follow=False) == 302
    (span,) = spans()
    assert span.status.status_code is StatusCode.UNSET


def test_an_unreachable_host_is_an_error_and_still_raises(
    spans: Spans, name: str, ask: Ask
) -> None:
    kind, said = UNREACHABLE[name]
    with pytest.raises(kind):
        ask("GET", "http://127.0.0.1:9/")
    (span,) = spans()
    assert span.status.status_code is StatusCode.ERROR
    assert told(span)["error.type"] == said
    assert "http.response.status_code" not in told(span)
    assert [event.name for event in span.events] == ["exception"]


def test_a_peer_that_hangs_up_is_an_error_of_one_span(spans: Spans, peer: Peer, ask: Ask) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - each client has its own
        ask("POST", peer.url("/hangup"))
    (span,) = spans()
    assert span.status.status_code is StatusCode.ERROR


def test_an_unknown_method_is_other_and_kept_beside(spans: Spans, peer: Peer, ask: Ask) -> None:
    assert ask("BREW", peer.url("/ok")) == 200
    (span,) = spans()
    assert span.name == "HTTP"
    assert told(span)["http.request.method"] == "_OTHER"
    assert told(span)["http.request.method_original"] == "BREW"


def test_methods_can_be_made_known(
    configure: Configure, spans: Spans, peer: Peer, ask: Ask
) -> None:
    configure(OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS="GET,BREW")
    ask("BREW", peer.url("/ok"))
    assert [span.name for span in spans()] == ["BREW"]


def test_suppressed_calls_are_not_traced(spans: Spans, peer: Peer, ask: Ask) -> None:
    token = context.attach(context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        assert ask("GET", peer.url("/ok")) == 200
    finally:
        context.detach(token)
    assert spans() == []
    assert "traceparent" not in peer.heard[0]


@pytest.mark.parametrize("variable", ["OTEL_PYTHON_EXCLUDED_URLS", "OTEL_PYTHON_{}_EXCLUDED_URLS"])
def test_excluded_urls_are_not_traced(
    configure: Configure, spans: Spans, peer: Peer, name: str, ask: Ask, variable: str
) -> None:
    library = {"httpx_async": "HTTPX", "aiohttp": "AIOHTTP_CLIENT"}.get(name, name.upper())
    configure(**{variable.format(library): "health, status/[0-9]+"})
    ask("GET", peer.url("/status/204"))
    ask("GET", peer.url("/ok"))
    (span,) = spans()
    assert told(span)["url.full"] == peer.url("/ok")


def test_a_broken_pattern_is_said_and_left_out(
    configure: Configure, spans: Spans, peer: Peer, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    configure(OTEL_PYTHON_EXCLUDED_URLS="(", OTEL_PYTHON_X_EXCLUDED_URLS="ok")
    ask("GET", peer.url("/ok"))
    assert len(spans()) == 1
    assert "no regular expression" in caplog.text


def test_old_names_come_beside_the_new_ones_on_request(
    configure: Configure, spans: Spans, peer: Peer, ask: Ask
) -> None:
    configure(OTEL_SEMCONV_STABILITY_OPT_IN="http/dup")
    ask("GET", peer.url("/ok"))
    found = told(spans()[0])
    assert {
        "http.method": "GET",
        "http.url": peer.url("/ok"),
        "http.scheme": "http",
        "net.peer.name": "127.0.0.1",
        "net.peer.port": peer.port,
        "http.status_code": 200,
        "http.flavor": "1.1",
        "http.request.method": "GET",
    }.items() <= found.items()


def test_headers_are_recorded_as_asked_and_sanitized(
    configure: Configure, spans: Spans, peer: Peer, ask: Ask
) -> None:
    configure(
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST="x-.*,authorization",
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE="X-Answer",
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS="auth.*",
    )
    ask("GET", peer.url("/ok"), {"X-Mine": "1", "Authorization": "Bearer secret"})
    found = told(spans()[0])
    assert found["http.request.header.x-mine"] == ("1",)
    assert found["http.request.header.authorization"] == ("REDACTED",)
    assert found["http.response.header.x-answer"] == ("yes",)


def test_the_callers_headers_stay_as_they_are(spans: Spans, peer: Peer, ask: Ask) -> None:
    mine = {"X-Mine": "1"}
    ask("GET", peer.url("/ok"), mine)
    assert mine == {"X-Mine": "1"}
    assert "traceparent" in peer.heard[0]


def test_an_error_of_ours_is_logged_once_and_the_request_goes_on(
    spans: Spans,
    peer: Peer,
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("strayline.guard._said", set())
    monkeypatch.setattr(http_client.HttpClient, "begin", broken)
    with caplog.at_level(logging.WARNING, logger="strayline"):
        assert ask("GET", peer.url("/ok")) == 200
        assert ask("GET", peer.url("/ok")) == 200
    assert caplog.text.count("the call goes on without it") == 1
    monkeypatch.undo()
    monkeypatch.setattr("strayline.guard._said", set())
    monkeypatch.setattr(http_client.HttpClient, "answered", broken)
    assert ask("GET", peer.url("/ok")) == 200
    assert len(spans()) == 1


def test_uninstrumented_clients_are_the_originals(spans: Spans, peer: Peer, ask: Ask) -> None:
    strayline.uninstrument()
    assert ask("GET", peer.url("/ok")) == 200
    assert spans() == []
    assert "traceparent" not in peer.heard[0]


WRAPPED: dict[str, tuple[type[Any], str]] = {
    "httpx": (httpx.Client, "_send_single_request"),
    "httpx_async": (httpx.AsyncClient, "_send_single_request"),
    "requests": (requests.Session, "send"),
    "aiohttp": (aiohttp.ClientSession, "_request"),
}


def test_off_and_on_below_somebody_elses_wrapper_is_still_one_span(
    spans: Spans, peer: Peer, name: str, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, function = WRAPPED[name]
    ours = getattr(owner, function)
    monkeypatch.setattr(owner, function, lambda *args, **kwargs: ours(*args, **kwargs))
    strayline.uninstrument()
    ask("GET", peer.url("/ok"))
    assert spans() == []
    strayline.instrument()
    ask("GET", peer.url("/ok"))
    strayline.uninstrument()
    assert len(spans()) == 1
