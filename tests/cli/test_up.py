"""``strayline up``: collector and dashboard together, stopped together."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from demo_services.processes import ROOT
from strayline_collector.decode.otlp import DECODER

DOORS = ("--otlp-http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--api", "127.0.0.1:0")


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "strayline_collector", "up", *DOORS, *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def test_it_prints_its_addresses_serves_and_stops_cleanly(tmp_path: Path) -> None:
    up = start("--db", str(tmp_path / "s.duckdb"), "--ui", "127.0.0.1:0")
    assert up.stdout is not None
    lines = [up.stdout.readline().split() for _ in range(5)]
    told = {line[0]: line[-1] for line in lines}
    assert set(told) == {"otlp/http", "otlp/grpc", "api", "store", "dashboard"}
    assert told["store"] == DECODER
    assert httpx.get(f"{told['api']}/ready").status_code == 200
    assert "Strayline" in httpx.get(told["dashboard"]).text
    up.send_signal(signal.SIGINT)
    _, errors = up.communicate(timeout=30)
    assert (up.returncode, errors) == (0, "")
    assert list((tmp_path / "s.duckdb.journal").iterdir()) == []


def test_a_dashboard_that_cannot_start_ends_it_with_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        up = start("--db", str(tmp_path / "s.duckdb"), "--ui", address)
        _, errors = up.communicate(timeout=30)
    assert up.returncode == 2
    assert errors.startswith(f"strayline: --ui {address}")
    assert errors.count("\n") == 1
