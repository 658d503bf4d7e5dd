"""Contracts on a real broker: the truth is what the services themselves say they sent and got."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.detect.test_routes_judged import offenders, run_service
from tests.support.collector import RunningCollector, running_collector

pytestmark = pytest.mark.broker

SHOP = """
asyncapi: 3.0.0
info: {title: The shop, version: '1'}
channels:
  created:
    address: order.created
    bindings: {amqp: {is: routingKey, exchange: {name: events, type: topic}}}
    messages: {created: {$ref: '#/components/messages/created'}}
  paid:
    address: order.paid
    bindings: {amqp: {is: routingKey, exchange: {name: events, type: topic}}}
    messages: {paid: {$ref: '#/components/messages/paid'}}
  billing:
    address: billing
    bindings: {amqp: {is: queue}}
    messages: {created: {$ref: '#/components/messages/created'}}
  shipping:
    address: shipping
    bindings: {amqp: {is: queue}}
    messages: {paid: {$ref: '#/components/messages/paid'}}
components:
  messages: {created: {}, paid: {}}
"""
APPLICATIONS = {
    "orders": """
asyncapi: 3.0.0
info: {title: orders, version: '1'}
channels:
  created:
    address: order.created
    bindings: {amqp: {is: routingKey, exchange: {name: events}}}
    messages: {created: {bindings: {amqp: {messageType: created}}}}
operations: {place: {action: send, channel: {$ref: '#/channels/created'}}}
""",
    "billing": """
asyncapi: 3.0.0
info: {title: Billing service, version: '1'}
x-strayline-service: billing
channels:
  billing:
    address: billing
    bindings: {amqp: {is: queue}}
    messages: {created: {bindings: {amqp: {messageType: created}}}}
operations: {bill: {action: receive, channel: {$ref: '#/channels/billing'}}}
""",
}


def queue(name: str, *keys: str, **more: Any) -> dict[str, Any]:
    return {"exchange": "events", "queue": name, "bind": list(keys), **more}


def contract_findings(collector: RunningCollector) -> list[dict[str, Any]]:
    collector.settle()
    return [f for f in collector.findings() if f["verdict"] == "contract"]


def test_a_binding_too_wide_brings_what_the_queue_does_not_list_and_its_twin_does_not(
    vhost: str, tmp_path: Path
) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP)
    with running_collector(contracts=[str(file)]) as collector:
        run_service(collector, vhost, "billing", queue("billing", "order.created"))
        run_service(collector, vhost, "shipping", queue("shipping", "order.paid"))
        publish = {"exchange": "events", "publish": [["order.created", 3], ["order.paid", 2]]}
        run_service(collector, vhost, "orders", publish)
        run_service(collector, vhost, "billing", queue("billing", "order.created", consume=3))
        run_service(collector, vhost, "shipping", queue("shipping", "order.paid", consume=2))
        assert contract_findings(collector) == []

        run_service(collector, vhost, "billing", queue("billing", "order.#"))
        sent = run_service(collector, vhost, "orders", publish)
        got = run_service(collector, vhost, "billing", queue("billing", "order.#", consume=5))
        run_service(collector, vhost, "shipping", queue("shipping", "order.paid", consume=2))
        (finding,) = contract_findings(collector)
    truth = set(got["(received)"]) & set(sent["order.paid"])
    assert len(truth) == 2
    assert offenders(finding) == truth
    assert (finding["kind"], finding["severity"], finding["confidence"]) == (
        "misrouted",
        "error",
        "proven",
    )
    assert (finding["subject"]["queue"], finding["subject"]["routing_key"]) == (
        "billing",
        "order.paid",
    )
    for message in finding["messages"]:
        assert (message["expected_queues"], message["actual_queues"]) == (["shipping"], ["billing"])
        assert message["evidence"]["rule"] == "queue"


def test_services_keep_to_the_operations_of_their_own_contracts(vhost: str, tmp_path: Path) -> None:
    files = []
    for name, text in APPLICATIONS.items():
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(text)
    publish = {"exchange": "events", "publish": [["order.created", 2]], "type": "created"}
    with running_collector(contracts=[str(f) for f in files]) as collector:
        declare = queue("billing", "order.created", consume=2)
        run_service(collector, vhost, "billing", queue("billing", "order.created"))
        run_service(collector, vhost, "orders", publish)
        run_service(collector, vhost, "billing", declare)
        assert contract_findings(collector) == []

        forged = run_service(collector, vhost, "fraud", publish)
        got = run_service(collector, vhost, "billing", declare)
        run_service(collector, vhost, "orders", publish)
        taken = run_service(collector, vhost, "snoop", declare)
        found = {
            (f["subject"]["producer_service"], f["subject"]["consumer_service"]): f
            for f in contract_findings(collector)
        }
    assert set(found) == {("fraud", "billing"), ("orders", "snoop")}
    assert offenders(found["fraud", "billing"]) == set(forged["order.created"]) == set(got["(received)"])  # fmt: skip
    assert offenders(found["orders", "snoop"]) == set(taken["(received)"])
    rules = {who[0]: f["messages"][0]["evidence"]["rule"] for who, f in found.items()}
    assert rules == {"fraud": "sender", "orders": "receiver"}
