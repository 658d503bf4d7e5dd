"""What other instrumentations tell, by themselves: contrib's of pika, aio-pika and Celery, FastStream's, .NET's client and
MassTransit, a wrapper of Go's client."""

from __future__ import annotations

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

ORDERS = [(0, 1, 2), (1, 2, 0), (2, 1, 0)]
"""In which three loads come, each rolled up before the next."""
PIKA: dict[str, str | int] = {"messaging.system": "rabbitmq", "messaging.destination": "events"}
LAYERS = (
    Told("outer", "shop", PRODUCER, 10, 14, attributes=PIKA),
    Told("inner", "shop", PRODUCER, 11, 12, "outer", attributes=PIKA),
    Told("heard", "mail", CONSUMER, 13, 15, "inner", attributes={**PIKA, "messaging.operation": "receive"}),
)  # fmt: skip
"""A blocking channel's publish, both of whose layers are wrapped."""


def told(
    store: DuckDBStore, spans: list[list[Told]], *, rolling: bool = False, scope: str = ""
) -> None:
    for number, step in enumerate(spans, start=1):
        request = ExportTraceServiceRequest.FromString(otlp(step))
        for group in request.resource_spans:  # contrib's names of handlings
            group.scope_spans[0].scope.name = scope
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


@pytest.mark.parametrize("order", ORDERS)
def test_two_producer_spans_of_one_publish_are_one_whichever_comes_first(
    store: DuckDBStore, order: tuple[int, ...]
) -> None:
    told(store, [[LAYERS[n]] for n in order], rolling=True)
    assert edges(store) == [
        ("exchange:||events", "service:mail", 1),  # no span names the queue
        ("service:shop", "exchange:||events", 1),
    ]
    (publish,) = rows(store, "SELECT message, operation FROM publishes")
    assert publish["operation"] == "outer"
    assert rows(store, "SELECT message FROM deliveries") == [{"message": publish["message"]}]


@pytest.mark.parametrize("order", ORDERS)
def test_a_messages_creation_and_its_sending_are_one_publish(
    store: DuckDBStore, order: tuple[int, ...]
) -> None:
    """The creation's context travels, the sending says when it ended."""
    way = {**PIKA, "messaging.rabbitmq.destination.routing_key": "k"}
    came: dict[str, str | int] = {
        "messaging.system": "rabbitmq", "messaging.operation": "process",
        "messaging.destination_publish.name": "events", "messaging.rabbitmq.destination.routing_key": "k",
    }  # fmt: skip
    steps = [
        Told("x create", "shop", PRODUCER, 10, 10.5, attributes=way),
        Told("publish", "shop", PRODUCER, 11, 12, "x create", attributes=way),
        Told("handling", "mail", CONSUMER, 13, 15, "x create", attributes=came),
    ]
    told(store, [[steps[n]] for n in order], rolling=True)
    assert edges(store) == [
        ("exchange:||events", "service:mail", 1),
        ("service:shop", "exchange:||events", 1),
    ]
    (publish,) = rows(store, 'SELECT message, operation, "end" - start AS took FROM publishes')
    assert (publish["operation"], publish["took"]) == ("x create", 2_000_000)
    assert rows(store, "SELECT message FROM deliveries") == [{"message": publish["message"]}]


@pytest.mark.parametrize(("exchange", "key", "queue"), [
    ("", "jobs", "jobs"), ("events", "a.b", None), ("", "amq.rabbitmq.reply-to.g1.x", "amq.rabbitmq.reply-to"),
])  # fmt: skip
def test_faststreams_names_are_no_queues(
    store: DuckDBStore, exchange: str, key: str, queue: str | None
) -> None:
    came: dict[str, str | int] = {
        "messaging.system": "rabbitmq", "messaging.operation": "process",
        "messaging.destination_publish.name": exchange, "messaging.rabbitmq.destination.routing_key": key,
    }  # fmt: skip
    request = ExportTraceServiceRequest.FromString(
        otlp([Told("came", "mail", CONSUMER, 13, 15, attributes=came)])
    )
    request.resource_spans[0].scope_spans[0].spans[
        0
    ].name = f"{exchange or 'default'}.{key} process"
    store.append(decode([request.SerializeToString()], 1), Position(1, 1), 1)
    assert rows(store, "SELECT exchange, queue FROM deliveries") == [{"exchange": exchange, "queue": queue}]  # fmt: skip


