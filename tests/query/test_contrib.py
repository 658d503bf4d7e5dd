"""What OpenTelemetry's own instrumentations of pika, aio-pika and Celery tell, by themselves."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline_collector.decode.otlp import decode
from strayline_collector.query.graph import read_graph
from strayline_collector.query.times import BEGINNING, END
from strayline_collector.store.duckdb.roll import roll
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.story import CONSUMER, PRODUCER, Told, otlp

PIKA: dict[str, str | int] = {"messaging.system": "rabbitmq", "messaging.destination": "events"}
LAYERS = (
    Told("outer", "shop", PRODUCER, 10, 14, attributes=PIKA),
    Told("inner", "shop", PRODUCER, 11, 12, "outer", attributes=PIKA),
    Told("heard", "mail", CONSUMER, 13, 15, "inner", attributes={**PIKA, "messaging.operation": "receive"}),
)  # fmt: skip
"""A blocking channel's publish, both of whose layers are wrapped."""


def told(store: DuckDBStore, spans: list[list[Told]], *, rolling: bool = False) -> None:
    for number, step in enumerate(spans, start=1):
        request = ExportTraceServiceRequest.FromString(otlp(step))
        for group in request.resource_spans:  # contrib's names of handlings
            for span in group.scope_spans[0].spans:
                if (came := [a.value.string_value for a in span.attributes if a.key == "messaging.destination"]) and span.kind == CONSUMER:  # fmt: skip
                    span.name = f"{came[0]} receive"
        body = request.SerializeToString()
        store.append(decode([body], 1), Position(1, number), number)
        if rolling:
            with store.write() as session:
                roll(session, spans=1)


def edges(store: DuckDBStore) -> list[tuple[str, str, int]]:
    with store.read() as session:
        graph = read_graph(session, {"start_ns": BEGINNING, "end_ns": END}, "messaging")
    return sorted((e["source"], e["target"], e["calls"]) for e in graph["edges"])


def rows(store: DuckDBStore, sql: str) -> list[dict[str, Any]]:
    with store.read() as session:
        return session.rows(sql)


@pytest.mark.parametrize("rolling", [False, True])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_two_producer_spans_of_one_publish_are_one_whichever_comes_first(
    store: DuckDBStore, order: tuple[int, ...], rolling: bool
) -> None:
    told(store, [[LAYERS[n]] for n in order], rolling=rolling)
    assert edges(store) == [
        ("exchange:||events", "service:mail", 1),  # no span names the queue
        ("service:shop", "exchange:||events", 1),
    ]
    (publish,) = rows(store, "SELECT message, operation FROM publishes")
    assert publish["operation"] == "outer"
    assert rows(store, "SELECT message FROM deliveries") == [{"message": publish["message"]}]


def test_a_publish_within_anothers_span_to_elsewhere_is_its_own(store: DuckDBStore) -> None:
    audit = Told("inner", "shop", PRODUCER, 11, 12, "outer", attributes={**PIKA, "messaging.destination": "audit"})  # fmt: skip
    told(store, [[LAYERS[0], audit]])
    assert len(edges(store)) == 2


@pytest.mark.parametrize("publishes", ["", ","])
def test_the_default_exchanges_key_is_no_exchange(store: DuckDBStore, publishes: str) -> None:
    """aio-pika's says `,key` on the publish and `key` on the handling, pika's `key` on both."""
    queue = "jobs" if publishes else "amq.gen-Xa2"
    way = {**PIKA, "messaging.destination": publishes + queue}
    came = {**PIKA, "messaging.destination": queue, "messaging.operation": "receive"}
    told(store, [[
        Told("sent", "shop", PRODUCER, 10, 14, attributes=way),
        Told("heard", "work", CONSUMER, 13, 15, "sent", attributes=came),
    ]])  # fmt: skip
    assert rows(store, "SELECT exchange, routing_key FROM publishes") == [{"exchange": "", "routing_key": queue}]  # fmt: skip
    assert rows(store, "SELECT exchange, routing_key, queue FROM deliveries") == [
        {"exchange": "", "routing_key": queue, "queue": queue}
    ]


@pytest.mark.parametrize("exchange", ["", "tasks"])
def test_a_celery_task_is_a_message_and_its_retry_another(
    store: DuckDBStore, exchange: str
) -> None:
    sent: dict[str, str | int] = {
        "celery.action": "apply_async", "messaging.message.id": "t1", "messaging.destination": "bills",
        **({"celery.exchange": exchange} if exchange else {}),
    }  # fmt: skip
    run: dict[str, str | int] = {
        "celery.action": "run", "messaging.message.id": "t1", "messaging.conversation_id": "t1", "messaging.destination": "bills",
        "celery.delivery_info": f"{{'exchange': '{exchange}', 'routing_key': 'bills', 'priority': 0, 'redelivered': False}}",
    }  # fmt: skip
    told(store, [[
        Told("asked", "web", PRODUCER, 10, 12, attributes=sent),
        Told("run", "billing", CONSUMER, 20, 30, "asked", attributes=run),
        Told("again", "billing", PRODUCER, 28, 29, "run", attributes=sent),
        Told("rerun", "billing", CONSUMER, 40, 50, "again", attributes=run),
    ]])  # fmt: skip
    publishes = rows(
        store, "SELECT exchange, routing_key, message_id, correlation_id FROM publish_facts"
    )
    way = {"exchange": exchange, "routing_key": "bills"}
    assert publishes == [{**way, "message_id": None, "correlation_id": "t1"}] * 2
    deliveries = rows(store, "SELECT exchange, routing_key, queue, redelivered FROM deliveries")
    queue = None if exchange else "bills"  # of a named exchange nothing tells it
    assert deliveries == [{**way, "queue": queue, "redelivered": False}] * 2
    assert len(rows(store, "SELECT DISTINCT message FROM deliveries")) == 2
