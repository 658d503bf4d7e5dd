"""The memory limit holds whatever comes at once; who is refused comes back and is taken."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.support.collector import running_collector
from tests.support.faults import peak_mib
from tests.support.otlp import PROTOBUF, request

MIB = 1024 * 1024
LIMIT_MIB = 512
OVER_MIB = 300
"""What the process itself, its libraries and buffers of the kernel may take beside."""
AT_ONCE = 10


def largest(number: int) -> bytes:
    """Just under 64 MiB in spans of 16 KiB."""
    found = request(number, spans=4_000, filler=16_500)
    assert 60 * MIB < found.ByteSize() < 64 * MIB
    return found.SerializeToString()


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_ten_of_the_largest_requests_at_once(tmp_path: Path) -> None:
    content = {number: largest(number) for number in range(1, AT_ONCE + 1)}
    with running_collector(tmp_path / "s.duckdb", memory_limit=f"{LIMIT_MIB}MB") as collector:
        url = f"http://{collector.otlp_http}/v1/traces"
        refused: list[int] = []

        def send(number: int) -> None:
            deadline = time.monotonic() + 150
            while time.monotonic() < deadline:
                try:
                    answer = httpx.post(url, content=content[number], headers=PROTOBUF, timeout=60)
                except httpx.WriteError:  # refused before it was read
                    refused.append(number)
                    time.sleep(1)
                    continue
                if answer.status_code == 200:
                    return
                assert answer.status_code == 503
                refused.append(number)
                time.sleep(int(answer.headers["retry-after"]))

        senders = [threading.Thread(target=send, args=(number,)) for number in content]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        collector.settle()
        peak = peak_mib(collector.process)
        print(f"peak {peak:.0f} MiB with a limit of {LIMIT_MIB}; {len(refused)} refusals")
        assert collector.get("/api/v1/status")["spans"] == AT_ONCE * 4_000
        assert peak <= LIMIT_MIB + OVER_MIB
