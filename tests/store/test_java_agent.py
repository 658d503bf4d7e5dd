"""What the OpenTelemetry Java agent says of messages, as recorded from agents 1.33, 2.20 and 2.33, and Spring itself."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline_collector.decode.otlp import decode
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position

CLIENT, SPRING = "io.opentelemetry.rabbitmq-2.7", "io.opentelemetry.spring-rabbit-1.0"
BOOT = "org.springframework.boot"


def span(scope: str, kind: int, name: str, number: int, service: str, parent: int = 0, **attributes: str | None) -> bytes:  # fmt: skip
    """Started at ``number``, which is its id eight times; an attribute of None has no value."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add()
    for key, value in {"service.name": service, "service.instance.id": service}.items():
        spans.resource.attributes.add(key=key).value.string_value = value
    told = spans.scope_spans.add()
    told.scope.name = scope
    one = told.spans.add(
        name=name, kind=kind, trace_id=b"\x01" * 16, span_id=bytes([number] * 8),
        start_time_unix_nano=number, end_time_unix_nano=number + 1,
    )  # fmt: skip
    if parent:
        one.parent_span_id = bytes([parent] * 8)
    system = {} if scope == BOOT else {"messaging.system": "rabbitmq"}
    for key, value in {**system, **attributes}.items():
        item = one.attributes.add(key=key.replace("__", ".")).value
        if value is not None:
            item.string_value = value
    return request.SerializeToString()


def publish(number: int, exchange: str, key: str = "", parent: int = 0, service: str = "shop") -> bytes:  # fmt: skip
    return span(
        CLIENT, 4, f"{exchange} publish", number, service, parent, messaging__operation="publish",
        messaging__destination__name=exchange, **({"messaging.rabbitmq.destination.routing_key": key} if key else {}),
    )  # fmt: skip


def client(number: int, queue: str, exchange: str, key: str = "", parent: int = 1, service: str = "billing") -> bytes:  # fmt: skip
    return span(
        CLIENT, 5, f"{queue} process", number, service, parent, messaging__operation="process",
        messaging__destination__name=exchange, **({"messaging.rabbitmq.destination.routing_key": key} if key else {}),
    )  # fmt: skip


def listener(number: int, key: str | None, parent: int = 1, service: str = "billing") -> bytes:
    return span(
        SPRING, 5, f"{key or ''} process", number, service, parent,
        messaging__operation="process", messaging__destination__name=key,
    )  # fmt: skip


