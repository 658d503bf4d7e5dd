"""OTLP/JSON as its encoding rules say it (OTLP 1.11, JSON Protobuf Encoding)."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from google.rpc.status_pb2 import Status

from tests.support.collector import RunningCollector
from tests.support.otlp import JSON, PROTOBUF, body, new_trace, trace_id


def document(number: int, **span: Any) -> dict[str, Any]:
    """One span in OTLP/JSON."""
    whole = {
        "traceId": trace_id(number),
        "spanId": "00000000000000ab",
        "name": "json",
        "startTimeUnixNano": "1795000000000000001",
        "endTimeUnixNano": "1795000000000000002",
        **span,
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "json"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [whole]}]}]}


def stored(
    client: httpx.Client, collector: RunningCollector, number: int, found: dict[str, Any]
) -> dict[str, Any]:
    """Sends a document and gives its span back as the API shows it."""
    answer = client.post("/v1/traces", content=json.dumps(found), headers=JSON)
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["content-type"] == "application/json"
    collector.settle()
    (span,) = collector.get(f"/api/v1/traces/{trace_id(number)}")["spans"]
    return span


@pytest.mark.parametrize("change", [str.upper, str.lower, str.swapcase])
def test_ids_are_hex_in_any_case(
    client: httpx.Client, collector: RunningCollector, change: Any
) -> None:
    number = new_trace() | 0xABCDEF << 96
    span = stored(
        client,
        collector,
        number,
        document(number, traceId=change(trace_id(number)), spanId=change("00aBcDef00000001")),
    )
    assert span["span_id"] == "00abcdef00000001"


@pytest.mark.parametrize("start", ["1795000000000000001", 1795000000000000001])
def test_64_bit_integers_come_as_strings_or_numbers(
    client: httpx.Client, collector: RunningCollector, start: Any
) -> None:
    number = new_trace()
    attributes = [
        {"key": "text", "value": {"intValue": "-9007199254740993"}},
        {"key": "number", "value": {"intValue": 9007199254740993}},
    ]
    span = stored(
        client,
        collector,
        number,
        document(number, startTimeUnixNano=start, attributes=attributes),
    )
    assert span["start_unix_nano"] == 1795000000000000001
    assert span["attributes"] == {"text": -9007199254740993, "number": 9007199254740993}


def test_unknown_fields_are_ignored_at_every_level(
    client: httpx.Client, collector: RunningCollector
) -> None:
    number = new_trace()
    found = document(
        number,
        futureSpan={"a": [1]},
        attributes=[{"key": "k", "value": {"stringValue": "v"}, "futureAttribute": None}],
        events=[{"name": "e", "timeUnixNano": 5, "futureEvent": 1.5}],
        status={"code": 2, "futureStatus": True},
    )
    found["futureRequest"] = "x"
    found["resourceSpans"][0]["futureResource"] = []
    found["resourceSpans"][0]["scopeSpans"][0]["scope"] = {"name": "s", "futureScope": {}}
    span = stored(client, collector, number, found)
    assert (span["attributes"], span["events"][0]["name"]) == ({"k": "v"}, "e")


def test_only_lower_camel_case_is_a_field(
    client: httpx.Client, collector: RunningCollector
) -> None:
    """``start_time_unix_nano`` is as unknown as any other name."""
    number = new_trace()
    found = document(number, trace_state="a=b", start_time_unix_nano="5", dropped_events_count=7)
    span = stored(client, collector, number, found)
    assert span["start_unix_nano"] == 1795000000000000001
    assert "a=b" not in json.dumps(span)


def test_a_snake_case_id_is_no_id(client: httpx.Client) -> None:
    found = document(new_trace())
    span = found["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span["trace_id"] = span.pop("traceId")
    answer = client.post("/v1/traces", content=json.dumps(found), headers=JSON)
    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"


def test_bytes_are_base64(client: httpx.Client, collector: RunningCollector) -> None:
    number = new_trace()
    attributes = [{"key": "b", "value": {"bytesValue": "AQL/"}}]
    span = stored(client, collector, number, document(number, attributes=attributes))
    assert span["attributes"] == {"b": {"bytesValue": "AQL/"}}


@pytest.mark.parametrize(
    ("kind", "name"), [(1, "internal"), (2, "server"), (3, "client"), (4, "producer"), (5, "consumer")]
)  # fmt: skip
def test_enums_are_integers(
    client: httpx.Client, collector: RunningCollector, kind: int, name: str
) -> None:
    number = new_trace()
    span = stored(
        client,
        collector,
        number,
        document(number, kind=kind, status={"code": 2, "message": "m"}),
    )
    assert span["kind"] == name
    assert span["status"] == "error"


def test_every_kind_of_value_arrives(client: httpx.Client, collector: RunningCollector) -> None:
    number = new_trace()
    values: dict[str, Any] = {
        "string": {"stringValue": "ä\u0000\U0001f600"},
        "bool": {"boolValue": True},
        "double": {"doubleValue": 1.5},
        "array": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "x"}]}},
        "map": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": False}}]}},
    }
    attributes = [{"key": key, "value": value} for key, value in values.items()]
    span = stored(client, collector, number, document(number, attributes=attributes))
    assert span["attributes"] == {
        "string": "ä\u0000\U0001f600",
        "bool": True,
        "double": 1.5,
        "array": [1, "x"],
        "map": {"kvlistValue": {"k": False}},
    }


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'"x"',
        b"null",
        b"\xff\xfe",
        b'{"resourceSpans": 3}',
        b'{"resourceSpans": [3]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "x"}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "-1"}]}]}]}',
        b'{"resourceSpans": ' + b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda content: content[:70].decode("latin-1"),
)
def test_what_is_no_request_is_400_in_json(client: httpx.Client, content: bytes) -> None:
    answer = client.post("/v1/traces", content=content, headers=JSON)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["code"] == 3
    assert answer.json()["message"]
    assert "Traceback" not in answer.text


def test_an_answer_speaks_the_requests_language(client: httpx.Client) -> None:
    assert client.post("/v1/traces", content=b"{}", headers=PROTOBUF).status_code == 400
    refused = client.post("/v1/traces", content=body(), headers=JSON)
    assert (refused.status_code, refused.json()["code"]) == (400, 3)
    other = client.post("/v1/traces", content=b"\xff\xff\xff", headers=PROTOBUF)
    assert Status.FromString(other.content).code == 3


def test_nesting_too_deep_for_json_is_400_and_the_neighbours_live(client: httpx.Client) -> None:
    value = '{"arrayValue":{"values":[' * 5_000 + '{"intValue":1}' + "]}}" * 5_000
    found = f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"attributes":[{{"key":"k","value":{value}}}]}}]}}]}}]}}'
    assert client.post("/v1/traces", content=found, headers=JSON).status_code == 400
    assert client.post("/v1/traces", content=b"{}", headers=JSON).status_code == 200
