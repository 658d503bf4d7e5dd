"""The memory limit: how it is read, who gets what, and that nothing goes over it."""

from __future__ import annotations

import threading
from pathlib import Path

import grpc
import httpx
import pytest

from strayline_collector.errors import Overloaded, UsageError
from strayline_collector.memory import Budget, machine_bytes, memory_limit, parse_size, shares
from tests.support.collector import running_collector
from tests.support.faults import peak_mib

LARGEST = 64 * 2**20
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MB", 512 * 10**6),
        ("2GB", 2 * 10**9),
        ("1.5GiB", 3 * 2**29),
        ("300 mib", 300 * 2**20),
        ("1073741824", 2**30),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text, "--memory-limit") == size == memory_limit(text)


@pytest.mark.parametrize("text", ["", "much", "-1GB", "1.GB", "5XB", "100MB", "1e9"])
def test_a_size_that_is_none_or_too_small_is_one_clear_error(text: str) -> None:
    with pytest.raises(UsageError, match=r"--memory-limit.*(such as|at least)"):
        memory_limit(text)


def test_the_default_is_a_quarter_of_what_the_machine_allows_and_two_gigabytes_at_most() -> None:
    assert memory_limit(None) == max(256 * 10**6, min(2**31, machine_bytes() // 4))
    parts = shares(memory_limit(None))
    assert parts.store + parts.requests + 2 * parts.journal <= parts.limit


def test_a_budget_refuses_what_does_not_fit_and_lets_a_lone_body_in() -> None:
    budget = Budget(100)
    budget.reserve(250)  # alone: it could never come in otherwise
    with pytest.raises(Overloaded):
        budget.reserve(1)
    budget.release(250)
    budget.reserve(60)
    budget.grow(60, 100)  # alone too
    budget.release(160)
    budget.reserve(60)
    budget.reserve(40)
    with pytest.raises(Overloaded):
        budget.grow(40, 1)
    budget.release(100)
    assert budget.used == 0


def test_over_the_hard_limit_one_body_is_let_in_at_a_time() -> None:
    budget = Budget(100, hard_limit=1)
    budget.reserve(10)
    with pytest.raises(Overloaded, match="memory limit"):
        budget.reserve(10)
    budget.release(10)
    budget.reserve(10)


@pytest.mark.parametrize("door", ["http", "grpc"])
def test_ten_of_the_largest_at_once_stay_within_the_limit(tmp_path: Path, door: str) -> None:
    filler = LARGEST - 200
    # one field that no decoder knows: valid, and as large as can be
    body = b"\xfa\x3f" + _varint(filler) + bytes(filler)
    answers: list[object] = []

    def over_http(address: str) -> None:
        answer = httpx.post(
            f"http://{address}/v1/traces",
            content=body,
            headers={"content-type": "application/x-protobuf"},
            timeout=60,
        )
        answers.append(answer.status_code)

    def over_grpc(address: str) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(address, options) as channel:
            try:
                answers.append(channel.unary_unary(EXPORT)(body, timeout=60))
            except grpc.RpcError as error:
                answers.append(error.code())

    with running_collector(tmp_path / "s.duckdb", memory_limit="512MB") as collector:
        send, address = (
            (over_http, collector.otlp_http) if door == "http" else (over_grpc, collector.otlp_grpc)
        )
        threads = [threading.Thread(target=send, args=(address,)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        peak = peak_mib(collector.process)
        assert collector.get("/api/v1/status")["ingest"]["memory_in_flight_bytes"] == 0
    assert len(answers) == 10
    taken, come_back = (200, 503) if door == "http" else (b"", grpc.StatusCode.UNAVAILABLE)
    assert set(answers) <= {taken, come_back}
    assert taken in answers
    assert peak * 2**20 < 812 * 10**6


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
