"""Where the doors are: loopback unless told otherwise, and never where somebody else is."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from strayline_collector.settings import CollectorSettings
from tests.support.collector import RunningCollector

DOORS = ("--otlp-http", "--otlp-grpc", "--api")


def start(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs ``strayline collector`` that must end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "strayline_collector", "collector", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )


def elsewhere(option: str, address: str) -> list[str]:
    """Options with ``address`` for one door and free ports for the others."""
    return [word for door in DOORS for word in (door, address if door == option else "127.0.0.1:0")]


@pytest.mark.parametrize("option", DOORS)
def test_a_port_in_use_is_one_clear_error(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = start(tmp_path, *elsewhere(option, address))
    assert ended.returncode == 2
    (line,) = ended.stderr.strip().splitlines()
    assert option in line
    assert address in line
    assert "in use" in line


def test_a_second_collector_on_the_same_ports_is_refused(
    tmp_path: Path, collector: RunningCollector
) -> None:
    """Two gRPC servers on one port would share it in silence (``so_reuseport``)."""
    for option, address in (
        ("--otlp-grpc", collector.otlp_grpc),
        ("--otlp-http", collector.otlp_http),
    ):
        ended = start(tmp_path, *elsewhere(option, address))
        assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)


def test_every_door_is_on_loopback_unless_told_otherwise() -> None:
    settings = CollectorSettings()
    for address in (settings.otlp_http, settings.otlp_grpc, settings.api):
        assert address.loopback


@pytest.mark.parametrize("option", DOORS)
@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.0.2.1"])
def test_a_public_address_without_protection_is_refused(
    tmp_path: Path, option: str, host: str
) -> None:
    ended = start(tmp_path, *elsewhere(option, f"{host}:0"))
    assert ended.returncode == 2
    (line,) = ended.stderr.strip().splitlines()
    assert option in line
    assert "--insecure" in line
