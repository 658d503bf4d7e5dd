"""A contract inferred from traffic says what was seen, and judges it as kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from strayline_collector.contract.asyncapi import read_contract
from strayline_collector.contract.infer import infer
from tests.support.collector import running_collector


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "strayline_collector", "contract", "infer", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("recording", ["d_reorder_nack", "b_misroute"])
def test_the_round_trip_of_a_recording_breaks_nothing(tmp_path: Path, recording: str) -> None:
    file = tmp_path / "observed.yaml"
    with running_collector() as collector:
        collector.replay(recording)
        collector.settle()
        done = command("--api", f"http://{collector.api}", "--output", str(file))
        assert done.returncode == 0, done.stderr
    found = read_contract([file])
    assert found.keys
    assert found.queues
    with running_collector(contracts=[str(file)]) as collector:
        collector.replay(recording)
        collector.settle()
        assert [f for f in collector.findings() if f["verdict"] == "contract"] == []


def test_of_one_service_it_names_what_that_sends_and_receives(tmp_path: Path) -> None:
    rows = [
        ("/", "billing", "events", "order.created", "created", "orders", "billing"),
        ("/", "audit", "events", "order.created", "created", "orders", "audit"),
        ("/", "audit", "events", "user.3f0c9a0e-5f5e-4a5c-8a0f-0d0a3d9f8d11", None, "users", "audit"),
        ("/", "amq.gen-x", "", "amq.gen-x", None, "billing", "orders"),
    ]  # fmt: skip
    names = ("vhost", "queue", "exchange", "routing_key", "type", "producer", "consumer")
    ways = [dict(zip(names, row, strict=True)) for row in rows]
    import yaml

    for service in (None, "billing", "audit"):
        file = tmp_path / f"{service}.yaml"
        file.write_text(yaml.safe_dump(infer(ways, service)))
        (document,) = read_contract([file]).documents
        assert document.service == service
    audit = infer(ways, "audit")
    assert set(audit["channels"]) == {"events.order.created", "events.user._id_", "queue.audit"}
    assert set(audit["operations"]) == {"receive.queue.audit"}
    whole = infer(ways)
    assert "amq.gen-x" not in str(whole)
    assert whole["components"]["messages"]["created"]["bindings"] == {
        "amqp": {"messageType": "created"}
    }


def test_without_traffic_or_a_collector_it_says_so() -> None:
    with running_collector() as collector:
        nothing = command("--api", f"http://{collector.api}")
    assert (nothing.returncode, "no messages were seen yet" in nothing.stderr) == (2, True)
