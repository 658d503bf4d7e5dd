"""Hops whose telemetry is missing, on a real broker, each beside its healthy twin."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import aio_pika
import pytest

from tests.detect.test_routes_judged import PROGRAM, offenders, run_service
from tests.support.collector import RunningCollector, running_collector

pytestmark = pytest.mark.broker

WORK = {"exchange": "events", "queue": "work", "bind": ["order.created"]}
MESSAGES = 22


def run_with(
    collector: RunningCollector, url: str, name: str, plan: dict[str, Any], **more: str
) -> None:
    environment = {
        "PATH": "/usr/bin:/bin", "AMQP_URL": url, "OTEL_SERVICE_NAME": name, "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.otlp_http}", **more,
        **{key: value for key, value in os.environ.items() if key == "PYTHONPATH"},
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(PROGRAM), json.dumps(plan)],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_consumer_that_reads_another_header_loses_context_and_its_twin_does_not(
    vhost: str,
) -> None:
    with running_collector() as collector:
        run_service(collector, vhost, "billing", {**WORK, "consume": 0})
        plan = {"exchange": "events", "publish": [["order.created", 3]]}
        run_service(collector, vhost, "orders", plan)
        run_service(collector, vhost, "billing", {**WORK, "consume": 3})
        collector.settle()
        assert collector.findings() == []

        sent = run_service(collector, vhost, "orders", plan)
        run_with(collector, vhost, "billing", {**WORK, "consume": 3}, OTEL_PROPAGATORS="none")
        collector.settle()
        (finding,) = collector.findings()
    assert (finding["kind"], finding["severity"], finding["confidence"]) == (
        "context_lost",
        "warning",
        "proven",
    )
    subject = finding["subject"]
    assert (subject["queue"], subject["producer_service"], subject["consumer_service"]) == (
        "work",
        "orders",
        "billing",
    )
    assert offenders(finding) == set(sent["order.created"])


def test_a_consumer_without_telemetry_is_named_once_until_somebody_is_seen(vhost: str) -> None:
    plan = {"exchange": "events", "publish": [["order.created", MESSAGES]]}
    with running_collector() as collector:
        run_service(collector, vhost, "billing", {**WORK, "consume": 0})
        run_service(collector, vhost, "orders", plan)
        assert asyncio.run(drained(vhost)) == MESSAGES
        collector.settle()
        found = [f for f in collector.findings() if f["kind"] == "uninstrumented"]
        (finding,) = found
        assert (finding["severity"], finding["count"], finding["messages"]) == (
            "info",
            MESSAGES,
            [],
        )
        assert finding["subject"]["queue"] == "work"

        run_service(collector, vhost, "orders", plan)
        run_service(collector, vhost, "billing", {**WORK, "consume": MESSAGES})
        collector.settle()
        assert [f for f in collector.findings() if f["kind"] == "uninstrumented"] == []


async def drained(url: str) -> int:
    """Takes what is in the queue, as a program does that nobody instrumented."""
    connection = await aio_pika.connect(url)
    taken = 0
    async with connection:
        channel = await connection.channel()
        queue = await channel.get_queue("work")
        while await queue.get(no_ack=True, fail=False):
            taken += 1
    return taken
