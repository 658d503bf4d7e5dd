"""What the API says of whole stories: clocks, critical paths, what is missing, what differs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.collector import RunningCollector, running_collector
from tests.support.story import (
    CLIENT,
    CONSUMER,
    PRODUCER,
    SERVER,
    START_NS,
    Told,
    send,
    span_id,
    trace_id,
)

_series = itertools.count(1)
AMQP: dict[str, str | int] = {"messaging.system": "rabbitmq"}


@pytest.fixture(scope="module")
def collector() -> Iterator[RunningCollector]:
    with running_collector() as running:
        yield running


def told(collector: RunningCollector, *spans: Told, hosts: bool = True) -> str:
    """Sends a story of its own; gives the id of its trace ``a``."""
    series = next(_series)
    send(collector.otlp_http, spans, series=series, hosts=hosts)
    collector.settle()
    return trace_id("a", series)


def ms(span: dict[str, Any]) -> tuple[float, float]:
    return (
        (span["start_unix_nano"] - START_NS) / 1e6,
        (span["end_unix_nano"] - START_NS) / 1e6,
    )


SKEWED = (
    Told("client", "shop", CLIENT, 0, 100),
    Told("server", "stock", SERVER, 5010, 5090, "client"),
    Told("send", "stock", PRODUCER, 5020, 5030, "server", attributes=AMQP),
    Told("process", "mail", CONSUMER, -1000, -900, "send", attributes=AMQP),
)


def test_clock_bounds_annotate_raw_times_and_are_applied_on_request(
    collector: RunningCollector,
) -> None:
    trace = told(collector, *SKEWED)
    raw = collector.get(f"/api/v1/traces/{trace}")
    assert raw["clock_mode"] == "raw"
    assert {s["name"]: ms(s) for s in raw["spans"]} == {
        s.name: (s.start_ms, s.end_ms) for s in SKEWED
    }
    assert raw["clock"] == [
        {"host_a": "mail", "host_b": "stock", "min_offset_ns": 6020_000_000, "max_offset_ns": None, "consistent": True, "correction_ns": 6030_000_000},
        {"host_a": "shop", "host_b": "stock", "min_offset_ns": 4990_000_000, "max_offset_ns": 5010_000_000, "consistent": True, "correction_ns": 5000_000_000},
    ]  # fmt: skip
    corrected = collector.get(f"/api/v1/traces/{trace}", clock="corrected")
    assert corrected["clock_mode"] == "corrected"
    assert {s["name"]: ms(s) for s in corrected["spans"]} == {
        "client": (0, 100),
        "server": (10, 90),
        "send": (20, 30),
        "process": (30, 130),
    }
    waits = {s["name"]: s["queue_wait_ns"] for s in corrected["spans"]}
    assert waits["process"] == 0


def test_one_hosts_processes_share_a_clock_and_services_without_a_host_do_not(
    collector: RunningCollector,
) -> None:
    same = [Told(s.name, "shop", s.kind, s.start_ms, s.end_ms, s.parent) for s in SKEWED]
    assert collector.get(f"/api/v1/traces/{told(collector, *same)}")["clock"] == []
    nameless = told(collector, *SKEWED, hosts=False)
    assert len(collector.get(f"/api/v1/traces/{nameless}")["clock"]) == 2


def order(trace: str, at: float, work: float) -> tuple[Told, ...]:
    """A request that calls, publishes and answers; the consumer runs in a trace of its own."""
    shop = f"{trace}s"
    return (
        Told("POST", "gate", SERVER, at, at + 100, trace=trace),
        Told("call", "gate", CLIENT, at + 10, at + 60, "POST", trace=trace),
        Told("serve", "shop", SERVER, at + 15, at + 55, "call", trace=trace),
        Told("send", "shop", PRODUCER, at + 50, at + 52, "serve", trace=trace, attributes=AMQP),
        Told("mail", "mail", CONSUMER, at + 150, at + 150 + work, None, trace=shop,
             links=(f"{trace}:send",), attributes={**AMQP, "strayline.queue": "mails"}),
    )  # fmt: skip


def test_the_time_of_an_operation_adds_up_over_its_stories(collector: RunningCollector) -> None:
    for number, work in ((0, 30), (1, 50)):
        told(collector, *order(f"o{number}", 10_000 * number, work))
    answer = collector.get("/api/v1/critical_path", service="gate", operation="POST")
    assert (answer["traces"], answer["matching"], answer["truncated"]) == (2, 2, False)
    assert (answer["mean_ms"], answer["p50_ms"], answer["p95_ms"]) == (190, 180, 200)
    parts = {
        (i["service"], i["operation"], i["kind"], i["peer"], i["queue"]): i["total_ms"]
        for i in answer["items"]
    }
    assert parts == {
        ("gate", "POST", "self", None, None): 20,
        ("gate", "call", "network", "shop", None): 10,
        ("shop", "serve", "self", None, None): 70,
        ("shop", "send", "self", None, None): 4,
        ("mail", "mail", "queue_wait", "shop", "mails"): 196,
        ("mail", "mail", "self", None, None): 80,
    }
    assert abs(sum(i["share"] for i in answer["items"]) - 1) < 1e-9
    assert answer["items"][0]["kind"] == "queue_wait"
    response = collector.get("/api/v1/critical_path", service="gate", operation="POST", through="response")  # fmt: skip
    assert response["mean_ms"] == 100
    assert {i["service"] for i in response["items"]} == {"gate", "shop"}
    newest = collector.get("/api/v1/critical_path", service="gate", operation="POST", limit=1)
    assert (newest["traces"], newest["matching"], newest["mean_ms"]) == (1, 2, 200)
    assert collector.get("/api/v1/critical_path", service="nobody")["items"] == []


def test_two_spans_of_an_operation_that_share_an_id_begin_one_story(
    collector: RunningCollector,
) -> None:
    told(collector, Told("both", "twin", CLIENT, 0, 100), Told("both", "twin", SERVER, 10, 90))
    answer = collector.get("/api/v1/critical_path", service="twin")
    assert (answer["traces"], [part["total_ms"] for part in answer["items"]]) == (1, [80.0])
    assert [part["share"] for part in answer["items"]] == [1.0]


def test_what_is_named_and_never_seen_has_a_placeholder(collector: RunningCollector) -> None:
    trace = told(
        collector,
        Told("root", "gate", SERVER, 0, 100),
        Told("one", "shop", SERVER, 10, 20, "lost"),
        Told("two", "shop", SERVER, 30, 40, "lost"),
        Told("batch", "mail", CONSUMER, 50, 60, None, links=("b:other", "c:gone"), attributes=AMQP),
        Told("other", "else", PRODUCER, 0, 5, trace="b", attributes=AMQP),
    )
    answer = collector.get(f"/api/v1/traces/{trace}")
    named = {m["span_id"]: (m["named"], len(m["children"]), len(m["linked"])) for m in answer["missing"]}  # fmt: skip
    assert named == {span_id("lost"): (2, 2, 0), span_id("gone"): (1, 0, 1)}
    assert [s["name"] for s in answer["spans"]] == ["root", "one", "two", "batch"]
    assert (answer["truncated"], answer["truncated_by"]) == (False, [])


def test_a_consumer_started_within_a_request_is_said_to_have_bled(
    collector: RunningCollector,
) -> None:
    trace = told(
        collector,
        Told("first", "shop", SERVER, 0, 50),
        Told("later", "shop", CONSUMER, 900, 950, "first", links=("b:send",), attributes=AMQP),
        Told("send", "gate", PRODUCER, 880, 890, trace="b", attributes=AMQP),
    )
    answer = collector.get(f"/api/v1/traces/{trace}")
    spans = {s["name"]: s for s in answer["spans"]}
    assert (spans["later"]["context_bleed"], spans["later"]["display_parent"]) == (True, None)
    assert [p["span_id"] for p in answer["critical_path"]] == [span_id("first")]
    other = collector.get(f"/api/v1/traces/{trace_id('b', int(trace[:16], 16))}", stitch="true")
    assert [s["name"] for s in other["spans"]] == ["send", "later"]


def test_two_traces_are_compared_by_structure_durations_and_messages(
    collector: RunningCollector,
) -> None:
    def shop(trace: str, at: float, *extra: Told) -> tuple[Told, ...]:
        return (
            Told("POST", "gate", SERVER, at, at + 100, trace=trace),
            Told("send", "gate", PRODUCER, at + 80, at + 82, "POST", trace=trace, attributes=AMQP),
            *extra,
        )

    def read(name: str, trace: str, start: float, end: float) -> Told:
        return Told(name, "gate", CLIENT, start, end, "POST", trace=trace)

    mails = {**AMQP, "strayline.queue": "mails"}
    a = shop("a", 0, read("one", "a", 10, 20), read("two", "a", 30, 40), read("old", "a", 50, 60),
             Told("mail", "mail", CONSUMER, 90, 120, "send", attributes=mails))  # fmt: skip
    b = shop("b", 500, read("two", "b", 510, 525), read("one", "b", 530, 540), read("new", "b", 545, 550))  # fmt: skip
    trace = told(collector, *a, *b)
    other = trace_id("b", int(trace[:16], 16))
    answer = collector.get(f"/api/v1/traces/{trace}/compare/{other}")
    assert [(c["change"], c["operation"], c["depth"]) for c in answer["calls"]] == [
        ("same", "POST", 0),
        ("reordered", "two", 1),
        ("same", "one", 1),
        ("added", "new", 1),
        ("missing", "old", 1),
        ("same", "send", 1),
        ("missing", "mail", 2),
    ]
    assert (answer["added"], answer["missing"], answer["reordered"]) == (1, 2, 1)
    two = next(c for c in answer["calls"] if c["operation"] == "two")
    assert (two["a_ms"], two["b_ms"], two["delta_ms"]) == (10, 15, 5)
    assert (answer["a"]["duration_ms"], answer["b"]["duration_ms"]) == (120, 100)
    assert answer["queues"] == [{"queue": "mails", "a_deliveries": 1, "b_deliveries": 0}]
    assert {(o["operation"], o["a_calls"], o["b_calls"]) for o in answer["operations"]} == {
        ("POST", 1, 1), ("one", 1, 1), ("two", 1, 1), ("old", 1, 0), ("new", 0, 1), ("send", 1, 1), ("mail", 1, 0),
    }  # fmt: skip
    same = collector.get(f"/api/v1/traces/{trace}/compare/{trace}")
    assert {c["change"] for c in same["calls"]} == {"same"}


def test_two_ranges_are_compared_by_operation_and_edge(collector: RunningCollector) -> None:
    def served(trace: str, at: float, took: float, names: tuple[str, ...]) -> list[Told]:
        return [
            Told(f"{name}{n}", "ranged", SERVER, at + n, at + n + took, trace=trace, attributes={"http.request.method": "GET", "http.route": f"/{name}"})
            for name in names
            for n in range(12)
        ]  # fmt: skip

    early, late = 5_000_000, 6_000_000
    spans = [*served("r", early, 10, ("keep", "gone")), *served("s", late, 30, ("keep", "new"))]
    told(collector, *(Told("GET", s.service, s.kind, s.start_ms, s.end_ms, trace=f"{s.trace}{i}", attributes=s.attributes) for i, s in enumerate(spans)))  # fmt: skip

    def at(milliseconds: float) -> str:
        return str(START_NS + round(milliseconds * 1e6))

    answer = collector.get(
        "/api/v1/compare", start_a=at(early - 1), end_a=at(early + 900), start_b=at(late - 1),
        end_b=at(late + 900), service="ranged",
    )  # fmt: skip
    found = {o["operation"]: (o["change"], o["a_calls"], o["b_calls"], o["a_p95_ms"], o["b_p95_ms"]) for o in answer["operations"]}  # fmt: skip
    assert found == {
        "GET /keep": ("slower", 12, 12, 10, 30),
        "GET /gone": ("gone", 12, 0, 10, None),
        "GET /new": ("new", 0, 12, None, 30),
    }


def test_two_ranges_are_compared_by_their_calls_and_messages(collector: RunningCollector) -> None:
    get: dict[str, str | int] = {"http.request.method": "GET"}

    def asks(at: float, took: float, queue: str) -> list[Told]:
        """Twelve calls, each with a message to the queue."""
        way: dict[str, str | int] = {
            **AMQP,
            "strayline.exchange": "paired",
            "messaging.rabbitmq.destination.routing_key": queue,
        }
        return [
            span
            for n in range(12)
            for trace in (f"p{n}{queue}",)
            for span in (
                Told("call", "asking", CLIENT, at + n, at + n + took, trace=trace, attributes=get),
                Told("serve", "asked", SERVER, at + n, at + n + took, "call", trace, attributes=get),
                Told("send", "asked", PRODUCER, at + n, at + n + 1, "serve", trace, attributes=way),
                Told("take", "taking", CONSUMER, at + n + 2, at + n + 3, "send", trace, attributes={**way, "strayline.queue": queue}),
            )
        ]  # fmt: skip

    early, late = 7_000_000, 8_000_000
    told(collector, *asks(early, 10, "old"), *asks(late, 30, "new"))
    at = {
        name: str(START_NS + round(ms * 1e6))
        for name, ms in {"start_a": early - 1, "end_a": early + 900, "start_b": late - 1, "end_b": late + 900}.items()
    }  # fmt: skip
    answer = collector.get("/api/v1/compare", **at)
    found = {
        tuple(e[end].rpartition("|" if "|" in e[end] else ":")[2] for end in ("source", "target")): (
            e["change"], e["a_calls"], e["b_calls"],
        )
        for e in answer["edges"]
    }  # fmt: skip
    assert found == {
        ("asking", "asked"): ("slower", 12, 12),
        ("asked", "paired"): ("same", 12, 12),
        ("paired", "old"): ("gone", 12, 0),
        ("old", "taking"): ("gone", 12, 0),
        ("paired", "new"): ("new", 0, 12),
        ("new", "taking"): ("new", 0, 12),
    }


def test_the_time_of_calls_is_split_by_pair_of_services(collector: RunningCollector) -> None:
    get: dict[str, str | int] = {
        "http.request.method": "GET",
        "server.address": "stock",
        "server.port": 80,
    }
    away: dict[str, str | int] = {"http.request.method": "GET", "server.address": "away"}
    told(
        collector,
        Told("c1", "split", CLIENT, 0, 100, attributes=get),
        Told("s1", "stockd", SERVER, 5010, 5070, "c1", attributes={"http.request.method": "GET"}),
        Told("c2", "split", CLIENT, 200, 240, attributes=get),
        Told("s2", "stockd", SERVER, 5210, 5300, "c2", attributes={"http.request.method": "GET"}),
        Told("c3", "split", CLIENT, 300, 320, failed=True, attributes=get),
        Told("c4", "split", CLIENT, 400, 407, attributes=away),
    )
    items = collector.get("/api/v1/latency", client="split")["items"]
    names = (
        "server", "peer", "protocol", "calls", "explained_calls", "outlasting_calls", "errors",
        "total_ms", "server_total_ms", "network_total_ms", "unexplained_total_ms",
    )  # fmt: skip
    assert [tuple(item[name] for name in names) for item in items] == [
        ("stockd", None, "http", 3, 2, 1, 1, 160, 100, 40, 20),
        (None, "away", "http", 1, 0, 0, 0, 7, 0, 0, 7),
    ]
    assert collector.get("/api/v1/latency", server="stockd")["items"][0]["calls"] == 3
