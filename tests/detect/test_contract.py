"""Misrouted by contract: rule by rule, and the detector against a plain oracle of the definition."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.contract.asyncapi import read_contract
from strayline_collector.contract.model import Contract
from strayline_collector.detect import detectors
from strayline_collector.detect.contract import judge
from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.support.rounds import rounds

HEAD = "asyncapi: 3.0.0\ninfo: {title: The shop, version: '1'}\n"
SYSTEM = HEAD + """
channels:
  created:
    address: order.created
    bindings: {amqp: {is: routingKey, exchange: {name: events}}}
    messages: {a: {$ref: '#/components/messages/created'}}
  paid:
    address: order.paid
    bindings: {amqp: {is: routingKey, exchange: {name: events}}}
    messages: {a: {$ref: '#/components/messages/paid'}}
  shared:
    address: shared
    bindings: {amqp: {is: routingKey, exchange: {name: events}}}
    messages: {a: {$ref: '#/components/messages/red'}, b: {$ref: '#/components/messages/blue'}}
  billing:
    address: billing
    bindings: {amqp: {is: queue}}
    messages: {a: {$ref: '#/components/messages/created'}, b: {$ref: '#/components/messages/red'}}
  shipping:
    address: shipping
    bindings: {amqp: {is: queue}}
    messages: {a: {$ref: '#/components/messages/paid'}}
operations:
  red: {action: send, channel: {$ref: '#/channels/shared'}, messages: [{$ref: '#/channels/shared/messages/a'}], x-strayline-operation: send red}
  blue: {action: send, channel: {$ref: '#/channels/shared'}, messages: [{$ref: '#/channels/shared/messages/b'}], x-strayline-operation: send blue}
components:
  messages:
    created: {bindings: {amqp: {messageType: order.created}}}
    paid: {}
    red: {}
    blue: {}
"""  # fmt: skip
ORDERS = (
    HEAD
    + """
x-strayline-service: orders
channels:
  created:
    address: order.created
    bindings: {amqp: {is: routingKey, exchange: {name: events}}}
    messages: {created: {}}
operations:
  place: {action: send, channel: {$ref: '#/channels/created'}}
"""
)
BILLING = (
    HEAD
    + """
x-strayline-service: billing
channels:
  billing:
    address: billing
    bindings: {amqp: {is: queue}}
    messages: {created: {}}
operations:
  bill: {action: receive, channel: {$ref: '#/channels/billing'}}
