"""What is lost on a real broker: the truth is what the application sent and handled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.detect.test_routes_judged import offenders
from tests.support.collector import RunningCollector, running_collector

pytestmark = pytest.mark.broker

PROGRAM = Path(__file__).parent / "losing.py"


def run(collector: RunningCollector, url: str, name: str, *steps: tuple[str, float], **plan: Any) -> dict[str, list[str]]:  # fmt: skip
    """Runs ``losing.py`` as a service and gives what it sent and handled."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), json.dumps({"steps": steps, **plan})],
        env={
            **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
            "PATH": "/usr/bin:/bin", "AMQP_URL": url, "OTEL_SERVICE_NAME": name,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.otlp_http}", "OTEL_BSP_SCHEDULE_DELAY": "50",
        },
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def collector() -> Iterator[RunningCollector]:
    """One for all: each test's vhost keeps its findings apart."""
    with running_collector() as found:
        yield found


def alarms(collector: RunningCollector, url: str) -> dict[str, dict[str, Any]]:
    collector.settle()
    vhost = url.rsplit("/", 1)[1]
    here = [f for f in collector.findings() if f["subject"]["vhost"] == vhost]
    return {f["cause"] or f["verdict"] or f["kind"]: f for f in here}


CASES: dict[str, tuple[dict[str, Any], list[tuple[str, float]], list[tuple[str, float]], str]] = {
    "purged": ({}, [("publish", 4), ("purge", 0), ("publish", 2)], [("publish", 2), ("consume", 2), ("purge", 0)], "info"),
    "queue_deleted": ({}, [("publish", 2), ("consume", 1), ("delete", 0)], [("publish", 2), ("consume", 2), ("delete", 0)], "error"),
    "expired": ({"arguments": {"x-message-ttl": 300}}, [("publish", 3), ("wait", 0.6), ("publish", 1), ("consume", 1)], [("publish", 3), ("consume", 3)], "info"),
    "max_length": ({"arguments": {"x-max-length": 2}}, [("publish", 5), ("consume", 2)], [("publish", 2), ("consume", 2), ("publish", 2), ("consume", 2)], "info"),
    "discarded": ({"reject": True}, [("publish", 3), ("consume", 3)], [("publish", 1)], "warning"),
    "auto_ack_consumer": ({}, [("publish", 5), ("buffer", 2)], [("publish", 5), ("buffer", 5)], "error"),
}  # fmt: skip


@pytest.mark.parametrize("cause", CASES)
def test_each_cause_is_told_and_its_healthy_twin_is_silent(
    collector: RunningCollector, vhost: str, cause: str
) -> None:
    plan, losing, healthy, severity = CASES[cause]
    run(collector, vhost, "shop", *healthy, **({} if cause == "discarded" else plan))
    if cause == "discarded":
        run(collector, vhost, "shop", ("consume", 1))
    assert alarms(collector, vhost) == {}
    truth = run(collector, vhost, "shop", *losing, **plan)
    lost = set(truth["sent"]) - (set[str]() if plan.get("reject") else set(truth["handled"]))
    if cause == "purged":
        lost -= set(run(collector, vhost, "shop", ("consume", 2))["handled"])
    found = alarms(collector, vhost)
    assert set(found) == {cause}
    assert offenders(found[cause]) == lost
    assert found[cause]["severity"] == severity
    assert found[cause]["confidence"] == ("inferred" if cause == "discarded" else "proven")
