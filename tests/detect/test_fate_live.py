"""Duplicates, loops, dead letters, refusals and alternate exchanges on a real broker, each with a
healthy twin. The truth is what the services themselves say they sent and handled."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.detect.test_routes_judged import offenders, run_service
from tests.support.collector import RunningCollector, running_collector

pytestmark = pytest.mark.broker

PROGRAM = Path(__file__).parent / "handling.py"
EVENTS = {"events": ["topic", {}]}
WORK = {"exchanges": EVENTS, "queues": {"work": [{}, [["events", "#"]]]}}


class Town:
    """Services of one vhost, and the collector that they tell."""

    def __init__(self, collector: RunningCollector, vhost: str) -> None:
        self._collector, self._vhost = collector, vhost

    def run(self, name: str, **plan: Any) -> dict[str, Any]:
        return run_service(self._collector, self._vhost, name, plan, PROGRAM)

    def found(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Findings above info, or all of a kind."""
        self._collector.settle()
        rows = self._collector.findings()
        return [f for f in rows if (f["kind"] == kind if kind else f["severity"] != "info")]


def said(finding: dict[str, Any]) -> tuple[str, str | None, str, str]:
    return (finding["kind"], finding["verdict"], finding["severity"], finding["confidence"])


def test_a_forgotten_acknowledgement_makes_a_duplicate_and_a_crash_before_it_does_not(
    vhost: str, tmp_path: Path
) -> None:
    contract = tmp_path / "shop.yaml"
    contract.write_text(
        "asyncapi: 3.0.0\ninfo: {title: The shop, version: '1'}\nchannels:\n"
        "  work: {address: once, bindings: {amqp: {is: queue}}, x-strayline-exactly-once: true}\n"
    )
    queues = {name: [{}, [["events", "#"]]] for name in ("work", "once")}
    with running_collector(contracts=[str(contract)]) as collector:
        town = Town(collector, vhost)
        town.run("worker", exchanges=EVENTS, queues=queues)
        town.run("orders", publish=[["events", "paid", 3]])
        # the process ends with all three delivered, and none of them done
        hung = {"queue": "work", "deliveries": 1, "outcomes": {"paid": ["hang"]}}
        town.run("worker", consume=hung)
        town.run("worker", consume={"queue": "work", "deliveries": 3})
        town.run("worker", consume={"queue": "once", "deliveries": 3})
        assert town.found() == []

        town.run("orders", publish=[["events", "paid", 2]])
        for queue in queues:
            first = town.run("worker", forget={"queue": queue, "deliveries": 2})
            again = town.run("worker", consume={"queue": queue, "deliveries": 2})
        found = {f["subject"]["queue"]: f for f in town.found()}
    assert said(found["work"]) == ("duplicated", "handled", "warning", "proven")
    assert said(found["once"]) == ("duplicated", "handled", "error", "proven")
    truth = {name for name, _ in first["handled"]} & {name for name, _ in again["handled"]}
    assert len(truth) == 2
    assert offenders(found["work"]) == offenders(found["once"]) == truth


def test_a_publish_given_up_and_repeated_is_a_duplicate_where_both_came(vhost: str) -> None:
    with running_collector() as collector:
        town = Town(collector, vhost)
        town.run("worker", **WORK)
        town.run("orders", publish=[["events", "paid", 3]])
        town.run("worker", consume={"queue": "work", "deliveries": 3})
        assert town.found() == []

        town.run("orders", publish=[["events", "paid", 20]], impatient=True)
        handled = town.run("worker", consume={"queue": "work"})
        found = [f for f in town.found() if f["kind"] == "duplicated"]
    often = Counter(name for name, _ in handled["handled"])
    truth = {name for name, times in often.items() if times > 1}
    assert truth
    (finding,) = found
    assert said(finding) == ("duplicated", "publish_retry", "warning", "proven")
    assert offenders(finding) == truth