def test_a_message_that_came_by_an_exchange_without_a_name_leads_from_its_senders(
    store: DuckDBStore,
) -> None:
    """Spring's listener under a newer Java agent says a key alone: by another than it was sent with, a
    message came through some other exchange."""
    sent = {**PIKA, "messaging.rabbitmq.destination.routing_key": "paid"}
    came = {
        "messaging.system": "rabbitmq",
        "messaging.operation": "process",
        "messaging.destination.name": "dead",
    }
    told(store, [[
        Told("sent", "shop", PRODUCER, 10, 12, attributes=sent),
        Told("heard", "mail", CONSUMER, 13, 15, "sent", attributes=came),
    ]], rolling=True, scope="io.opentelemetry.spring-rabbit-1.0")  # fmt: skip
    assert rows(store, "SELECT exchange, queue FROM deliveries") == [{"exchange": None, "queue": None}]  # fmt: skip
    assert edges(store) == [
        ("exchange:||events", "service:mail", 1),
        ("service:shop", "exchange:||events", 1),
    ]


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


def dotnet(exchange: str, operation: str, name: str) -> dict[str, str | int]:
    return {
        "messaging.system": "rabbitmq", "messaging.operation.type": operation, "messaging.operation.name": name,
        "messaging.destination.name": exchange or "amq.default", "messaging.rabbitmq.destination.routing_key": "jobs",
    }  # fmt: skip


@pytest.mark.parametrize(("exchange", "queue"), [("events", None), ("", "jobs")])
def test_dotnets_client_names_the_exchange_that_a_message_came_by(
    store: DuckDBStore, exchange: str, queue: str | None
) -> None:
    sent, came = dotnet(exchange, "send", "publish"), dotnet(exchange, "process", "deliver")
    empty = {
        **came,
        "messaging.operation.type": "receive",
        "messaging.operation.name": "fetch (empty)",
    }
    told(store, [[
        Told("deliver", "mail", CONSUMER, 13, 15, "sent", links=("sent",), attributes=came),
        Told("fetch", "mail", CONSUMER, 16, 17, attributes=empty),
    ]], scope="RabbitMQ.Client.Subscriber")  # fmt: skip
    assert rows(store, "SELECT exchange, queue FROM deliveries") == [{"exchange": exchange, "queue": queue}]  # fmt: skip
    body = otlp([Told("sent", "shop", PRODUCER, 10, 12, attributes=sent)])
    store.append(decode([body], 1), Position(1, 9), 9)
    assert rows(store, "SELECT exchange, queue, message IS NOT NULL AS known FROM deliveries") == [
        {"exchange": exchange, "queue": queue, "known": True}
    ]


def test_what_masstransit_received_is_a_message_from_the_endpoints_queue(
    store: DuckDBStore,
) -> None:
    sent: dict[str, str | int] = {
        "messaging.system": "rabbitmq",
        "messaging.operation": "send",
        "messaging.destination.name": "submit",
    }
    came: dict[str, str | int] = {
        "messaging.operation": "receive", "messaging.destination.name": "submit",
        "messaging.masstransit.input_address": "rabbitmq://mq/submit?durable=true",
    }  # fmt: skip
    told(store, [[
        Told("send", "shop", PRODUCER, 10, 12, attributes=sent),
        Told("receive", "mail", CONSUMER, 13, 19, "send", attributes=came),
        Told("process", "mail", CONSUMER, 14, 18, "receive", attributes={"messaging.operation": "process"}),
    ]], scope="MassTransit")  # fmt: skip
    assert rows(store, "SELECT exchange, queue FROM deliveries") == [{"exchange": "submit", "queue": "submit"}]  # fmt: skip
    assert edges(store)[1][:2] == ("queue:||submit", "service:mail")


def test_a_destination_beside_its_exchange_is_the_queue(store: DuckDBStore) -> None:
    came: dict[str, str | int] = {
        "messaging.system": "rabbitmq", "messaging.operation": "deliver", "messaging.destination.name": "orders",
        "messaging.destination_publish.name": "dead", "messaging.rabbitmq.destination.routing_key": "k",
    }  # fmt: skip
    told(store, [[Told("came", "mail", CONSUMER, 13, 15, attributes=came)]])
    assert rows(store, "SELECT exchange, queue FROM deliveries") == [{"exchange": "dead", "queue": "orders"}]  # fmt: skip


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    ("key", "came", "wanted"),
    [
        ("events", {"messaging.destination.name": "events"}, ("", "events", "events")),
        ("events", {"strayline.exchange": "", "strayline.queue": "events"}, ("", "events", "events")),
        ("a.b", {"strayline.exchange": "events", "strayline.queue": "mail"}, ("events", "a.b", "mail")),
        ("a.b", {"messaging.destination.name": "mail"}, ("events", None, "mail")),
    ],
)  # fmt: skip
def test_what_pikas_publish_leaves_open_its_handling_tells(
    store: DuckDBStore, key: str, came: dict[str, str | int], wanted: tuple[Any, ...], order: tuple[int, ...]
) -> None:  # fmt: skip
    way = {"messaging.system": "rabbitmq", "messaging.rabbitmq.destination.routing_key": key}
    steps = [
        [Told("sent", "shop", PRODUCER, 10, 12, attributes=PIKA)],
        [Told("came", "mail", CONSUMER, 13, 15, "sent", attributes={**way, **came})],
    ]
    told(store, [steps[n] for n in order])
    (publish,) = rows(store, "SELECT exchange, routing_key FROM publishes")
    (delivery,) = rows(store, "SELECT exchange, queue FROM deliveries")
    assert (publish["exchange"], publish["routing_key"], delivery["queue"]) == wanted
    assert delivery["exchange"] == wanted[0]


