"""What counts as an error is one thing wherever it is told: a call or message, once, that was handled
with an error or that the broker gave back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.collector import RunningCollector, running_collector
from tests.support.story import CLIENT, CONSUMER, PRODUCER, SERVER, Told, send

MESSAGE = {"messaging.system": "rabbitmq", "messaging.rabbitmq.destination.routing_key": "paid"}
SENT = {
    **MESSAGE,
    "messaging.operation.type": "send",
    "messaging.destination.name": "events:paid",
    "strayline.exchange": "events",
}
HANDLED = {
    **MESSAGE,
    "messaging.operation.type": "process",
    "messaging.destination.name": "mails",
    "strayline.queue": "mails",
}


def story(number: int, outcome: str, *, failed: bool, call_failed: bool = False) -> Iterator[Told]:
    """A request that sends a message, handled unless the broker gave it back."""
    trace, at = chr(0x40 + number), number * 1000
    back = outcome != "confirmed"
    yield Told("req", "shop", SERVER, at, at + 30, trace=trace, failed=call_failed)
    sent: dict[str, str | int] = {**SENT, "strayline.outcome": outcome}
    yield Told("pub", "shop", PRODUCER, at + 2, at + 4, "req", trace, failed=back, attributes=sent)
    yield Told("ask", "shop", CLIENT, at + 5, at + 9, "req", trace, failed=call_failed)
    if not back:
        yield Told(
            "con", "mailer", CONSUMER, at + 6, at + 9, "pub", trace, failed=failed, attributes={**HANDLED}
        )  # fmt: skip


@pytest.fixture(scope="module")
def collector() -> Iterator[RunningCollector]:
    with running_collector() as running:
        told = [
            *story(0, "confirmed", failed=False),
            *story(1, "confirmed", failed=True),
            *story(2, "confirmed", failed=False, call_failed=True),
            *story(3, "returned", failed=False),
            *story(4, "nacked", failed=False),
        ]
        send(running.otlp_http, told)
        running.settle()
        yield running


def rates(collector: RunningCollector, **params: Any) -> tuple[int, int]:
    points = collector.get("/api/v1/rates", steps=7, **params)["points"]
    return sum(p["requests"] for p in points), sum(p["errors"] for p in points)


def test_the_overview_and_the_map_count_the_same(collector: RunningCollector) -> None:
    assert rates(collector) == (10, 4)
    graph = collector.get("/api/v1/graph", level="messaging")
    of = {n["name"]: (n["calls"], n["errors"]) for n in graph["nodes"]}
    assert of == {"shop": (7, 3), "mailer": (3, 1), "events": (5, 2), "mails": (3, 1)}
    for service in ("shop", "mailer"):
        assert rates(collector, service=service) == of[service]
    services = collector.get("/api/v1/graph", level="service")["nodes"]
    assert {n["name"]: (n["calls"], n["errors"]) for n in services if n["kind"] == "service"} == {
        "shop": (7, 3),
        "mailer": (3, 1),
    }


def test_edges_end_where_their_nodes_do(collector: RunningCollector) -> None:
    graph = collector.get("/api/v1/graph", level="messaging")
    into: dict[str, int] = {}
    for edge in graph["edges"]:
        into[edge["target"].rpartition("|")[2]] = edge["errors"]
    assert (into["events"], into["mails"], into["service:mailer"]) == (2, 0, 1)


def test_a_queue_counts_the_deliveries_that_failed(collector: RunningCollector) -> None:
    (queue,) = collector.get("/api/v1/queues")["items"]
    assert (queue["deliveries"], queue["errors"]) == (3, 1)


def test_the_traces_with_errors_are_those_of_what_failed(collector: RunningCollector) -> None:
    found = collector.get("/api/v1/traces", q="has:error")["items"]
    assert sorted(int(t["trace_id"], 16) - 0x40 for t in found) == [1, 2, 3, 4]
    assert sum(t["errors"] for t in found) == 5  # spans: the failed call has two
