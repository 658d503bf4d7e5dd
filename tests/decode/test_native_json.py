"""OTLP/JSON by the native converter and by the reference: the same messages, the same refusals; and
what the rules say, on both."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline_collector.decode import otlp_json
from strayline_collector.errors import BadInput
from strayline_collector.formats.otlp_json import protobuf_to_document
from tests.support.corpus import RECORDINGS, requests
from tests.support.generated import requests as generated
from tests.support.generated import steady

native = pytest.importorskip("strayline_collector.decode.native", exc_type=ImportError)


def outcome(convert: Callable[[bytes], bytes], text: bytes) -> Any:
    """The message, as deterministic bytes (NaN equals itself so); ``BadInput`` when refused."""
    try:
        return ExportTraceServiceRequest.FromString(convert(text)).SerializeToString(
            deterministic=True
        )
    except BadInput:
        return BadInput


def agree(text: bytes) -> Any:
    """Both sides' message, or ``BadInput``."""
    ours = outcome(native.from_json, text)
    assert ours == outcome(otlp_json.from_json, text)
    return ours


def document(request: ExportTraceServiceRequest) -> dict[str, Any]:
    """OTLP/JSON of a request; what profiles alone have left out."""
    found = protobuf_to_document(request)
    return _without_profiles(found)


def _without_profiles(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_profiles(inner)
            for name, inner in value.items()
            if name not in ("keyStrindex", "stringValueStrindex")
        }
    return [_without_profiles(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", RECORDINGS)
def test_recorded_traffic_comes_back_from_json(name: str) -> None:
    for body in requests(name)[:25]:
        request = ExportTraceServiceRequest.FromString(body)
        text = json.dumps(document(request)).encode()
        assert agree(text) == request.SerializeToString(deterministic=True)


slow = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@slow
@given(generated(), st.booleans())
def test_generated_requests_come_alike(request: ExportTraceServiceRequest, escaped: bool) -> None:
    assert agree(json.dumps(document(request), ensure_ascii=escaped).encode()) is not BadInput


ODD = [
    "null", "true", "false", "0", "-0", "1", "-1", "2.5", "5.0", "1e3", "1E+2", "-0.0", "1e-400", "1e400",
    "12345678901234567890123", "18446744073709551615", "18446744073709551616", "9223372036854775808",
    "-9223372036854775808", "1.8446744073709552e19", "9.223372036854775e18", "01", "1.", ".5", "+1", "1e", "--1",
    "NaN", "Infinity", "-Infinity", '"NaN"', '"Infinity"', '"-Infinity"', '"nan"', '""', '"0"', '"007"', '"1e3"',
    '"5.0"', '"2.5"', '" 1"', '"1_0"', '"+1"', '"0x1"', '"SPAN_KIND_SERVER"', '"STATUS_CODE_ERROR"', '"SPAN_KIND_NEW"',
    '"AQL/"', '"AQL_"', '"AQ=="', '"AQ="', '"AQ"', '"A"', '"A==="', '"AQ==AQ=="', '"A Q"', '"=="', '"\\ud800"',
    '"\\ud83d\\ude00"', '"\\ude00\\ud83d"', '"\\ud83dx"', '"\\ud83d\\u0041"', '"\\u00e9"', '"\\x"', '"\\u12"', '"\t"',
    '"\\u0000"', '"0A"', '"0a0"', '"zz"', '"00 01"', "[]", "{}", "[null]", "[[]]", "[{}]", "[1]", '[""]', "[null,{}]",
    '{"values":[]}', '{"values":[null,{"intValue":1}]}', '{"stringValue":"a","intValue":"7"}',
    '{"stringValue":"a","stringValue":null}', '{"stringValue":"a","intValue":null}',
    '{"intValue":"x","intValue":"7"}', '{"arrayValue":{"values":[{"intValue":1}]},"arrayValue":{}}',
    '{"bytesValue":"AQL_"}', '{"doubleValue":"-0"}', '{"boolValue":"true"}', "nul", "tru", "[1,]", '{"a":1,}', "{'a':1}",
]  # fmt: skip
"""Values to stand where any other value stood."""


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """OTLP/JSON with values replaced, names repeated or changed, and text damaged."""
    found = document(draw(generated()))
    chance = random.Random(draw(st.integers(0, 2**32)))
    text = json.dumps(found, ensure_ascii=chance.random() < 0.5)
    for _ in range(draw(st.integers(1, 3))):
        places = _places(found)
        if not places:
            break
        holder, at = chance.choice(places)
        holder[at] = f"@@{chance.randrange(len(ODD))}@@"
    text = json.dumps(found, ensure_ascii=chance.random() < 0.5)
    for number, odd in enumerate(ODD):
        text = text.replace(f'"@@{number}@@"', odd)
    if draw(st.integers(0, 3)) == 0:  # an object's first member again, at its end
        text = text.replace("}", ',"name":"again","attributes":[],"key":null}', 1)
    body = bytearray(text.encode())
    if draw(st.integers(0, 3)) == 0 and body:
        at = chance.randrange(len(body))
        body[at : at + chance.randrange(3)] = chance.choice(
            [b"", b"\xff", b'"', b"\\", b"{", b"]", b",", b" \n\t\r", b"\x00", b"\xed\xa0\x80"]
        )
    return bytes(body)


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for at, inner in items:
        found.append((value, at))
        found += _places(inner)
    return found


@slow
@given(changed())
def test_changed_json_is_judged_alike(text: bytes) -> None:
    agree(text)


@pytest.mark.deep
@pytest.mark.timeout(900)
@settings(slow, max_examples=2000)
@given(changed())
def test_changed_json_is_judged_alike_for_long(text: bytes) -> None:
    agree(text)


SPAN_FIELDS = [
    "traceId", "parentSpanId", "traceState", "name", "kind", "startTimeUnixNano", "attributes", "droppedAttributesCount",
    "events", "links", "status", "flags", "trace_id", "unknown", "",
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_value_anywhere_is_judged_alike(odd: str) -> None:
    for field in SPAN_FIELDS:
        agree(
            f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"{field}":{odd}}}]}}]}}]}}'.encode()
        )
    for field in (
        "stringValue",
        "boolValue",
        "intValue",
        "doubleValue",
        "arrayValue",
        "bytesValue",
    ):
        agree(_valued(f'{{"{field}":{odd}}}'))
    agree(_valued(odd))
    agree(odd.encode())
    agree(
        f'{{"resourceSpans":[{{"resource":{{"entityRefs":[{{"type":"t","idKeys":{odd}}}]}}}}]}}'.encode()
    )


