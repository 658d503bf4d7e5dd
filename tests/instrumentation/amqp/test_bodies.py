"""Bodies are recorded where that is asked for, as far as it is asked for, and redacted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strayline
from strayline import jsonpath
from strayline.amqp import Arrival, Broker, Channel, Publish
from tests.instrumentation.conftest import Spans

CARD = {"order": 1, "card": {"number": "4111", "cvc": "1"}, "items": [{"password": "x", "n": 1}]}


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The environment, read again at the end."""
    yield monkeypatch
    monkeypatch.undo()
    strayline.instrument()


def _told(spans: Spans, body: bytes) -> list[dict[str, Any]]:
    strayline.instrument()
    channel = Channel(Broker())
    channel.publishing(Publish("e", "k", body, {})).ended("confirmed")
    with channel.handling(channel.received(Arrival("q", "e", "k", {}, 1, "c", False, True, body))):
        pass
    return [dict(span.attributes or {}) for span in (*spans("publish e:k"), *spans("process q"))]


def test_without_being_asked_for_no_body_is_recorded(spans: Spans) -> None:
    for told in _told(spans, b'{"card": 4111}'):
        assert not any(
            "body" in name and "size" not in name and "hash" not in name for name in told
        )
        assert "4111" not in str(told)


def test_so_much_of_a_body_as_asked_for_is_recorded_on_both_sides(
    spans: Spans, recording: pytest.MonkeyPatch
) -> None:
    recording.setenv("STRAYLINE_CAPTURE_BODY_BYTES", "5")
    assert [told["strayline.body"] for told in _told(spans, "ab€cd".encode())] == ["ab€"] * 2


def test_json_paths_are_redacted_before_the_body_is_cut(
    spans: Spans, recording: pytest.MonkeyPatch
) -> None:
    recording.setenv("STRAYLINE_CAPTURE_BODY_BYTES", "1000")
    recording.setenv("STRAYLINE_REDACT_BODY", "$.card.number, $..password")
    for told in _told(spans, json.dumps(CARD).encode()):
        kept = json.loads(told["strayline.body"])
        assert kept["card"] == {"number": "REDACTED", "cvc": "1"}
        assert kept["items"] == [{"password": "REDACTED", "n": 1}]


@pytest.mark.parametrize("body", [b"\xff\xfe", b"not json", b"[" * 100_000, b'{"a": 1}' * 20_000])
def test_what_cannot_be_redacted_is_not_recorded(
    spans: Spans, recording: pytest.MonkeyPatch, body: bytes
) -> None:
    recording.setenv("STRAYLINE_CAPTURE_BODY_BYTES", "1000")
    recording.setenv("STRAYLINE_REDACT_BODY", "$..password")
    for told in _told(spans, body):
        assert "strayline.body" not in told
        assert told["strayline.body_omitted"] == "cannot be redacted"


def test_a_path_that_is_none_records_no_body_and_says_so(
    spans: Spans, recording: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recording.setenv("STRAYLINE_CAPTURE_BODY_BYTES", "1000")
    recording.setenv("STRAYLINE_REDACT_BODY", "card.number")
    for told in _told(spans, json.dumps(CARD).encode()):
        assert "strayline.body" not in told
    assert "'card.number'" in caplog.text


def test_redacted_names_hold_for_messages_too(spans: Spans, recording: pytest.MonkeyPatch) -> None:
    recording.setenv("STRAYLINE_REDACT", "strayline.body_hash")
    publish, _ = _told(spans, b"x")
    assert publish["strayline.body_hash"] == "REDACTED"


def test_no_span_of_a_message_holds_what_is_redacted(
    spans: Spans, recording: pytest.MonkeyPatch
) -> None:
    recording.setenv("STRAYLINE_REDACT", "authorization, *routing_key, strayline.queue")
    strayline.instrument()
    channel = Channel(Broker())
    table = {"authorization": "Bearer SECRET", "kind": "x"}
    sending = channel.publishing(Publish("amq.headers", "SECRET.key", b"", table))
    sending.ended("unconfirmed")
    channel.returned(sending.headers, "NO_ROUTE", "amq.headers", "SECRET.key")
    delivery = channel.received(
        Arrival("SECRET", "e", "SECRET.key", sending.headers, 1, "c", False, False)
    )
    with channel.handling(delivery):
        pass
    channel.settle(1, "ack")
    told = [dict(span.attributes or {}) for span in spans()]
    assert len(told) == 4
    for attributes in told:
        assert "Bearer" not in str(attributes)
        assert (
            attributes.get("messaging.rabbitmq.destination.routing_key", "REDACTED") == "REDACTED"
        )
        assert attributes.get("strayline.queue", "REDACTED") == "REDACTED"
    assert not any("strayline.routing_headers" in attributes for attributes in told)


@pytest.mark.parametrize(
    ("path", "redacted"),
    [
        ("$.card", {**CARD, "card": "R"}),
        ("$.items[0].password", {**CARD, "items": [{"password": "R", "n": 1}]}),
        ("$.items[-1]['n']", {**CARD, "items": [{"password": "x", "n": "R"}]}),
        ("$.items[*]", {**CARD, "items": ["R"]}),
        ("$.*", {"order": "R", "card": "R", "items": "R"}),
        ('$["card"]["cvc"]', {**CARD, "card": {"number": "4111", "cvc": "R"}}),
        ("$..n", {**CARD, "items": [{"password": "x", "n": "R"}]}),
        ("$.nothing.here", CARD),
    ],
)
def test_paths_name_what_rfc_9535_says(path: str, redacted: Any) -> None:
    before = json.dumps(CARD)
    assert jsonpath.replace(CARD, jsonpath.parse(path), "R") == redacted
    assert json.dumps(CARD) == before


@pytest.mark.parametrize(
    "text", ["", "$", "card", "$card", "$.", "$..", "$.a b", "$[", "$['a'", "$.a["]
)
def test_what_is_no_path_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(jsonpath.PathError, match=r"path begins|not understood"):
        jsonpath.parse(text)


documents = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abs"), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(documents)
def test_nothing_under_a_redacted_name_is_left_however_deep(document: Any) -> None:
    def secrets(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [v for k, v in value.items() if k == "s"] + [x for v in value.values() for x in secrets(v)]  # fmt: skip
        return [x for v in value for x in secrets(v)] if isinstance(value, list) else []

    assert set(map(str, secrets(jsonpath.replace(document, jsonpath.parse("$..s"), "R")))) <= {"R"}