def deliveries(store: DuckDBStore, *loads: bytes) -> list[tuple[Any, ...]]:
    for offset, body in enumerate(loads, start=1):
        store.append(decode([body], 1), Position(1, offset), 1)
    with store.read() as session:
        rows = session.rows(
            "SELECT span_id, queue, exchange, routing_key, received FROM deliveries ORDER BY handled_start"
        )
    return [
        (int(r["span_id"][:2], 16), r["queue"], r["exchange"], r["routing_key"], r["received"])
        for r in rows
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_under_spring_handing_over_and_handling_are_one_delivery(
    store: DuckDBStore, order: tuple[int, ...]
) -> None:
    told = [publish(1, "ev", "paid"), client(2, "bills", "ev", "paid"), listener(3, "paid")]
    found = deliveries(store, *(told[place] for place in order))
    assert found == [(3, "bills", "ev", "paid", 2)]


@pytest.mark.parametrize("reverse", [False, True])
def test_each_listener_has_the_handing_over_of_its_place(store: DuckDBStore, reverse: bool) -> None:
    told = [
        publish(1, "ev", "paid"),
        client(2, "bills", "ev", "paid"),
        listener(3, "paid"),
        client(4, "audit", "ev", "paid"),
        listener(5, "paid"),
    ]
    found = deliveries(store, *(reversed(told) if reverse else told))
    assert found == [(3, "bills", "ev", "paid", 2), (5, "audit", "ev", "paid", 4)]


BILLS, AUDIT = "bills", "audit"


@pytest.mark.parametrize("order", list(itertools.permutations(range(5)))[::37])
@pytest.mark.parametrize(
    ("steps", "queues"),
    [
        ((BILLS, AUDIT, None, None), (None, None)),  # either may have run first
        ((BILLS, None, AUDIT, None), (BILLS, AUDIT)),
        ((BILLS, None, BILLS, None), (BILLS, BILLS)),  # given back
        ((BILLS, None, None, None), (BILLS, BILLS, BILLS)),  # tried again by the listener itself
        ((BILLS, None, None, AUDIT), (BILLS, BILLS)),
        ((BILLS, AUDIT, None), (None,)),
        ((BILLS, BILLS, None, None), (BILLS, BILLS)),
    ],
)
def test_a_listener_has_the_queue_that_is_surely_its_own(
    store: DuckDBStore, steps: tuple[str | None, ...], queues: tuple[str | None, ...], order: tuple[int, ...]
) -> None:  # fmt: skip
    """A name hands the message over from that queue, none is a listener's span."""
    told = [publish(1, "ev", "paid")] + [
        listener(at, "paid") if queue is None else client(at, queue, "ev", "paid")
        for at, queue in enumerate(steps, start=2)
    ]
    found = deliveries(store, *(told[place] for place in order if place < len(told)))
    assert [(row[1], row[2], row[3]) for row in found] == [(name, "ev", "paid") for name in queues]


def test_another_process_has_a_delivery_of_its_own(store: DuckDBStore) -> None:
    told = [
        publish(1, "fan"),
        client(2, "bills", "fan"),
        listener(3, None),
        client(4, "mail", "fan", service="post"),
    ]
    assert deliveries(store, *told) == [(3, "bills", "fan", "", 2), (4, "mail", "fan", "", 4)]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_listener_alone_names_its_queue_only_behind_the_default_exchange(
    store: DuckDBStore, reverse: bool
) -> None:
    told = [
        publish(1, "<default>", "jobs"),
        listener(2, "jobs"),
        publish(3, "ev", "paid"),
        listener(4, "paid", 3),
        listener(5, "paid.again", 3),
        listener(6, "unheard", 99),
        publish(7, "<default>", "amq.rabbitmq.reply-to.g1.token"),
        listener(8, "amq.rabbitmq.reply-to.g1.token", 7),
    ]
    assert deliveries(store, *(reversed(told) if reverse else told)) == [
        (2, "jobs", "", "jobs", 2),
        (4, None, "ev", "paid", 4),
        (5, None, None, "paid.again", 5),
        (6, None, None, "unheard", 6),
        (8, "amq.rabbitmq.reply-to", "", "amq.rabbitmq.reply-to.g1.token", 8),
    ]


@pytest.mark.parametrize(
    ("queue", "exchange", "told"),
    [
        ("orders", "orders", "orders"),
        ("bills", "Shop:OrderPaid", "bills"),
        ("<generated>", "ev", "*"),
    ],
)
def test_the_clients_span_names_the_queue_whatever_its_exchange_is_called(
    store: DuckDBStore, queue: str, exchange: str, told: str
) -> None:
    found = deliveries(store, publish(1, exchange), client(2, queue, exchange))
    assert found == [(2, told, exchange, "", 2)]
    with store.read() as session:
        assert session.rows("SELECT routing_key FROM publishes") == [{"routing_key": ""}]


@pytest.mark.parametrize(
    ("exchange", "key"), [("ev", "paid"), ("paid", "paid"), ("fan", None), (None, "bills")]
)
def test_springs_own_observations_are_messages(
    store: DuckDBStore, exchange: str | None, key: str | None
) -> None:
    """Without the agent, by Micrometer: what is empty has no value."""
    sent = span(
        BOOT, 4, f"{exchange or ''}/{key or ''} send", 1, "shop", spring__rabbit__template__name="rabbitTemplate",
        messaging__destination__name=exchange, messaging__rabbitmq__destination__routing_key=key,
    )  # fmt: skip
    taken = span(
        BOOT, 5, "bills receive", 2, "billing", 1, spring__rabbit__listener__id="x",
        messaging__destination__name="bills",
    )  # fmt: skip
    assert deliveries(store, sent, taken) == [(2, "bills", exchange or "", key or "", 2)]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_publish_went_to_the_broker_that_handed_its_message_out(
    store: DuckDBStore, reverse: bool
) -> None:
    taken = span(
        "strayline", 5, "process q", 2, "billing", 1, messaging__operation__type="process",
        strayline__broker="rabbit@shop", strayline__vhost="/", strayline__queue="q", strayline__exchange="ev",
    )  # fmt: skip
    told = [publish(1, "ev", "paid"), taken]
    deliveries(store, *(reversed(told) if reverse else told))
    with store.read() as session:
        rows = session.rows("SELECT broker, vhost FROM publishes")
    assert rows == [{"broker": "rabbit@shop", "vhost": "/"}]


def test_a_basic_get_has_its_publishs_key(store: DuckDBStore) -> None:
    taken = span(
        CLIENT, 5, "jobs receive", 2, "billing", 1, messaging__operation="receive",
        messaging__destination__name="<default>",
    )  # fmt: skip
    found = deliveries(store, publish(1, "<default>", "jobs"), taken)
    assert found == [(2, "jobs", "", "jobs", 2)]


def test_an_answer_into_a_queue_that_the_broker_named_needs_no_correlation_id(
    store: DuckDBStore,
) -> None:
    told = [
        publish(1, "<default>", "calc"),
        client(2, "calc", "<default>", "calc", service="calc"),
        publish(3, "<default>", "amq.gen-x", 2, service="calc"),
        client(4, "<generated>", "<default>", "amq.gen-x", 3, service="shop"),
    ]
    deliveries(store, *told)
    with store.read() as session:
        rows = session.rows("SELECT reply_to FROM publishes ORDER BY start")
    assert [row["reply_to"] for row in rows] == ["amq.gen-x", None]