def _valued(value: str) -> bytes:
    span = f'{{"traceId":"{"01" * 16}","spanId":"{"02" * 8}","attributes":[{{"key":"k","value":{value}}}]}}'
    return f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}'.encode()


def value_of(value: str) -> Any:
    """What an attribute's value becomes, on both sides."""
    found = agree(_valued(value))
    if found is BadInput:
        return BadInput
    request = ExportTraceServiceRequest.FromString(found)
    item = request.resource_spans[0].scope_spans[0].spans[0].attributes[0].value
    kind = item.WhichOneof("value")
    return None if kind is None else getattr(item, kind)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('{"intValue":"9223372036854775807"}', 2**63 - 1),
        ('{"intValue":-9223372036854775808}', -(2**63)),
        ('{"intValue":1e3}', 1000),
        ('{"intValue":5.0}', 5),
        ('{"intValue":5.5}', BadInput),
        ('{"intValue":9223372036854775808}', BadInput),
        ('{"intValue":true}', BadInput),
        ('{"doubleValue":1}', 1.0),
        ('{"doubleValue":"-Infinity"}', -float("inf")),
        ('{"doubleValue":4.9e-324}', 5e-324),
        ('{"doubleValue":1e-400}', 0.0),
        ('{"doubleValue":1e400}', BadInput),
        ('{"bytesValue":"+/-_"}', base64.b64decode("+/+/")),
        ('{"bytesValue":"AQ"}', b"\x01"),
        ('{"bytesValue":"A!"}', BadInput),
        ('{"stringValue":"\\ud83d"}', "\ufffd"),
        ('{"stringValue":"\\ud83d\\ude00"}', "\U0001f600"),
        ('{"stringValue":"a","intValue":1}', 1),
        ('{"stringValue":"a","intValue":null}', "a"),
        ('{"stringValue":5}', BadInput),
        ('{"string_value":"a"}', None),
        ("null", None),
        ("{}", None),
    ],
)
def test_values_by_the_rules(value: str, expected: Any) -> None:
    assert value_of(value) == expected


def test_the_last_of_a_name_given_twice_stands() -> None:
    text = (
        b'{"resourceSpans":[{"schemaUrl":"a"}],"resourceSpans":[{"schemaUrl":"b","schemaUrl":"c"}]}'
    )
    request = ExportTraceServiceRequest.FromString(agree(text))
    assert [each.schema_url for each in request.resource_spans] == ["c"]


def test_many_repetitions_cost_no_more_than_their_size() -> None:
    again = '"schemaUrl":"x",' * 200_000
    attributes = json.dumps([{"key": "k", "value": {"stringValue": "v" * 1_000_000}}])
    text = (
        f'{{"resourceSpans":[{{"resource":{{"attributes":{attributes}}},{again}"schemaUrl":"y"}}]}}'
    )
    found = ExportTraceServiceRequest.FromString(native.from_json(text.encode()))
    assert found.resource_spans[0].schema_url == "y"


def test_nesting_has_one_limit() -> None:
    assert agree(_valued('{"arrayValue":{"values":[' * 47 + "null" + "]}}" * 47)) is not BadInput
    assert agree(_valued('{"arrayValue":{"values":[' * 49 + "null" + "]}}" * 49)) is BadInput
    assert agree(b'{"unknown":' + b"[" * 199 + b"]" * 199 + b"}") is not BadInput
    assert agree(b'{"unknown":' + b"[" * 200 + b"]" * 200 + b"}") is BadInput
    assert agree(b"[" * 100_000) is BadInput


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        (b"\xef\xbb\xbf{}", True),
        (b" \n\r\t{ } ", True),
        (b"", False),
        (b"{}{}", False),
        (b"\xa0{}", False),
        (b"\x0c{}", False),
        ('{"ä":1}'.encode(), True),
        ('{"ä":1}'.encode("latin-1"), False),
        ("{}".encode("utf-16"), False),
        (b'{"a":NaN}', False),
        (b'{"a":"\x7f"}', True),
        (b'{"a":"\x1f"}', False),
        (b'{"a":' + b"9" * 100_000 + b"}", True),
        (b'{"a":1e' + b"9" * 100 + b"}", True),
    ],
)
def test_what_is_json(text: bytes, taken: bool) -> None:
    assert (agree(text) is not BadInput) == taken


def test_steady_traffic_comes_alike() -> None:
    request = ExportTraceServiceRequest.FromString(steady())
    assert agree(json.dumps(document(request)).encode()) == request.SerializeToString(
        deterministic=True
    )
