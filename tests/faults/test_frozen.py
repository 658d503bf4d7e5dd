"""A disk that does not answer: senders are told within a bound, and it goes on when it does."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import grpc
import httpx
import pytest

from tests.support.collector import running_collector
from tests.support.faults import wait_for
from tests.support.otlp import EXPORT, PROTOBUF, body

FROZEN = """
import os, pathlib, time
_sync = os.fdatasync
def _frozen(descriptor):
    while pathlib.Path({flag!r}).exists():
        time.sleep(0.01)
    _sync(descriptor)
os.fdatasync = _frozen
"""
"""``fdatasync`` does not return while a file is there."""


def test_a_frozen_disk(tmp_path: Path) -> None:
    flag = tmp_path / "frozen"
    with running_collector(tmp_path / "s.duckdb", prelude=FROZEN.format(flag=str(flag))) as running:
        url = f"http://{running.otlp_http}/v1/traces"

        def send(number: int) -> tuple[int, float]:
            started = time.monotonic()
            answer = httpx.post(url, content=body(number), headers=PROTOBUF, timeout=60)
            if answer.status_code == 503:
                assert int(answer.headers["retry-after"]) > 0
            return answer.status_code, time.monotonic() - started

        assert send(1)[0] == 200
        running.settle()
        flag.touch()
        outcomes: list[tuple[int, float]] = []
        senders = [
            threading.Thread(target=lambda n=n: outcomes.append(send(n))) for n in range(2, 12)
        ]
        for sender in senders:
            sender.start()
        with (
            grpc.insecure_channel(running.otlp_grpc) as channel,
            pytest.raises(grpc.RpcError) as refused,
        ):
            channel.unary_unary(EXPORT)(body(12), timeout=9)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        for sender in senders:
            sender.join()
        assert {status for status, _ in outcomes} == {503}
        assert max(took for _, took in outcomes) < 9  # exporters give up after ten
        # whoever comes now is refused at once, and questions are answered
        assert send(13)[0] == 503
        reason = httpx.get(f"http://{running.api}/ready").json()["detail"]
        assert "disk" in reason
        assert running.get("/api/v1/status")["spans"] == 1
        flag.unlink()
        wait_for(lambda: send(14)[0] == 200)
        assert httpx.get(f"http://{running.api}/ready").status_code == 200
        for number in range(2, 14):  # the clients try again, and what had been written is not twice
            assert send(number)[0] == 200
        running.settle()
        assert running.get("/api/v1/status")["spans"] == 14
