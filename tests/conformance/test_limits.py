"""How large a request may be, zipped or not, and what refusing a larger one costs."""

from __future__ import annotations

import gzip
import threading
import time
import zlib

import httpx
import pytest
from google.rpc.status_pb2 import Status

from tests.support.collector import RunningCollector, running_collector
from tests.support.faults import peak_mib, resident_mib
from tests.support.otlp import JSON, PROTOBUF, body, new_trace, request, trace_id
from tests.support.raw_http import head, wire

MIB = 1024 * 1024
GZIP = {**PROTOBUF, "content-encoding": "gzip"}


def of_size(size: int) -> bytes:
    """A request of exactly ``size`` bytes of protobuf."""
    found = request(filler=size - 200)
    value = found.resource_spans[0].scope_spans[0].spans[0].attributes[0].value
    value.string_value += "x" * (size - found.ByteSize())
    value.string_value = value.string_value[: len(value.string_value) + size - found.ByteSize()]
    assert found.ByteSize() == size
    return found.SerializeToString()


@pytest.mark.parametrize("zipped", [False, True])
def test_a_request_of_exactly_the_cap_is_taken_and_one_byte_more_is_413(
    small_collector: RunningCollector, zipped: bool
) -> None:
    url = f"http://{small_collector.otlp_http}/v1/traces"
    for size, code in ((1_000_000, 200), (1_000_001, 413)):
        content = gzip.compress(of_size(size), 1) if zipped else of_size(size)
        answer = httpx.post(url, content=content, headers=GZIP if zipped else PROTOBUF)
        assert (answer.status_code, answer.headers["content-type"]) == (
            code,
            PROTOBUF["content-type"],
        )
        if code == 413:
            assert "1,000,000" in Status.FromString(answer.content).message


def test_a_json_request_over_the_cap_is_413_in_json(small_collector: RunningCollector) -> None:
    answer = httpx.post(
        f"http://{small_collector.otlp_http}/v1/traces", content=b" " * 1_000_001, headers=JSON
    )
    assert (answer.status_code, answer.json()["code"]) == (413, 8)


def test_the_limit_of_an_untouched_collector_is_64_mib(client: httpx.Client) -> None:
    content = gzip.compress(body(filler=63 * MIB), 1)
    assert client.post("/v1/traces", content=content, headers=GZIP).status_code == 200
    content = gzip.compress(b"\x00" * (64 * MIB + 1), 1)
    assert client.post("/v1/traces", content=content, headers=GZIP).status_code == 413


def test_a_body_announced_over_the_cap_is_not_waited_for(
    small_collector: RunningCollector,
) -> None:
    with wire(small_collector.otlp_http) as connection:
        size = {"Content-Length": str(10 * MIB), "Content-Type": PROTOBUF["content-type"]}
        connection.send(head(headers=size) + b"\x00" * 1_100_000)
        assert connection.answer().status == 413


@pytest.mark.parametrize("members", [1, 1000])
def test_a_bomb_costs_no_more_memory_than_the_cap(members: int) -> None:
    """A quarter of a GiB of nothing in a megabyte, whole and as a thousand members."""
    with running_collector(max_request_bytes=16 * MIB) as collector:
        one = gzip.compress(b"\x00" * (256 * MIB // members), 1)
        httpx.post(f"http://{collector.otlp_http}/v1/traces", content=body(), headers=PROTOBUF)
        collector.settle()  # what loading costs the first time is not the bomb's
        before = resident_mib(collector.process)
        answer = httpx.post(
            f"http://{collector.otlp_http}/v1/traces",
            content=one * members,
            headers=GZIP,
            timeout=60,
        )
        assert answer.status_code == 413
        assert peak_mib(collector.process) - before < 16 * 2 + 16


@pytest.mark.parametrize("members", [1, 2, 7, 500])
def test_concatenated_members_are_one_body(
    collector: RunningCollector, client: httpx.Client, members: int
) -> None:
    content = body(number := new_trace(), spans=40)
    step = -(-len(content) // members)
    zipped = b"".join(gzip.compress(content[i : i + step]) for i in range(0, len(content), step))
    assert client.post("/v1/traces", content=zipped, headers=GZIP).status_code == 200
    assert (
        client.post("/v1/traces", content=zipped + gzip.compress(b""), headers=GZIP).status_code
        == 200
    )
    collector.settle()
    assert len(collector.get(f"/api/v1/traces/{trace_id(number)}")["spans"]) == 40


def test_gzip_cut_anywhere_is_400(client: httpx.Client) -> None:
    zipped = gzip.compress(body(spans=3))
    for end in (
        *range(1, 20),
        *range(20, len(zipped) - 9, 17),
        *range(len(zipped) - 9, len(zipped)),
    ):
        answer = client.post("/v1/traces", content=zipped[:end], headers=GZIP)
        assert answer.status_code == 400, f"cut after {end} of {len(zipped)}"
        assert Status.FromString(answer.content).code == 3


@pytest.mark.parametrize(
    "content",
    [
        b"x",
        zlib.compress(b"zlib, not gzip"),
        gzip.compress(body()) + b"trailing",
        gzip.compress(body())[:-5] + b"\x00" * 5,
        b"\x1f\x8b",
    ],
    ids=["no gzip", "zlib", "trailing bytes", "wrong checksum", "header alone"],
)
def test_what_is_no_gzip_is_400(client: httpx.Client, content: bytes) -> None:
    answer = client.post("/v1/traces", content=content, headers=GZIP)
    assert answer.status_code == 400
    assert "gzip" in Status.FromString(answer.content).message


def test_unzipping_does_not_keep_others_waiting(client: httpx.Client) -> None:
    """Each bomb takes about a tenth of a second to unfold; small requests meanwhile take less."""
    bomb = gzip.compress(b"\x00" * (64 * MIB + 1), 1)
    url = f"{client.base_url}/v1/traces"
    codes: list[int] = []
    senders = [
        threading.Thread(
            target=lambda: codes.append(
                httpx.post(url, content=bomb, headers=GZIP, timeout=60).status_code
            )
        )
        for _ in range(5)
    ]
    started = time.monotonic()
    for sender in senders:
        sender.start()
    waits: list[float] = []
    while any(sender.is_alive() for sender in senders):
        asked = time.monotonic()
        assert client.post("/v1/traces", content=b"", headers=PROTOBUF).status_code == 200
        waits.append(time.monotonic() - asked)
    assert codes == [413] * 5
    assert max(waits) < max(0.5, (time.monotonic() - started) / 2)
