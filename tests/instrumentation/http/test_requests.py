"""requests alone: adapters, redirects that go wrong, secrets that errors quote."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from opentelemetry import context, trace
from opentelemetry.trace import SpanKind
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.sessions import SessionRedirectMixin

import strayline
from strayline.shims.http_spans import SUPPRESS_HTTP
from tests.instrumentation.conftest import Spans
from tests.instrumentation.http.clients import told
from tests.instrumentation.http.peers import Peer


class Adapter(BaseAdapter):
    """Answers by itself, and notes the context that it was called in."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error
        self.span_id = 0
        self.suppressed = False

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        self.span_id = trace.get_current_span().get_span_context().span_id
        self.suppressed = bool(context.get_value(SUPPRESS_HTTP))
        if self.error is not None:
            raise self.error
        answer = requests.Response()
        answer.status_code = 200
        answer.request = request
        answer.url = request.url
        answer._content = b""
        return answer

    def close(self) -> None:
        pass


def _session(adapter: Adapter, scheme: str = "http://") -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.mount(scheme, adapter)
    return session


def test_a_custom_adapter_is_called_within_the_span_and_urllib3_is_not_traced_again(
    spans: Spans,
) -> None:
    adapter = Adapter()
    _session(adapter).get("http://shop/")
    (span,) = spans()
    assert span.context is not None
    assert adapter.span_id == span.context.span_id
    assert adapter.suppressed
    assert not context.get_current()


def test_an_adapter_for_something_else_than_http_is_not_traced(spans: Spans) -> None:
    adapter = Adapter()
    _session(adapter, "file://").get("file:///etc/hosts")
    assert spans() == []


def test_an_adapters_error_is_recorded_and_raised(spans: Spans) -> None:
    error = requests.Timeout("too slow")
    with pytest.raises(requests.Timeout) as raised:
        _session(Adapter(error)).get("http://shop/")
    assert raised.value is error
    assert told(spans()[0])["error.type"] == "Timeout"
    assert not context.get_current()


def test_too_many_redirects_leave_each_request_its_span(spans: Spans, peer: Peer) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.max_redirects = 2
        with pytest.raises(requests.TooManyRedirects):
            session.get(peer.url("/redirect/9"))
    assert [told(span)["http.response.status_code"] for span in spans()] == [302, 302, 302]
    assert not context.get_current()


def test_a_redirect_to_nowhere_fails_by_itself(spans: Spans, peer: Peer) -> None:
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.ConnectionError):
            session.get(peer.url("/away?to=http://127.0.0.1:9/"))
    first, second = spans()
    assert told(first)["http.response.status_code"] == 302
    assert "error.type" not in told(first)
    assert told(second)["error.type"] == "ConnectionError"


def test_secrets_that_an_error_quotes_are_not_recorded(spans: Spans) -> None:
    """urllib3's errors quote the whole path with its parameters."""
    with pytest.raises(requests.ConnectionError) as raised:
        requests.get("http://user:secret@127.0.0.1:9/?sig=topsecret&page=2")
    assert "topsecret" in str(raised.value)
    (span,) = [span for span in spans() if span.kind is SpanKind.CLIENT]
    recorded = f"{told(span)} {span.status.description} {[e.attributes for e in span.events]}"
    assert "secret" not in recorded.replace("def test_secrets", "")
    assert "page=2" in recorded


def test_hooks_see_the_request_as_sent(spans: Spans, peer: Peer) -> None:
    seen: list[str] = []

    def hook(answer: requests.Response, **_: Any) -> None:
        seen.append(answer.request.headers["traceparent"])

    with requests.Session() as session:
        session.trust_env = False
        session.get(peer.url("/ok"), hooks={"response": hook})
    assert seen == [peer.heard[0]["traceparent"]]


def test_off_puts_the_very_functions_back() -> None:
    before = (requests.Session.send, SessionRedirectMixin.resolve_redirects, HTTPAdapter.send)
    strayline.instrument(only=["requests"])
    assert requests.Session.send is not before[0]
    strayline.uninstrument()
    assert before == (
        requests.Session.send,
        SessionRedirectMixin.resolve_redirects,
        HTTPAdapter.send,
    )
