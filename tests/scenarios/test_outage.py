"""The collector is away while services go on: of what was not told nothing is claimed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.scenarios.log import only, read
from tests.support.collector import RunningCollector, running_collector
from tests.support.programs import environment

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
NEVER_SEEN = (
    "SELECT count(*) FROM publishes p WHERE message NOT IN (SELECT message FROM deliveries)"
)


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


class Services:
    """Those that publish to ``work`` and take from it. ``room`` is how many spans each keeps while nobody takes them."""

    def __init__(self, vhost: str, otlp: str, folder: Path) -> None:
        self._vhost, self._otlp, self._folder = vhost, otlp, folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, role: str, room: int) -> subprocess.Popen[bytes]:
        log = self._folder / f"{role}-{len(self._running)}.log"
        said = environment(
            f"http://{self._otlp}", OTEL_SERVICE_NAME=role, OTEL_BSP_SCHEDULE_DELAY="100",
            OTEL_BSP_MAX_QUEUE_SIZE=str(room), OTEL_BSP_MAX_EXPORT_BATCH_SIZE=str(min(room, 512)),
        )  # fmt: skip
        command = [sys.executable, "-m", "tests.scenarios.steady", role, self._vhost, str(log)]
        self._running.append(subprocess.Popen(command, env=said, cwd=ROOT))
        return self._running[-1]

    def end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        assert process.wait(PATIENCE_S) == 0

    def acked(self, more: int) -> None:
        """Returns when so many more were acknowledged."""
        wanted = self._acks() + more
        until(lambda: self._acks() >= wanted)

    def _acks(self) -> int:
        return len(only(read(self._folder.glob("takes-*.log")), "ack"))

    def kill(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()


@contextmanager
def services(vhost: str, otlp: str, folder: Path) -> Iterator[Services]:
    found = Services(vhost, otlp, folder)
    try:
        yield found
    finally:
        found.kill()


def deliveries(collector: RunningCollector) -> int:
    asked = {"sql": "SELECT count(*) FROM deliveries"}
    return int(collector.post("/api/v1/sql", asked)["rows"][0][0])


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(False, id="deployed meanwhile", marks=pytest.mark.deep),
        pytest.param(True, id="deployed around"),
    ],
)
def test_what_services_did_while_the_collector_was_away_is_not_called_lost(
    vhost: str, tmp_path: Path, told: bool
) -> None:
    """A consumer whom nobody ever hears of comes and goes meanwhile; the one before and the one after are known
    altogether where they leave before and come after (``told``)."""
    db = tmp_path / "outage.duckdb"
    with running_collector(db) as first, services(vhost, first.otlp_http, tmp_path) as shop:
        otlp = first.otlp_http
        before = shop.start("takes", 20 if not told else 5000)
        sender = shop.start("sends", 5000)
        until(lambda: deliveries(first) >= 300)
        if told:
            shop.end(before)
        first.kill()
        if not told:
            shop.acked(100)
            shop.end(before)
        unheard = shop.start("takes", 20)
        shop.acked(200)
        shop.end(unheard)
        after = None if told else shop.start("takes", 20)
        with running_collector(db, otlp_http=otlp) as again:
            after = after or shop.start("takes", 5000)
            known = deliveries(again)
            until(lambda: deliveries(again) >= known + 300)
            shop.end(sender)
            shop.end(after)
            again.settle()
            lacking = again.post("/api/v1/sql", {"sql": NEVER_SEEN})["rows"][0][0]
            assert lacking > 0, "the collector was told of everything"
            assert [(f["title"], f["severity"], f["count"]) for f in again.findings()] == []
