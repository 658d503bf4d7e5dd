"""``GET /api/v1/stream``: findings and rates as they come, resumed where a connection broke."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from strayline_collector.errors import BadInput
from strayline_collector.query.stream import Place
from tests.support.collector import RunningCollector, running_collector


@pytest.fixture(scope="module")
def collector() -> Iterator[RunningCollector]:
    with running_collector() as found:
        yield found


Event = tuple[str, str, dict[str, Any]]
"""Id, name, data."""


@contextmanager
def following(collector: RunningCollector, last: str | None = None) -> Iterator[Iterator[Event]]:
    headers = {} if last is None else {"last-event-id": last}
    url = f"http://{collector.api}/api/v1/stream"
    with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events(answer.iter_lines())


def events(lines: Iterator[str]) -> Iterator[Event]:
    parts: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            parts[name] = value
        elif parts:
            yield parts.get("id", ""), parts.get("event", ""), json.loads(parts.get("data", "null"))
            parts = {}


def findings(stream: Iterator[Event]) -> Iterator[Event]:
    return (event for event in stream if event[1].startswith("finding."))


def test_findings_are_told_when_they_come_and_change_and_again_from_any_place(
    collector: RunningCollector,
) -> None:
    with following(collector) as stream:
        start, name, data = next(stream)
        assert (name, data) == ("", None)
        collector.replay("b_misroute")
        collector.settle()
        told = [next(findings(stream))]
        assert told[0][1] == "finding.new"
        assert told[0][2]["kind"] == "misrouted"
        assert "messages" not in told[0][2]
        identity = told[0][2]["id"]
        httpx.patch(
            f"http://{collector.api}/api/v1/findings/{identity}", json={"triage": "acknowledged"}
        )
        changed = next(e for e in findings(stream) if e[2]["triage"] == "acknowledged")
        assert changed[1] == "finding.updated"
    with following(collector, start) as again:
        next(again)
        missed = next(findings(again))
        assert (missed[2]["id"], missed[2]["triage"]) == (identity, "acknowledged")
    with following(collector, changed[0]) as nothing_missed:
        next(nothing_missed)
        assert next(nothing_missed)[1] == "rates"


def test_rates_are_of_the_running_collector(collector: RunningCollector) -> None:
    with following(collector) as stream:
        rates = next(data for _, name, data in stream if name == "rates")
    assert set(rates) == {
        "spans",
        "traces",
        "accepted_spans",
        "spans_per_s",
        "watermark",
        "problem",
    }


def test_a_place_that_no_event_bore_is_refused(collector: RunningCollector) -> None:
    answer = httpx.get(
        f"http://{collector.api}/api/v1/stream", headers={"last-event-id": "yesterday"}
    )
    assert answer.status_code == 400
    assert "Last-Event-ID yesterday" in answer.json()["detail"]
    assert Place.read("17.fnd_0123456789abcdef") > Place.read("17.")
    with pytest.raises(BadInput):
        Place.read("17.fnd_0123456789abcdef; drop")


def test_a_page_of_another_site_may_not_listen(collector: RunningCollector) -> None:
    answer = httpx.get(
        f"http://{collector.api}/api/v1/stream", headers={"origin": "http://elsewhere.example"}
    )
    assert answer.status_code == 403


def test_one_too_many_is_asked_to_wait(
    collector: RunningCollector,
) -> None:
    url = f"http://{collector.api}/api/v1/stream"
    with httpx.Client(timeout=30, limits=httpx.Limits(max_connections=40)) as client:
        open_ones = [client.send(client.build_request("GET", url), stream=True) for _ in range(33)]
        try:
            assert [a.status_code for a in open_ones].count(503) == 1
            assert open_ones[-1].headers["retry-after"] == "5"
        finally:
            for answer in open_ones:
                answer.close()


def test_a_collector_that_stops_ends_its_streams_without_a_word() -> None:
    with running_collector() as own, following(own) as stream:
        next(stream)
        own.process.send_signal(signal.SIGTERM)
        assert all(name in ("rates", "") for _, name, _ in stream)
        assert own.process.wait(timeout=30) == 0
