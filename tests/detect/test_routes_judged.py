"""Misrouted and unroutable on a real broker, with the truth known by construction."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from demo_services.broker import Broker
from tests.support.collector import RunningCollector, running_collector

pytestmark = pytest.mark.broker

PROGRAM = Path(__file__).parent / "service.py"


def run_service(
    collector: RunningCollector, url: str, name: str, plan: dict[str, Any], program: Path = PROGRAM
) -> dict[str, Any]:
    """Runs ``service.py``, or another program, as a process of its own with the stock environment variables."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "AMQP_URL": url,
        "OTEL_SERVICE_NAME": name,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.otlp_http}",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    done = subprocess.run(
        [sys.executable, str(program), json.dumps(plan)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def offenders(finding: dict[str, Any]) -> set[str]:
    return {
        m["message_id"] for m in finding["messages"] if m["role"] not in ("overtaker", "original")
    }


def test_a_binding_of_an_earlier_release_is_stale_and_its_healthy_twin_is_not(vhost: str) -> None:
    declare = {"exchange": "events", "queue": "shipping", "bind": ["order.paid", "order.updated"]}
    with running_collector() as collector:
        run_service(collector, vhost, "shipping", {**declare, "consume": 0})
        sent = run_service(
            collector,
            vhost,
            "orders",
            {"exchange": "events", "publish": [["order.updated", 3], ["order.paid", 3]]},
        )
        run_service(collector, vhost, "shipping", {**declare, "consume": 6})
        collector.settle()
        assert collector.findings() == []  # the release in force binds both

        run_service(collector, vhost, "shipping", {**declare, "bind": ["order.paid"], "consume": 0})
        sent = run_service(
            collector,
            vhost,
            "orders",
            {"exchange": "events", "publish": [["order.updated", 4], ["order.paid", 3]]},
        )
        run_service(collector, vhost, "shipping", {**declare, "bind": ["order.paid"], "consume": 7})
        collector.settle()
        (finding,) = collector.findings()
    assert (finding["kind"], finding["verdict"], finding["severity"], finding["confidence"]) == (
        "misrouted",
        "stale_binding",
        "warning",
        "proven",
    )
    assert finding["subject"]["queue"] == "shipping"
    assert offenders(finding) == set(sent["order.updated"])


def test_returned_publishes_are_weighed_by_what_their_exchange_and_key_are_used_for(
    vhost: str,
) -> None:
    with running_collector() as collector:
        run_service(
            collector,
            vhost,
            "billing",
            {"exchange": "events", "queue": "billing", "bind": ["order.paid"], "consume": 0},
        )
        sent = run_service(
            collector, vhost, "orders",
            {"exchange": "events", "publish": [["order.piad", 2], ["order.paid", 2]], "direct": [["no.such.queue", 1]]},
        )  # fmt: skip
        run_service(
            collector,
            vhost,
            "billing",
            {"exchange": "events", "queue": "billing", "bind": ["order.paid"], "consume": 2},
        )
        lonely = run_service(
            collector, vhost, "audit", {"exchange": "nobody.listens", "publish": [["x", 1]]}
        )
        collector.settle()
        found = {f["subject"]["routing_key"]: f for f in collector.findings()}
    assert {key: (f["kind"], f["severity"]) for key, f in found.items()} == {
        "order.piad": ("unroutable", "warning"),
        "no.such.queue": ("unroutable", "error"),
        "x": ("unroutable", "info"),
    }
    assert offenders(found["order.piad"]) == set(sent["order.piad"])
    assert offenders(found["x"]) == set(lonely["x"])


def test_a_reference_topology_makes_what_it_lacks_an_error(vhost: str, broker: Broker) -> None:
    declare = {"exchange": "events", "queue": "shipping", "bind": ["order.paid", "order.updated"]}
    with running_collector() as collector:
        run_service(collector, vhost, "shipping", {**declare, "consume": 0})
        definitions = {
            "exchanges": [{"name": "events", "type": "topic", "durable": True}],
            "queues": [{"name": "shipping", "durable": True}],
            "bindings": [
                {
                    "source": "events",
                    "destination": "shipping",
                    "destination_type": "queue",
                    "routing_key": "order.paid",
                }
            ],
        }
        name = vhost.rsplit("/", 1)[1]
        collector.put(
            "/api/v1/topology",
            definitions,
            role="intended",
            complete="true",
            vhost=name,
            valid_from="0",
        )
        # bound behind everybody's back, so that only the reference can tell
        broker.api(
            "POST",
            f"/bindings/{name}/e/events/q/shipping",
            {"routing_key": "order.gone", "arguments": {}},
        )
        sent = run_service(
            collector,
            vhost,
            "orders",
            {"exchange": "events", "publish": [["order.gone", 2], ["order.paid", 1]]},
        )
        run_service(collector, vhost, "shipping", {**declare, "consume": 3})
        collector.settle()
        (finding,) = collector.findings()
    assert (finding["verdict"], finding["severity"]) == ("stale_binding", "error")
    assert offenders(finding) == set(sent["order.gone"])


def test_competing_consumers_are_told_from_one(vhost: str) -> None:
    """Two processes, one queue, keyed messages: handled at once, so the key's promise breaks."""
    declare = {"exchange": "events", "queue": "work", "bind": ["#"]}
    with running_collector() as collector:
        run_service(collector, vhost, "worker", {**declare, "consume": 0})
        run_service(
            collector, vhost, "orders", {"exchange": "events", "publish": [["a", 8]], "key": "one"}
        )
        run_service(
            collector, vhost, "worker", {**declare, "consume": 8, "channels": 2, "slow_first": True}
        )
        collector.settle()
        found = collector.findings(kind="reordered")
    assert {f["cause"] for f in found} == {"competing_consumers"}
    assert {f["severity"] for f in found} == {"error"}
