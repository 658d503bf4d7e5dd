"""Guesses of lost causes over the API, and in recordings whose contexts were cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from strayline_collector.query.infer import Ends, read_ends
from strayline_collector.trace.infer import Proposal, infer
from strayline_collector.trace.stitch import SpanKey
from tests.support.collector import RunningCollector, running_collector
from tests.support.cut import Cut, cut, overlaid, recorded, stored
from tests.support.story import CLIENT, CONSUMER, PRODUCER, SERVER, Told, send, span_id, trace_id

HTTP: dict[str, str | int] = {"http.request.method": "GET"}
AMQP: dict[str, str | int] = {
    "messaging.system": "rabbitmq", "strayline.exchange": "orders", "messaging.rabbitmq.destination.routing_key": "paid",
}  # fmt: skip


@pytest.fixture(scope="module")
def collector() -> Iterator[RunningCollector]:
    with running_collector() as running:
        yield running


BROKEN = (
    Told("root", "gate", SERVER, 0, 200, attributes={**HTTP, "url.path": "/orders"}),
    Told("call", "gate", CLIENT, 10, 60, "root", attributes={**HTTP, "url.full": "http://stock/items/7?x=1"}),
    Told("serve", "stock", SERVER, 12, 58, trace="b", attributes={**HTTP, "url.path": "/items/7"}),
    Told("send", "stock", PRODUCER, 20, 22, "serve", trace="b", attributes={**AMQP, "messaging.message.id": "m-1"}),
    Told("handle", "mail", CONSUMER, 30, 40, trace="c",
         attributes={**AMQP, "strayline.queue": "mails", "messaging.message.id": "m-1"}),
)  # fmt: skip


def inferred(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["child"]["name"], one["parent"]["name"]) for one in answer["inferred"]]


def test_guesses_stand_apart_from_what_spans_say(collector: RunningCollector) -> None:
    send(collector.otlp_http, BROKEN)
    collector.settle()
    graph = collector.get("/api/v1/graph")
    plain = collector.get(f"/api/v1/traces/{trace_id('b')}", stitch="true")
    assert plain["inferred"] == []
    asked = collector.get(f"/api/v1/traces/{trace_id('b')}", stitch="true", infer="true")
    assert sorted(inferred(asked)) == [("handle", "send"), ("serve", "call")]
    assert {**asked, "inferred": []} == plain
    assert collector.get("/api/v1/graph") == graph
    one = next(i for i in asked["inferred"] if i["child"]["name"] == "serve")
    assert one["parent"]["trace_id"] == trace_id("a")
    assert one["parent"]["span_id"] == span_id("call")
    assert (one["child"]["service"], one["parent"]["service"]) == ("stock", "gate")
    assert one["probability"] > 0.8
    assert {"kind": "same", "text": "path /items/7"} in one["evidence"]
    above = collector.get(f"/api/v1/traces/{trace_id('a')}", infer="true")
    assert inferred(above) == [("serve", "call")]


def test_whole_stories_have_no_guesses(collector: RunningCollector) -> None:
    collector.replay("a_healthy_proto")
    collector.settle()
    traces = collector.get("/api/v1/traces", q='operation="POST"', limit=3)["items"]
    assert traces
    for trace in traces:
        path = f"/api/v1/traces/{trace['trace_id']}"
        assert collector.get(path, stitch="true", infer="true")["inferred"] == []


def guessed(given: Cut, shuffle_seed: int | None = None) -> tuple[Ends, list[Proposal]]:
    store = stored(given.spans, shuffle_seed=shuffle_seed)
    starts = [span["start_ns"] for span in given.spans]
    with store.read() as session:
        ends = read_ends(session, min(starts), max(starts))
    store.close()
    return ends, infer(ends.orphans, ends.causes, ends.known)


def test_cut_recordings_are_put_together_again() -> None:
    given = cut(overlaid(recorded("a_healthy_proto"), 1), 0.3)
    ends, found = guessed(given)
    orphans = {end.span.key for end in ends.orphans}
    names = {SpanKey(span["trace_id"], span["span_id"]): span["name"] for span in given.spans}
    # requests and replies over AMQP are told by correlation id and address: no guess is needed
    told = {names[child] for child in given.causes.keys() - orphans}
    assert told == {"inventory_queue process", "amq.rabbitmq.reply-to process"}
    causes = {child: cause for child, cause in given.causes.items() if child in orphans}
    assert len(orphans) == len(causes) + 200  # POST /orders is asked by nobody here
    right = sum(causes.get(one.child) == one.parent for one in found)
    assert right / len(causes) > 0.97
    assert right / len(found) > 0.98
    assert guessed(given, shuffle_seed=5) == (ends, found)
