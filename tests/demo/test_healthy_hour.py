"""A healthy shop under rolling restarts, for as long as ``STRAYLINE_SOAK_S`` says, an hour when it does
not: with services that leave and come back, their connections and what they hold with them, nothing
above info is raised."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

import pytest

from demo_services.broker import Broker
from demo_services.faults import Faults
from demo_services.run import running_shop
from tests.support.collector import running_collector

pytestmark = [pytest.mark.broker, pytest.mark.deep]

LENGTH_S = float(os.environ.get("STRAYLINE_SOAK_S", "3600"))
RESTARTED = ("billing", "shipping", "notifications")
"""Those that only consume: an order waits for the others' answers."""
PAUSE_S = 30.0


@pytest.mark.timeout(LENGTH_S + 600)
def test_an_hour_of_healthy_traffic_with_rolling_restarts_raises_nothing(
    broker: Broker, vhost: str, tmp_path: Path
) -> None:
    with (
        running_collector(str(tmp_path / "hour.duckdb")) as collector,
        running_shop(broker, vhost, collector.otlp_http, Faults.parse("none"), tmp_path) as shop,
    ):
        ends = time.monotonic() + LENGTH_S
        restarts = itertools.cycle(RESTARTED)
        next_at = time.monotonic() + PAUSE_S
        for number in itertools.count(1):
            shop.order(number)
            if time.monotonic() >= next_at:
                shop.restart(next(restarts))
                next_at = time.monotonic() + PAUSE_S
            if time.monotonic() >= ends:
                break
        shop.drain()
        shop.stop()
        collector.settle()
        loud = [f for f in collector.findings() if f["severity"] != "info"]
        assert [(f["title"], f["count"]) for f in loud] == []
