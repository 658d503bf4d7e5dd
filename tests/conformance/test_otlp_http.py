"""OTLP/HTTP as OTLP 1.11 demands it, against a running collector."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import httpx
import pytest
from google.rpc.status_pb2 import Status

from tests.support.collector import RunningCollector
from tests.support.otlp import JSON, PROTOBUF


@pytest.fixture
def client(small_collector: RunningCollector) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{small_collector.otlp_http}") as found:
        yield found


@pytest.mark.parametrize(
    ("content", "headers", "code"),
    [
        (b"\xff\xff\xff", PROTOBUF, 400),
        (b"{", JSON, 400),
        (b"[]", JSON, 400),
        (b"not gzip", {**PROTOBUF, "content-encoding": "gzip"}, 400),
        (gzip.compress(b"x" * 50)[:-6], {**PROTOBUF, "content-encoding": "gzip"}, 400),
        (gzip.compress(b"\x00" * 5_000_000), {**PROTOBUF, "content-encoding": "gzip"}, 413),
        (b"x" * 1_000_001, PROTOBUF, 413),
        (b"", {"content-type": "text/plain"}, 415),
    ],
    ids=[
        "no protobuf",
        "no JSON",
        "no object",
        "no gzip",
        "truncated gzip",
        "bomb",
        "too large",
        "content type",
    ],
)
def test_every_error_is_a_status_in_the_requests_encoding(
    client: httpx.Client, content: bytes, headers: dict[str, str], code: int
) -> None:
    answer = client.post("/v1/traces", content=content, headers=headers)
    assert answer.status_code == code
    if headers["content-type"] == PROTOBUF["content-type"]:
        assert Status.FromString(answer.content).message
    else:
        assert answer.json()["message"]


def test_other_methods_and_paths(client: httpx.Client) -> None:
    assert client.get("/v1/traces").status_code == 405
    assert client.post("/v1/nonsense", headers=JSON, content=b"{}").status_code == 404


def test_metrics_and_logs_are_accepted_with_a_word_and_an_empty_request_succeeds(
    client: httpx.Client,
) -> None:
    for path in ("/v1/metrics", "/v1/logs"):
        answer = client.post(path, content=b"{}", headers=JSON)
        assert answer.status_code == 200
        assert "traces only" in answer.json()["partialSuccess"]["errorMessage"]
    assert client.post("/v1/traces", content=b"", headers=PROTOBUF).status_code == 200
