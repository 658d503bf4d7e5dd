"""A disk that does not answer: senders are told within a bound, and it goes on when it does."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import grpc
import httpx
import pytest

from strayline_collector.receive import file_journal
from tests.support.collector import running_collector
from tests.support.faults import wait_for
from tests.support.otlp import EXPORT, PROTOBUF, body

FROZEN = """
import os, pathlib, time
from strayline_collector.receive import file_journal
file_journal.STALL_S = {stall_s}
_sync = os.fdatasync
def _frozen(descriptor):
    while pathlib.Path({flag!r}).exists():
        time.sleep(0.01)
    _sync(descriptor)
os.fdatasync = _frozen
"""
"""``fdatasync`` does not return while a file is there."""
STALL_S = 2.0
GIVEN_UP_S = 9.0
"""Exporters give up after ten."""


def test_a_frozen_disk(tmp_path: Path) -> None:
    flag = tmp_path / "frozen"
    # sooner than an untouched collector does, so that a busy machine has time to answer in
    assert STALL_S < file_journal.STALL_S <= GIVEN_UP_S / 1.5
    prelude = FROZEN.format(flag=str(flag), stall_s=STALL_S)
    with running_collector(tmp_path / "s.duckdb", prelude=prelude) as running:
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
            channel.unary_unary(EXPORT)(body(12), timeout=GIVEN_UP_S)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        for sender in senders:
            sender.join()
        assert {status for status, _ in outcomes} == {503}
        assert max(took for _, took in outcomes) < GIVEN_UP_S
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
