"""The demo agrees with itself, three times over in ``make test-deep``, and stays quiet when nothing is wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo_services.broker import Broker
from demo_services.faults import Faults
from demo_services.oracle import unsettled
from demo_services.processes import ROOT, read_logs
from demo_services.run import running_shop
from demo_services.scenarios import routes
from tests.support.collector import running_collector

pytestmark = pytest.mark.broker

ROUNDS = [0, *(pytest.param(round_, marks=pytest.mark.deep) for round_ in (1, 2))]


def _given(broker: Broker) -> dict[str, str]:
    return {"AMQP_URL": broker.url, "RABBITMQ_MANAGEMENT_URL": broker.management}


def strayline(*arguments: str, broker: Broker) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **_given(broker)}
    return subprocess.run(
        [sys.executable, "-m", "strayline_collector", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("round_", ROUNDS)
def test_what_was_injected_equals_what_was_found(broker: Broker, round_: int) -> None:
    done = strayline("demo", "--once", "--orders", "200", broker=broker)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "injected and found agree" in done.stdout
    for kind in (
        "misrouted outlier",
        "misrouted stale_binding",
        "unroutable",
        "lost discarded in notifications.email",
        "reordered requeue in billing.orders",
        "reordered concurrent_handlers in notifications.audit",
    ):
        assert f"✓ {kind}" in done.stdout


@pytest.mark.timeout(300)
@pytest.mark.parametrize("round_", ROUNDS)
def test_a_healthy_shop_raises_nothing(broker: Broker, round_: int) -> None:
    done = strayline("demo", "--once", "--orders", "100", "--faults", "none", broker=broker)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout


@pytest.mark.timeout(240)
def test_services_neither_stop_nor_wait_when_the_collector_is_killed_and_return_to_it(
    broker: Broker, tmp_path: Path
) -> None:
    db = tmp_path / "s.duckdb"
    with (
        tempfile.TemporaryDirectory() as name,
        broker.vhost() as url,
        running_collector(db) as first,
    ):
        otlp, directory = first.otlp_http, Path(name)
        with running_shop(broker, url, otlp, Faults.parse("none"), directory) as shop:
            with_collector = _orders(shop, range(1, 31))
            first.settle()
            kept = first.get("/api/v1/status")["spans"]
            assert kept > 0
            first.kill()
            without = _orders(shop, range(31, 61))
            shop.drain()
            assert unsettled(read_logs(directory), routes(shop.faults)) == 0
            with running_collector(db, otlp_http=otlp) as again:
                assert again.get("/api/v1/status")["spans"] >= kept
                _orders(shop, range(61, 66))
                shop.drain()
                shop.stop()
                again.settle()
                assert again.get("/api/v1/status")["spans"] > kept
    # generous: the machine is shared; a blocking export would cost its 10 s timeout
    assert max(without) < max(2.0, 5 * max(with_collector))


def _orders(shop: object, numbers: range) -> list[float]:
    """Seconds that each order took."""
    took: list[float] = []
    for number in numbers:
        started = time.monotonic()
        shop.order(number)  # type: ignore[attr-defined]
        took.append(time.monotonic() - started)
    return took


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.deep)]
)
def test_an_interrupted_demo_leaves_nothing_behind(
    broker: Broker, tmp_path: Path, number: signal.Signals
) -> None:
    with _serving(tmp_path, **_given(broker)) as demo:
        children = _children(demo.pid)
        assert len(children) >= 8
        demo.send_signal(number)
        _, said = demo.communicate(timeout=60)
    assert demo.returncode == 0, said
    assert [pid for pid in children if _runs(pid)] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("victim", "told"),
    [
        ("strayline_collector collector", "collector was ended by SIGKILL"),
        pytest.param(
            "strayline_dashboard", "dashboard was ended by SIGKILL", marks=pytest.mark.deep
        ),
        ("rabbit", "the broker was ended by SIGKILL. Its last lines:"),
    ],
)
def test_a_demo_whose_part_dies_says_which_and_ends_whole(
    broker: Broker, tmp_path: Path, victim: str, told: str
) -> None:
    own = {"AMQP_URL": ""} if victim == "rabbit" else _given(broker)
    with _serving(tmp_path, **own) as demo:
        children = _children(demo.pid)
        os.kill(next(pid for pid in children if victim in _command(pid)), signal.SIGKILL)
        _, said = demo.communicate(timeout=90)
    assert demo.returncode == 2, said
    assert told in said
    assert "Traceback" not in said
    assert [pid for pid in children if _runs(pid)] == []
    assert list(tmp_path.iterdir()) == []


@contextmanager
def _serving(scratch: Path, **environment: str) -> Generator[subprocess.Popen[str]]:
    """A demo that has said where its dashboard is. Its temporary files lie in ``scratch``."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "strayline_collector", "demo", "--ui", "127.0.0.1:0", "--api", "127.0.0.1:0"],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(scratch), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert demo.stdout is not None
    try:
        if "http" not in demo.stdout.readline():
            pytest.fail(f"the demo did not start: {demo.communicate(timeout=60)[1]}")
        yield demo
    finally:
        if demo.poll() is None:
            demo.terminate()
            demo.communicate(timeout=60)


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(text) for text in path.read_text().split()]
