"""Queues: order in windows, ways in, flow; how the collector was started; what SQL can read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from strayline_collector.configured import configured
from strayline_collector.detect.intended import Said
from strayline_collector.detect.route import Binding, Exchange
from strayline_collector.memory import shares
from strayline_collector.query.routes import compare_words, ways
from strayline_collector.settings import CollectorSettings
from tests.support.collector import RunningCollector, running_collector
from tests.support.story import CONSUMER, PRODUCER, Told, send


def order(collector: RunningCollector, **params: Any) -> dict[str, Any]:
    return collector.get("/api/v1/queues/order", name="billing.orders", **params)


def test_a_window_of_the_order_keeps_the_places_of_the_whole(collector: RunningCollector) -> None:
    whole = order(collector)
    part = order(collector, first=50, last=99)
    assert part["points"] == [p for p in whole["points"] if 50 <= p["position"] <= 99]
    assert (part["first"], part["last"], part["messages"]) == (50, 99, 200)
    assert part["window_late"] == sum(p["late"] for p in part["points"])
    assert order(collector, first=190, last=10_000)["last"] == 199


def test_the_list_the_queue_and_its_findings_count_the_same_late_messages(
    collector: RunningCollector,
) -> None:
    def listed(**between: int) -> int:
        items = collector.get("/api/v1/queues", **between)["items"]
        return next((q["late"] for q in items if q["name"] == "billing.orders"), 0)

    counted = sum(f["count"] for f in collector.findings() if f["kind"] == "reordered")
    whole = order(collector)
    assert listed() == whole["late_by"]["either"] == counted == 83
    middle = whole["points"][100]["delivered_unix_nano"]
    halves = [listed(end=middle), listed(start=middle + 1)]
    assert sum(halves) == 83
    assert min(halves) > 0


def test_the_envelope_holds_every_displacement(collector: RunningCollector) -> None:
    whole = order(collector)
    steps = whole["envelope"]
    assert sum(s["messages"] for s in steps) == 200
    assert sum(s["late"] for s in steps) == whole["late"]
    assert max(s["extent_max"] for s in steps) == whole["worst_extent"]
    moved = [p["position"] - p["sequence"] for p in whole["points"]]
    assert min(s["displacement_min"] for s in steps) == min(moved)
    assert max(s["displacement_max"] for s in steps) == max(moved)


def test_a_window_beyond_the_end_is_refused_by_name(collector: RunningCollector) -> None:
    import httpx

    answer = httpx.get(f"http://{collector.api}/api/v1/queues/order", params={"name": "billing.orders", "first": 500})  # fmt: skip
    assert answer.status_code == 400
    assert "positions 0 to 199" in answer.json()["detail"]


def test_messages_whose_ids_differ_in_few_places_are_kept_apart() -> None:
    """DuckDB's hash of one text makes 64 of these 1,280 equal to another."""
    work = {"messaging.system": "rabbitmq", "messaging.destination.name": "work"}
    send_it, handle = ({**work, "messaging.operation.type": t} for t in ("send", "process"))
    told: list[Told] = []
    for number in range(1280):
        trace, name, at = chr(0x30 + number // 80), chr(0x20 + number % 80), number * 10
        told += [
            Told(name, "orders", PRODUCER, at, at + 1, trace=trace, attributes={**send_it}),
            Told(f"c{name}", "billing", CONSUMER, at + 2, at + 4, name, trace, attributes={**handle}),
        ]  # fmt: skip
    with running_collector() as collector:
        send(collector.otlp_http, told)
        collector.settle()
        found = collector.get("/api/v1/queues/order", name="work")
    assert (found["messages"], found["redelivered"]) == (1280, 0)


def test_what_came_and_went_adds_up(collector: RunningCollector) -> None:
    for queue in collector.get("/api/v1/queues")["items"]:
        assert sum(queue["delivered_steps"]) == queue["messages"]
        assert queue["depth_steps"][-1] == 0
        assert queue["depth_max"] == max(queue["depth_steps"]) >= 0
        assert queue["rate_per_s"] > 0


def sent(exchange: str, key: str, n: int = 1) -> dict[str, Any]:
    return {"exchange": exchange, "routing_key": key, "published": n, "returned": 0, "first_ns": 1, "last_ns": 5}  # fmt: skip


def came(exchange: str, key: str, queue: str, n: int = 1) -> dict[str, Any]:
    return {"exchange": exchange, "routing_key": key, "queue": queue, "messages": n, "first_ns": 1, "last_ns": 5}  # fmt: skip


def said(*parts: Binding | Exchange) -> list[Said]:
    return [Said(part, False, 0, 10, 0, 10) for part in parts]


def test_a_way_says_where_it_was_meant_to_lead_and_where_it_led() -> None:
    meant = said(
        Exchange("orders", "topic"),
        Binding("orders", "billing", "queue", "order.*"),
        Binding("orders", "shipping", "queue", "order.paid"),
    )
    found = ways(
        "shipping",
        [sent("orders", "order.paid", 3), sent("orders", "order.updated"), sent("other", "x")],
        [came("orders", "order.paid", "shipping", 3), came("orders", "order.updated", "shipping")],
        meant,
        meant,
    )
    paid, updated = found
    assert (paid["expected_queues"], paid["meant_for_queue"], paid["binding"]) == (["billing", "shipping"], True, "order.paid")  # fmt: skip
    assert paid["nearest"] is None
    assert (updated["expected_queues"], updated["into_queue"], updated["meant_for_queue"]) == (["billing"], True, False)  # fmt: skip
    assert updated["nearest"] is not None
    assert updated["nearest"]["routing_key"] == "order.paid"
    assert [w["same"] for w in updated["nearest"]["words"]] == [True, False]


def test_a_way_that_should_lead_here_and_does_not_is_told_too() -> None:
    meant = said(Exchange("orders", "direct"), Binding("orders", "billing", "queue", "paid"))
    (way,) = ways("billing", [sent("orders", "paid")], [], meant, meant)
    assert (way["into_queue"], way["meant_for_queue"], way["actual"]) == (False, True, [])


@pytest.mark.parametrize(
    ("pattern", "key", "same"),
    [
        ("order.paid", "order.paid", [True, True]),
        ("order.*", "order.paid", [True, True]),
        ("order.#", "order", [True, True]),
        ("order.#", "order.a.b", [True, True, True, True]),
        ("order.paid", "order", [True, False]),
        ("order.paid", "eu.order.paid", [False, True, True]),
        ("order.paid", "order.cancled", [True, False]),
        ("", "a", [False]),
    ],
)
def test_keys_are_compared_word_by_word(pattern: str, key: str, same: list[bool]) -> None:
    words = compare_words(pattern.split(".") if pattern else [], key.split("."))
    assert [word["same"] for word in words] == same


def test_settings_tell_no_secret_and_no_path() -> None:
    chosen = CollectorSettings(
        db="/home/someone/strayline.duckdb",
        rabbitmq_api=("http://guest:secret@shop:15672/",),
        webhooks=("https://hooks.example/T0KEN",),
        contracts=(Path("/home/someone/asyncapi.yaml"),),
        retention="7d",
        thresholds=("stalled_after_s=60",),
    )
    told = configured(chosen, shares(10**9))
    assert told["topology_from"] == ["http://shop:15672"]
    assert told["webhooks"] == ["https://hooks.example"]
    assert (told["store"], told["contracts"]) == ("strayline.duckdb", ["asyncapi.yaml"])
    assert told["retention_s"] == 7 * 86_400
    assert {t["name"]: t["value"] for t in told["thresholds"]}["stalled_after_s"] == 60
    assert not re.search("secret|T0KEN|someone", str(told))


def test_the_schema_of_sql_is_what_the_documentation_says(collector: RunningCollector) -> None:
    schema = collector.get("/api/v1/sql/schema")
    text = (Path(__file__).parents[2] / "docs" / "sql.md").read_text("utf-8")
    documented = {
        cells[0].strip("`"): re.findall(r"`([^`]+)`", cells[2])
        for line in text.splitlines()
        if line.startswith("| `")
        and len(cells := [c.strip() for c in line.strip("|").split(" | ")]) == 3
    }
    found = {r["name"]: [c["name"] for c in r["columns"]] for r in schema["relations"]}
    assert {name: found[name] for name in documented if name in found} == {
        name: columns for name, columns in documented.items() if name in found
    }
    assert len(found) == 10
    assert schema["limits"]["rows"] == 10_000
    assert collector.get("/api/v1/settings")["lateness_s"] == 30.0
