"""A healthy shop and its depot under rolling restarts, for as long as ``STRAYLINE_SOAK_S`` says, an hour when it does
not: with services that leave and come back, connections that break, fifty messages in hand, priorities, and retries by
waiting queue and by redelivery, nothing above info is raised."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from demo_services.broker import Broker
from demo_services.faults import Faults
from demo_services.oracle import unsettled
from demo_services.processes import Process, read_logs, stop_all
from demo_services.run import Shop, running_shop
from demo_services.scenarios import routes
from tests.demo.depot_names import ROLES, ROUTES
from tests.support.collector import RunningCollector, running_collector

pytestmark = [pytest.mark.broker, pytest.mark.deep]

LENGTH_S = float(os.environ.get("STRAYLINE_SOAK_S", "3600"))
RESTARTED = ("billing", "packs", "shipping", "loads", "notifications", "checks", "sends")
"""Not those that an order waits for."""
PAUSE_S = 15.0
ORDER_S = 0.15
DRAIN_S = 120.0
COUNTED = "SELECT (SELECT count(*) FROM publishes), (SELECT count(*) FROM deliveries)"


@pytest.mark.timeout(LENGTH_S + 600)
def test_an_hour_of_healthy_traffic_with_rolling_restarts_raises_nothing(
    broker: Broker, vhost: str, tmp_path: Path
) -> None:
    with (
        running_collector(str(tmp_path / "hour.duckdb")) as collector,
        running_shop(broker, vhost, collector.otlp_http, Faults.parse("none"), tmp_path) as shop,
    ):
        shop.services.extend(_depot(vhost, collector.otlp_http, tmp_path))
        ends = time.monotonic() + LENGTH_S
        restarts, restarted = itertools.cycle(RESTARTED), 0
        loud: dict[str, str] = {}
        number = 0
        next_at = time.monotonic() + PAUSE_S
        while time.monotonic() < ends:
            number += 1
            shop.order(number)
            shop.check()
            time.sleep(ORDER_S)
            if time.monotonic() >= next_at:
                shop.restart(next(restarts))
                restarted += 1
                loud.update(_loud(collector))
                next_at = time.monotonic() + PAUSE_S
        stop_all([service for service in shop.services if service.name == "sends"])
        _drain(shop, tmp_path)
        shop.stop()
        collector.settle()
        told = Counter(
            f"{f['kind']} {f['verdict'] or f['cause'] or ''} {f['severity']}"
            for f in collector.findings()
        )
        counted = collector.post("/api/v1/sql", {"sql": COUNTED})["rows"]
        sys.stdout.write(f"{number} orders, {counted}, {restarted} restarts, {dict(told)}\n")
        loud.update(_loud(collector))
        assert loud == {}


def _loud(collector: RunningCollector) -> dict[str, str]:
    """What is open above info: a false alarm, though it may be taken back later."""
    return {f["id"]: f["title"] for f in collector.findings() if f["severity"] != "info"}


def _depot(amqp_url: str, otlp_http: str, directory: Path) -> list[Process]:
    found: list[Process] = []
    for role in ROLES:
        own = {
            "AMQP_URL": amqp_url,
            "OTEL_SERVICE_NAME": role,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{otlp_http}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "DEMO_TRUTH": str(directory / f"{role}.truth"),
        }
        found.append(Process(role, ["tests.demo.depot", role], own, directory))
        found[-1].first_line()
    return found


def _drain(shop: Shop, directory: Path) -> None:
    """Returns when every message was handled to its end, by the services' own logs."""
    ways = {**routes(shop.faults), **ROUTES}
    deadline = time.monotonic() + DRAIN_S
    while left := unsettled(read_logs(directory), ways):
        assert time.monotonic() < deadline, f"{left} messages were not handled"
        time.sleep(1)
