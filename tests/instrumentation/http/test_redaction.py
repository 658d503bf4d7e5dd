"""What is redacted is nowhere in a span, and nothing else changes."""

from __future__ import annotations

import string
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind

from strayline import redact, settings
from tests.instrumentation.conftest import Spans
from tests.instrumentation.http.clients import CLIENTS, told
from tests.instrumentation.http.conftest import Configure
from tests.instrumentation.http.peers import Peer, raw, until
from tests.instrumentation.http.servers import SERVERS

TEXT = st.text(string.ascii_letters + string.digits + "-_.~", max_size=12)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``names("token", "x-*")`` sets the variable."""

    def set_to(*given: str) -> redact.Rules | None:
        monkeypatch.setenv("STRAYLINE_REDACT", ",".join(given))
        settings.reread()
        return redact.rules()

    yield set_to
    monkeypatch.undo()
    settings.reread()


def test_without_the_setting_there_are_no_rules_and_nothing_is_copied(names: Any) -> None:
    assert names() is None
    found = {"token": "x"}
    assert redact.attributes(found) is found


def test_rules_are_understood_once(names: Any) -> None:
    assert names("token") is redact.rules()


@pytest.mark.parametrize(
    ("name", "hit"),
    [
        ("token", True),
        ("TOKEN", True),
        ("tokens", False),
        ("x-api-key", True),
        ("X-", True),
        ("ax-", False),
        ("user.email.address", True),
        ("email", True),
        ("a?b", True),
        ("axb", False),
        ("[z]", True),
        ("z", False),
    ],
)
def test_a_star_stands_for_anything_and_all_else_for_itself(
    names: Any, name: str, hit: bool
) -> None:
    rules = names("token", "X-*", "*email*", "a?b", "[z]")
    assert rules.hit(name) is hit


def test_attributes_are_copied_and_keep_their_shape(names: Any) -> None:
    names("secret", "x-list")
    found: dict[str, Any] = {
        "secret": 5,
        "plain": 6,
        "http.request.header.x-list": ["a", "b"],
        "http.response.header.plain": ["c"],
    }
    before = dict(found)
    assert redact.attributes(found) == {
        "secret": "REDACTED",
        "plain": 6,
        "http.request.header.x-list": ["REDACTED"],
        "http.response.header.plain": ["c"],
    }
    assert found == before


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://h/p", "http://h/p"),
        ("http://h/p?a=1&b", "http://h/p?a=1&b"),
        ("http://u:p@h/p", "http://REDACTED:REDACTED@h/p"),
        ("http://u:p@q@h/p", "http://REDACTED:REDACTED@h/p"),
        ("http://token@h:1/", "http://REDACTED:REDACTED@h:1/"),
        ("http://h/@u?a=b@c", "http://h/@u?a=b@c"),
        ("http://h/?sig=s&a=1", "http://h/?sig=REDACTED&a=1"),
        ("http://h/?Sig=s", "http://h/?Sig=s"),
        ("http://h/?X-Amz-Signature=s#f", "http://h/?X-Amz-Signature=REDACTED#f"),
        (
            "http://h/?AWSAccessKeyId=a&Signature=b&X-Goog-Signature=c",
            "http://h/?AWSAccessKeyId=REDACTED&Signature=REDACTED&X-Goog-Signature=REDACTED",
        ),
        ("http://h/?%73ig=s", "http://h/?%73ig=REDACTED"),
        ("http://h/?sig", "http://h/?sig"),
        ("http://h/?sig=a=b", "http://h/?sig=REDACTED"),
        ("/path?sig=s", "/path?sig=REDACTED"),
        ("", ""),
        ("http://", "http://"),
        ("?", "?"),
    ],
)
def test_credentials_and_signatures_are_never_in_a_url(names: Any, url: str, kept: str) -> None:
    names()
    assert redact.url(url) == kept


def test_named_parameters_are_redacted_whatever_their_case_or_escapes(names: Any) -> None:
    names("token", "*key")
    assert (
        redact.query("TOKEN=a&to%6ben=b&api+key=c&apikey=d&page=2")
        == "TOKEN=REDACTED&to%6ben=REDACTED&api+key=REDACTED&apikey=REDACTED&page=2"
    )


@given(TEXT, TEXT, st.lists(st.tuples(TEXT, TEXT), max_size=5))
def test_no_secret_survives_anywhere_in_a_url(
    user: str, secret: str, others: list[tuple[str, str]]
) -> None:
    mark = f"<{secret}>"
    pairs = [*others, ("sig", mark), ("Signature", mark)]
    query = "&".join(f"{name}={value}" for name, value in pairs)
    assert mark not in redact.url(f"https://{user}:{mark}@h/p?{query}")
    assert mark not in redact.prose(f"failed: https://{user}:{mark}@h/p?{query} (again)")


@given(st.text(max_size=200))
def test_any_text_is_survived_and_plain_text_kept(text: str) -> None:
    for function in (redact.url, redact.query, redact.prose):
        assert isinstance(function(text), str)
    plain = text.translate({ord(c): None for c in "@?&=%"})
    assert redact.url(plain) == redact.prose(plain) == plain


@pytest.mark.parametrize(
    "text",
    ["%" * 2_000_000, "a%" * 1_000_000, "://@" * 500_000, "&a=b" * 500_000, "?" * 2_000_000],
)
def test_megabytes_take_no_time_and_are_cut(text: str) -> None:
    for function in (redact.url, redact.query, redact.prose):
        assert len(function(text)) < 20 * redact.MAX_TEXT


def test_an_exception_that_quotes_no_secret_is_left_alone() -> None:
    assert redact.exception(ValueError("plain")) == {}


def test_an_exceptions_cause_is_looked_at_too() -> None:
    try:
        try:
            raise ValueError("asked http://h/?sig=" + "topsecret"[:9])
        except ValueError as cause:
            raise RuntimeError("no") from cause
    except RuntimeError as error:
        told_instead = redact.exception(error)
    assert told_instead["exception.message"] == "no"
    assert "sig=REDACTED" in told_instead["exception.stacktrace"]


def test_an_exception_in_a_circle_is_survived() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert redact.exception(first) == {}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_clients_span_has_nothing_of_what_is_named(
    configure: Configure, spans: Spans, peer: Peer, name: str
) -> None:
    configure(
        STRAYLINE_REDACT="token,X-Mine,server.port",
        OTEL_SEMCONV_STABILITY_OPT_IN="http/dup",
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST=".*",
    )
    CLIENTS[name]("GET", peer.url("/ok?token=topsecret&a=1"), {"X-Mine": "topsecret"})
    found = told(spans()[0])
    assert "topsecret" not in str(found)
    assert found["url.full"] == peer.url("/ok?token=REDACTED&a=1")
    assert found["http.request.header.x-mine"] == ("REDACTED",)
    assert found["server.port"] == "REDACTED"
    assert peer.heard[0]["x-mine"] == "topsecret"


@pytest.mark.parametrize("name", SERVERS)
def test_a_servers_span_has_nothing_of_what_is_named(
    configure: Configure, spans: Spans, name: str
) -> None:
    server = SERVERS[name]
    configure(
        STRAYLINE_REDACT="token,cookie,client.address",
        OTEL_SEMCONV_STABILITY_OPT_IN="http/dup",
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST=".*",
    )
    with server.serve(server.app()) as port:
        raw(
            port,
            b"GET /items/7?token=topsecret&a=1 HTTP/1.1\r\nHost: shop\r\n"
            b"Cookie: topsecret\r\nConnection: close\r\n\r\n",
        )
        (span,) = until(lambda: [span for span in spans() if span.kind is SpanKind.SERVER])
    found = told(span)
    assert "topsecret" not in str(found)
    assert found["url.query"] == "token=REDACTED&a=1"
    assert found["http.target"] == "/items/7?token=REDACTED&a=1"
    assert found["client.address"] == "REDACTED"
    assert found["http.request.header.cookie"] == ("REDACTED",)


def test_megabytes_in_a_clients_headers_and_url_are_cut(configure: Configure, spans: Spans) -> None:
    configure(OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE=".*")
    answer = httpx.Response(200, headers={"X-Large": "x" * 2_000_000})
    with httpx.Client(transport=httpx.MockTransport(lambda request: answer)) as client:
        client.get("http://shop/?" + "a" * 60_000)
    found = told(spans()[0])
    assert len(found["url.full"]) == redact.MAX_TEXT
    assert len(found["http.response.header.x-large"][0]) == redact.MAX_TEXT
