"""What the API says of whole stories: clocks, critical paths, what is missing, what differs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.collector import RunningCollector, running_collector
from tests.support.story import CLIENT, CONSUMER, PRODUCER, SERVER, START_NS, Told, send, trace_id

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
