"""The collector begins after its services, and knows nothing of what they declared: they tell it again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pika
import pytest

from tests.support.collector import RunningCollector, running_collector
from tests.support.programs import environment

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
INTENT = "SELECT kind, coalesce(name, source_name), surely_from FROM topology WHERE source = 'shim' ORDER BY ALL"
SEEN = "SELECT (SELECT count(*) FROM publishes), (SELECT count(*) FROM deliveries WHERE settlement = 'ack')"


class Owner:
    """``owner.py``, told what to do line by line."""

    def __init__(self, vhost: str, otlp: str, **more: str) -> None:
        said = environment(
            f"http://{otlp}", OTEL_SERVICE_NAME="owner", OTEL_BSP_SCHEDULE_DELAY="100", **more
        )
        command = [sys.executable, "-m", "tests.scenarios.owner", vhost]
        self.process = subprocess.Popen(
            command, env=said, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._hears("ready")

    def publishes(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("publish\n")
        self.process.stdin.flush()
        self._hears("handled")

    def _hears(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == word


@contextmanager
def owner(vhost: str, otlp: str, **more: str) -> Iterator[Owner]:
    found = Owner(vhost, otlp, **more)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.communicate()


def asked(collector: RunningCollector, sql: str) -> list[list[object]]:
    return collector.post("/api/v1/sql", {"sql": sql})["rows"]


def told_again(collector: RunningCollector) -> int:
    """Spans that tell it again, of those that are kept."""
    answer = httpx.get(f"http://{collector.api}/api/v1/export?format=jsonl", timeout=60)
    spans = [
        span
        for line in answer.text.splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
        if span["name"] == "strayline.census"
    ]
    return sum(any(a["key"] == "strayline.topology" for a in span["attributes"]) for span in spans)


def intent(collector: RunningCollector) -> list[list[object]]:
    """Exchange, queue and binding, once all three are known."""
    ends = time.monotonic() + PATIENCE_S
    while len(found := asked(collector, INTENT)) < 3:
        assert time.monotonic() < ends, found
        time.sleep(0.02)
    return found


def until_seen(collector: RunningCollector, deliveries: int) -> None:
    ends = time.monotonic() + PATIENCE_S
    while asked(collector, SEEN) != [[deliveries, deliveries]]:
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_collector_that_begins_later_learns_what_services_declared(
    vhost: str, tmp_path: Path
) -> None:
    with running_collector(tmp_path / "first.duckdb") as first:
        otlp = first.otlp_http
        with owner(vhost, otlp, STRAYLINE_TOPOLOGY_INTERVAL="1") as service:
            declared = intent(first)
            first.kill()
            connection = pika.BlockingConnection(pika.URLParameters(vhost))
            connection.channel().queue_bind("billing", "events", "order.legacy")
            connection.close()
            with running_collector(tmp_path / "second.duckdb", otlp_http=otlp) as second:
                assert intent(second) == declared
                service.publishes()
                service.publishes()
                until_seen(second, 4)
                second.settle()
                found = [(f["kind"], f["verdict"], f["count"]) for f in second.findings()]
                assert found == [("misrouted", "stale_binding", 2)]
                assert told_again(second) == 1  # of many: the first, so that an export has it