@pytest.mark.parametrize(("tries", "severity"), [(6, "warning"), (40, "error")])
def test_five_tries_given_back_are_a_loop_and_four_are_not(
    vhost: str, tries: int, severity: str
) -> None:
    def outcomes(often: int) -> dict[str, list[str]]:
        return {"paid": [*["requeue"] * often, "ack"]}

    with running_collector() as collector:
        town = Town(collector, vhost)
        town.run("worker", **WORK)
        town.run("orders", publish=[["events", "paid", 2]])
        town.run("worker", consume={"queue": "work", "deliveries": 10, "outcomes": outcomes(4)})
        assert town.found("redelivery_loop") == []

        sent = town.run("orders", publish=[["events", "paid", 1]])["sent"]
        work = {"queue": "work", "deliveries": tries + 1, "outcomes": outcomes(tries)}
        town.run("worker", consume=work)
        (finding,) = town.found("redelivery_loop")
    assert said(finding) == ("redelivery_loop", None, severity, "proven")
    assert offenders(finding) == set(sent["paid"])


def test_a_retry_by_dead_lettering_is_quiet_and_what_rests_is_not(vhost: str) -> None:
    queues = {
        "work": [{"x-dead-letter-exchange": "failed"}, [["events", "#"]]],
        "wait": [{"x-message-ttl": 50, "x-dead-letter-exchange": "events"}, [["failed", "paid"]]],
        "parked": [{}, [["failed", "broken"]]],
    }
    exchanges = {**EVENTS, "failed": ["topic", {}]}
    with running_collector() as collector:
        town = Town(collector, vhost)
        town.run("worker", exchanges=exchanges, queues=queues)
        town.run("orders", publish=[["events", "paid", 2]])
        outcomes = {"paid": [*["reject"] * 6, "ack"], "broken": ["reject"]}
        town.run("worker", consume={"queue": "work", "deliveries": 14, "outcomes": outcomes})
        assert town.found() == []
        assert town.found("dead_lettered") == []

        sent = town.run("orders", publish=[["events", "broken", 2]])["sent"]
        town.run("worker", consume={"queue": "work", "deliveries": 2, "outcomes": outcomes})
        (finding,) = town.found()
        assert said(finding) == ("dead_lettered", None, "warning", "proven")
        assert offenders(finding) == set(sent["broken"])

        town.run("mender", consume={"queue": "parked", "deliveries": 2})
        (finding,) = town.found("dead_lettered")
    assert said(finding) == ("dead_lettered", None, "info", "proven")
    assert finding["messages"][0]["evidence"]["path"] == ["work", "parked"]


def test_a_key_refused_here_and_welcome_there_is_misrouted_and_a_passing_fault_is_not(
    vhost: str,
) -> None:
    queues = {"work": [{}, [["events", "#"]]], "audit": [{}, [["events", "#"]]]}
    with running_collector() as collector:
        town = Town(collector, vhost)
        town.run("worker", exchanges=EVENTS, queues=queues)

        def day(outcomes: dict[str, list[str]], deliveries: int) -> dict[str, list[str]]:
            sent = town.run("orders", publish=[["events", "paid", 2], ["events", "gone", 2]])
            work = {"queue": "work", "deliveries": deliveries, "outcomes": outcomes}
            town.run("worker", consume=work)
            town.run("auditor", consume={"queue": "audit", "deliveries": 4})
            return sent["sent"]

        day({"gone": ["requeue", "requeue", "ack"]}, 8)
        assert town.found("misrouted") == []

    with running_collector() as collector:
        town = Town(collector, vhost)
        sent = day({"gone": ["reject"]}, 4)
        (finding,) = town.found("misrouted")
    assert said(finding) == ("misrouted", "refused", "warning", "inferred")
    assert offenders(finding) == set(sent["gone"])
    assert finding["messages"][0]["expected_queues"] == ["audit"]


def test_what_only_the_alternate_exchange_takes_is_told(vhost: str) -> None:
    exchanges = {"kept": ["fanout", {}], "events": ["topic", {"alternate-exchange": "kept"}]}
    queues = {"work": [{}, [["events", "paid"]]], "rest": [{}, [["kept", ""]]]}
    with running_collector() as collector:
        town = Town(collector, vhost)
        town.run("worker", exchanges=exchanges, queues=queues)
        town.run("orders", publish=[["events", "paid", 2]])
        town.run("worker", consume={"queue": "work", "deliveries": 2})
        assert town.found("unroutable") == []

        sent = town.run("orders", publish=[["events", "piad", 2]])["sent"]
        town.run("keeper", consume={"queue": "rest", "deliveries": 2})
        (finding,) = town.found("unroutable")
    assert said(finding) == ("unroutable", "alternate", "info", "inferred")
    assert offenders(finding) == set(sent["piad"])
    assert finding["messages"][0]["actual_queues"] == ["rest"]