"""
)


def contract(path: Path, *texts: str) -> Contract:
    files = [path / f"{i}.yaml" for i in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    return read_contract(files)


def way(exchange: str, key: str, queue: str, **more: Any) -> dict[str, Any]:
    return {"key": "k", "environment": None, "broker": "b", "vhost": "/", "queue": queue, "exchange": exchange, "routing_key": key,
            "type": None, "operation": None, "source": "shim", "producer_service": "orders", "consumer_service": "billing", **more}  # fmt: skip


SERVICES = frozenset({"orders", "billing"})


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        (way("events", "order.created", "billing"), None),
        (way("events", "order.created", "billing", type="order.created"), None),
        (way("events", "order.created", "shipping"), "queue"),
        (way("events", "order.created", "elsewhere"), "queue"),  # a queue that no document names
        (way("events", "order.paid", "billing", type="order.created"), "place"),  # its type tells it
        (way("events", "order.cancelled", "billing"), "queue"),  # nothing that the contract knows
        (way("events", "order.cancelled", "elsewhere"), None),  # not the contract's business
        (way("events", "order.created", "billing", type="surprise"), "queue"),
        (way("events", "order.cancelled", "billing", source="spans"), None),  # it may be of a type that nobody recorded
        (way("events", "order.paid", "shipping", source="spans"), None),
        (way("events", "order.paid", "billing", source="spans"), "queue"),
        (way("events", "shared", "billing", operation="send red"), None),
        (way("events", "shared", "billing", operation="send blue"), "queue"),
        (way("events", "shared", "billing", operation="other"), None),  # red or blue: nobody knows
        (way("", "billing", "billing", type="order.created"), "place"),
    ],
)  # fmt: skip
def test_of_a_whole_system(tmp_path: Path, said: dict[str, Any], rule: str | None) -> None:
    found = judge(contract(tmp_path, SYSTEM), said, SERVICES)
    assert (found.rule if found else None) == rule


def test_the_breach_says_what_was_expected_and_what_comes_nearest(tmp_path: Path) -> None:
    found = judge(contract(tmp_path, SYSTEM), way("events", "order.creatd", "billing"), SERVICES)
    assert found is not None
    assert (found.rule, found.nearest) == ("queue", "events / order.created")
    assert found.queue_messages == ("created", "red")
    stray = judge(contract(tmp_path, SYSTEM), way("events", "order.paid", "billing"), SERVICES)
    assert stray is not None
    assert (stray.message, stray.expected_queues) == ("paid", ("shipping",))


@pytest.mark.parametrize(
    ("texts", "said", "rule"),
    [
        ((ORDERS,), way("events", "order.created", "anywhere"), None),  # says nothing of queues
        ((ORDERS,), way("events", "order.created", "anywhere", producer_service="fraud"), "sender"),
        ((ORDERS,), way("events", "order.paid", "anywhere", producer_service="fraud"), None),
        ((BILLING,), way("events", "order.created", "shipping", consumer_service="x"), None),  # not its producer's contract
        ((BILLING,), way("events", "order.created", "billing", consumer_service="fraud"), "receiver"),
        ((BILLING,), way("events", "order.created", "billing", producer_service="any"), None),
        ((ORDERS, BILLING), way("events", "order.created", "billing"), None),
        ((ORDERS, BILLING), way("events", "order.created", "shipping", consumer_service="shipping"), "queue"),
        ((ORDERS, SYSTEM), way("events", "order.created", "billing", producer_service="other"), "sender"),
    ],
)  # fmt: skip
def test_of_single_applications(
    tmp_path: Path, texts: tuple[str, ...], said: dict[str, Any], rule: str | None
) -> None:
    found = judge(contract(tmp_path, *texts), said, SERVICES)
    assert (found.rule if found else None) == rule


def test_a_title_binds_once_a_service_of_that_name_was_seen(tmp_path: Path) -> None:
    named = contract(
        tmp_path, ORDERS.replace("x-strayline-service: orders", "").replace("The shop", "orders")
    )
    stranger = way("events", "order.created", "q", producer_service="fraud")
    assert judge(named, stranger, frozenset({"fraud"})) is None
    found = judge(named, stranger, frozenset({"fraud", "orders"}))
    assert found is not None
    assert found.rule == "sender"


# --- the detector: SQL joined with the pure function, against messages judged one by one


@st.composite
def traffic(draw: Any) -> list[dict[str, Any]]:
    """Messages with up to two deliveries each; a publish may never be seen, a delivery have died."""
    found: list[dict[str, Any]] = []
    for n in range(draw(st.integers(1, 8))):
        publish = {
            "n": n,
            "key": draw(st.sampled_from(["order.created", "order.paid", "order.lost", "shared"])),
            "type": draw(st.sampled_from([None, None, "order.created", "surprise"])),
            "operation": draw(st.sampled_from([None, "send red", "send blue"])),
            "source": draw(st.sampled_from(["shim", "spans"])),
            "seen": draw(st.integers(0, 9)) > 0,
        }
        queues = draw(
            st.lists(st.sampled_from(["billing", "shipping", "elsewhere"]), max_size=2, unique=True)
        )
        found.append({**publish, "queues": [(q, draw(st.integers(0, 5)) == 0) for q in queues]})
    return found


def plain(said: Contract, messages: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """The definition, message by message: (message, queue) of every breach."""
    found: set[tuple[str, str]] = set()
    for m in messages:
        # what the contract could take it for, where its facts leave that open
        typed, key, seen = m["type"] if m["seen"] else None, m["key"], m["seen"]
        known_type = typed is not None or (seen and m["source"] == "shim")
        operation = m["operation"] if seen else None
        if typed == "order.created" or (typed is None and key == "order.created"):
            kinds = {"created"}
        elif typed is None and not known_type:
            # it may be of the type `order.created`, which was not recorded
            kinds = {"order.paid": {"paid"}, "shared": {"red", "blue"}}.get(key, {None, "created"})
        else:
            kinds = {"order.paid": {"paid"}, "shared": {"red", "blue"}}.get(key, {None})
        if kinds == {"red", "blue"} and operation is not None:
            kinds = {operation.removeprefix("send ")}
        for queue, died in m["queues"]:
            if died:
                continue
            lists = {"billing": {"created", "red"}, "shipping": {"paid"}}.get(queue)
            if lists is not None and not kinds & lists:
                found.add((f"m{m['n']}", queue))
            elif lists is None and len(kinds) == 1 and kinds <= {"created", "paid", "red"}:
                found.add((f"m{m['n']}", queue))  # `blue` belongs into no queue
            elif lists is not None and kinds == {"created"} and typed and key != "order.created":
                found.add((f"m{m['n']}", queue))  # sent astray
            elif (
                lists is None
                and kinds == {None}
                and key in ("order.created", "order.paid", "shared")
            ):
                found.add((f"m{m['n']}", queue))  # an unlisted kind at a place of the contract
    return found


def rows_of(m: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    trace, span = f"{m['n']:032x}", f"{m['n']:016x}"
    common = {
        "message": f"m{m['n']}",
        "broker": "b",
        "vhost": "/",
        "exchange": "events",
        "routing_key": m["key"],
        "trace_id": trace,
    }
    publish = {**common, "source": m["source"], "type": m["type"], "service": "orders", "span_id": span, "operation": m["operation"],
               "message_id": f"m{m['n']}", "start_ns": m["n"], "end_ns": m["n"]}  # fmt: skip
    deliveries = [
        {**common, "source": m["source"], "service": "taker", "span_id": f"{m['n'] * 10 + i + 1000:016x}", "queue": queue, "message_id": f"m{m['n']}",
         "publish_trace_id": trace, "publish_span_id": span, "received_ns": m["n"] + 100, "death": '["x|rejected|1||"]' if died else None}
        for i, (queue, died) in enumerate(m["queues"])
    ]  # fmt: skip
    return [
        *([("publish_facts", publish)] if m["seen"] else []),
        *(("delivery_facts", d) for d in deliveries),
    ]


def breached(store: DuckDBStore) -> set[tuple[str, str]]:
    with store.read() as session:
        rows = session.rows(
            "SELECT message_id, queue FROM verdicts WHERE verdict = 'contract' AND role = 'strayed'"
        )
    return {(r["message_id"], r["queue"]) for r in rows}


def insert(store: DuckDBStore, batch: int, rows: list[tuple[str, dict[str, Any]]]) -> None:
    with store.write() as session:
        session.execute(
            "INSERT INTO loaded VALUES ($batch, 1, $batch, 1, 0, 0, NULL)", {"batch": batch}
        )
        for table, row in rows:
            session.register(
                "row_in", pa.Table.from_pylist([{**row, "batch": batch, "first_batch": batch}])
            )
            session.execute(f"INSERT INTO {table} BY NAME SELECT * FROM row_in")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    return contract(tmp_path_factory.mktemp("contract"), SYSTEM)


@given(messages=traffic(), seed=st.integers(0, 1000))
@settings(max_examples=rounds(6), deadline=None)
def test_the_detector_is_the_definition_in_whatever_order_facts_come(
    system: Contract, messages: list[dict[str, Any]], seed: int
) -> None:
    rows = [row for m in messages for row in rows_of(m)]
    random.Random(seed).shuffle(rows)
    store = DuckDBStore.open(":memory:")
    try:
        runner = Runner(store, detectors=detectors(system))
        cut = len(rows) // 2
        for batch, part in enumerate((rows[:cut], rows[cut:]), 1):
            insert(store, batch, part)
            runner.run()
        runner.settle()
        assert not runner.failures
        assert breached(store) == plain(system, messages)
    finally:
        store.close()


def test_another_contract_judges_everything_again_and_none_withdraws(
    store: DuckDBStore, tmp_path: Path, system: Contract
) -> None:
    message = {"n": 1, "key": "order.created", "type": None, "operation": None, "source": "shim", "seen": True,
               "queues": [("shipping", False)]}  # fmt: skip
    insert(store, 1, rows_of(message))
    other = contract(tmp_path, SYSTEM.replace("address: shipping", "address: shipped"))
    for said, count in ((system, 1), (Contract(), 0), (system, 1), (other, 1)):
        runner = Runner(store, detectors=detectors(said))
        runner.settle()
        assert not runner.failures
        assert len(breached(store)) == count
    with store.read() as session:
        (finding,) = session.rows("SELECT * FROM findings WHERE status <> 'retracted'")
    assert (finding["severity"], finding["confidence"]) == ("error", "proven")
    assert "billing" in finding["explanation"]