CAME: dict[str, str | int] = {
    "messaging.system": "rabbitmq", "messaging.operation.type": "receive", "messaging.destination.name": "events:k:mail",
    "messaging.rabbitmq.destination.routing_key": "k",
}  # fmt: skip
HANDLED = {**CAME, "messaging.operation.type": "process"}
SENT = {**PIKA, "messaging.rabbitmq.destination.routing_key": "k"}
TAKEN = {
    "both linked": (
        Told("taken", "mail", 3, 13, 14, links=("sent",), attributes=CAME),
        Told("handled", "mail", CONSUMER, 15, 19, "taken", links=("sent",), attributes=HANDLED),
    ),
    "the taking is the publish's child": (
        Told("taken", "mail", CONSUMER, 13, 20, "sent", attributes=CAME),
        Told("handled", "mail", CONSUMER, 15, 19, "taken", attributes=HANDLED),
    ),
    "the handling alone is linked": (
        Told("taken", "mail", 3, 13, 14, attributes=CAME),
        Told("handled", "mail", CONSUMER, 15, 19, "taken", links=("sent",), attributes=HANDLED),
    ),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("way", TAKEN)
def test_how_a_message_was_taken_and_how_handled_is_one_delivery(
    store: DuckDBStore, way: str, order: tuple[int, ...]
) -> None:
    steps = [Told("sent", "shop", PRODUCER, 10, 12, attributes=SENT), *TAKEN[way]]
    told(store, [[steps[n]] for n in order], rolling=True)
    assert edges(store) == [
        ("exchange:||events", "queue:||mail", 1),
        ("queue:||mail", "service:mail", 1),
        ("service:shop", "exchange:||events", 1),
    ]
    (delivery,) = rows(store, "SELECT handled_end - handled_start AS took, message FROM deliveries")
    assert delivery["took"] == 4_000_000
    assert rows(store, "SELECT message FROM publishes") == [{"message": delivery["message"]}]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (1, 2, 0)])
def test_rubys_handling_names_its_message_by_a_link_alone(
    store: DuckDBStore, order: tuple[int, ...]
) -> None:
    came = {**SENT, "messaging.operation": "receive"}
    spans = [
        Told("sent", "shop", PRODUCER, 10, 12, attributes=SENT),
        Told("taken", "mail", CONSUMER, 13, 14, trace="b", attributes=came),
        Told("x process"[1:], "mail", CONSUMER, 15, 19, "taken", trace="b", links=("a:sent",)),
    ]
    told(store, [[spans[n]] for n in order])
    (delivery,) = rows(store, "SELECT exchange, routing_key, queue, handled_end - handled_start AS took, message FROM deliveries")  # fmt: skip
    (publish,) = rows(store, "SELECT message FROM publishes")
    assert delivery == {
        "exchange": "events",
        "routing_key": "k",
        "queue": None,
        "took": 4_000_000,
        **publish,
    }


def test_a_batch_that_was_taken_at_once_is_its_messages(store: DuckDBStore) -> None:
    sent = [Told(f"sent{n}", "shop", PRODUCER, 10 + n, 11 + n, attributes=SENT) for n in range(3)]
    taken = Told("taken", "mail", 3, 20, 21, links=("sent0", "sent1", "sent2"), attributes=CAME)
    handled = [
        Told(f"did{n}", "mail", CONSUMER, 22 + n, 23 + n, "taken", links=(f"sent{n}",), attributes=HANDLED)
        for n in range(3)
    ]  # fmt: skip
    told(store, [[*sent, taken, *handled]])
    found = rows(store, "SELECT DISTINCT message, queue FROM deliveries")
    assert len(found) == len(rows(store, "SELECT * FROM deliveries")) == 3
    assert {row["queue"] for row in found} == {"mail"}
