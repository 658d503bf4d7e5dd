"""How full a real RabbitMQ says its queues are, and what that decides about a queue out of which nothing comes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiormq
import httpx
import pytest
from pamqp.commands import Basic

from demo_services.broker import Broker
from strayline_collector.detect.watermark import rfc3339
from tests.detect.test_routes_judged import offenders, run_service
from tests.support.collector import RunningCollector, running_collector
from tests.tap.test_topology import until, url_of

WAITS = ("stalled_after_s=4", "stalled_gap_factor=1")
LEVELS = """
    SELECT state, ready, unacknowledged, consumers, about > (SELECT max("end") FROM publishes WHERE routing_key = queue AND l.vhost = vhost) AS says
    FROM queue_levels l WHERE vhost = '{vhost}' AND queue = '{queue}' ORDER BY seen_from DESC LIMIT 1
"""


def level(collector: RunningCollector, vhost: str, queue: str) -> list[Any] | None:
    """The last one, and whether it says something of all that was published with the queue's name as key."""
    sql = LEVELS.format(vhost=vhost, queue=queue)
    rows = collector.post("/api/v1/sql", {"sql": sql})["rows"]
    return rows[0] if rows else None


def judged(collector: RunningCollector) -> list[dict[str, Any]]:
    """What is found when absence is judged now."""
    now = rfc3339(time.time_ns())
    httpx.post(
        f"http://{collector.api}/api/v1/detection/settle", params={"now": now}, timeout=120
    ).raise_for_status()
    return [f for f in collector.findings() if f["kind"] == "stalled"]


async def take(vhost: str, queue: str, count: int) -> None:
    """Consumes without instrumentation."""
    connection = await aiormq.connect(vhost)
    channel = await connection.channel()
    for _ in range(count):
        got = await channel.basic_get(queue, no_ack=True)
        assert isinstance(got.delivery, Basic.GetOk)
    await connection.close()


@pytest.mark.broker
def test_a_queue_that_rabbitmq_says_is_stuck_has_stalled_and_one_that_it_says_is_empty_has_not(
    vhost: str, broker: Broker
) -> None:
    name = vhost.rsplit("/", 1)[1]
    with running_collector(
        rabbitmq_api=[url_of(broker)], topology_every_s=0.5, thresholds=WAITS
    ) as collector:
        sent: dict[str, Any] = {}
        for queue in ("billing", "audit"):
            declare = {"exchange": "events", "queue": queue, "bind": [queue]}
            run_service(collector, vhost, queue, declare)
            run_service(collector, vhost, "orders", {"exchange": "events", "publish": [[queue, 1]]})
            run_service(collector, vhost, queue, {**declare, "consume": 1})
            plan = {"exchange": "events", "publish": [[queue, 2]]}
            sent |= run_service(collector, vhost, "orders", plan)
        asyncio.run(take(vhost, "audit", 2))
        until(lambda: level(collector, name, "billing") == ["waiting", 2, 0, 0, True], 40)
        until(lambda: level(collector, name, "audit") == ["empty", 0, 0, 0, True], 40)
        (finding,) = judged(collector)
    assert offenders(finding) == set(sent["billing"])
    assert finding["confidence"] == "proven"
    assert "RabbitMQ says: 2 ready, 0 unacknowledged, no consumer." in finding["explanation"]
    assert finding["remedy"] == "Start a consumer of billing: none is connected."
