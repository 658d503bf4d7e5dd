"""``unroutable``: every clause of its severity, its verdicts by topology and by spans, and its traps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.contract.model import Contract, Document, KeyChannel
from strayline_collector.detect import detectors
from strayline_collector.detect.route import Binding, Exchange, Queue, Topology, route
from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import (  # fmt: skip
    Attempt,
    binding,
    emptied,
    exchange,
    publish_row,
    put,
    queue,
    write,
)
from tests.detect.judged import runner_of, verdicts
from tests.support.rounds import rounds

COMPLETE = {"source": "document", "document": "d", "role": "actual", "complete": True, "seen_ns": 0}
REFERENCE = {**COMPLETE, "role": "intended", "document": "r"}
BOUND = [queue("work"), exchange("x", "topic"), binding("x", "work", "paid")]
ALTERNATE = [
    queue("work"), queue("rest"), exchange("kept", "fanout"), binding("kept", "rest", ""),
    {**exchange("x", "topic"), "arguments": {"alternate-exchange": "kept"}}, binding("x", "work", "paid"),
]  # fmt: skip


@pytest.fixture(scope="module")
def reused() -> Iterator[DuckDBStore]:
    found = DuckDBStore.open(":memory:")
    yield found
    found.close()


def said_by(source: dict[str, Any], facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**fact, **source} for fact in facts]


def returned(n: int = 1, key: str = "piad", **more: Any) -> dict[int, dict[str, Any]]:
    return {n: {"routing_key": key, "outcome": "returned", **more}}


def led(source: str, exchange: str) -> dict[str, Any]:
    """A binding between exchanges."""
    return {**binding(source, exchange, "paid"), "destination_kind": "exchange"}


def told(store: DuckDBStore) -> list[tuple[int, str | None, str, str]]:
    return [
        (v["n"], v["verdict"], v["severity"], v["confidence"])
        for v in verdicts(store, "unroutable")
    ]


@pytest.mark.parametrize(
    ("publishes", "topology", "severity"),
    [
        pytest.param(returned(), BOUND, "warning", id="its exchange has durable bindings"),
        pytest.param(returned(), [], "info", id="an event nobody subscribed to"),
        pytest.param(
            returned(),
            [{**queue("work"), "durable": False}, *BOUND[1:]],
            "info",
            id="nothing durable is bound",
        ),
        pytest.param(
            returned(),
            [*BOUND[:2], binding("y", "work", "paid"), led("x", "y0"), led("y0", "y"), led("y", "x")],
            "warning",
            id="durable bindings by way of other exchanges",
        ),
        pytest.param(
            returned(), [*BOUND[:2], led("x", "y"), led("y", "x")], "info", id="others that lead nowhere"
        ),
        pytest.param(
            returned(exchange="", key="gone"), [], "error", id="the default exchange, no queue"
        ),
        pytest.param(
            returned(exchange="", key="amq.gen-1"), [], "info", id="a requester that has left"
        ),
        pytest.param(
            {**returned(exchange="", key="answers"), 2: {"reply_to": "answers"}}, [], "info",
            id="a named reply queue that has left",
        ),
        pytest.param(
            returned(), said_by(REFERENCE, [*BOUND, binding("x", "work", "piad")]), "error",
            id="a reference names it",
        ),
        pytest.param(
            {n: returned(n)[n] for n in range(1, 30)}, BOUND, "warning", id="29 that went nowhere"
        ),
        pytest.param(
            {n: returned(n)[n] for n in range(1, 31)}, BOUND, "info", id="30 are its habit"
        ),
    ],
)  # fmt: skip
def test_a_return_is_weighed_by_what_its_key_and_exchange_are_used_for(
    store: DuckDBStore, publishes: Any, topology: Any, severity: str
) -> None:
    write(store, [], publishes=publishes, topology=topology)
    expected = [n for n, p in publishes.items() if p.get("outcome") == "returned"]
    assert sorted(told(store)) == [(n, None, severity, "proven") for n in expected]


@pytest.mark.shows("unroutable", "", "", "error")
def test_a_key_that_reached_a_durable_queue_before_is_an_error(store: DuckDBStore) -> None:
    write(store, [Attempt(1, 1, 1, 10, 20)], {}, publishes={50: {"outcome": "returned"}})
    assert told(store) == [(50, None, "error", "proven")]


@pytest.mark.parametrize(("headers", "severity"), [({"vip": True}, "error"), ({"vip": 1}, "warning")], ids=str)  # fmt: skip
def test_at_a_headers_exchange_it_is_the_headers_that_reached_a_queue_before(
    store: DuckDBStore, headers: dict[str, Any], severity: str
) -> None:
    bound = {**binding("x", "work", "k"), "arguments": {"vip": True}}
    told_headers = {1: {"vip": True}, 50: headers}
    publishes = {n: {"routing_headers": json.dumps(h)} for n, h in told_headers.items()}
    publishes[50] |= {"outcome": "returned"}
    write(store, [Attempt(1, 1, 1, 10, 20)], publishes=publishes, topology=[queue("work"), exchange("x", "headers"), bound])  # fmt: skip
    assert told(store) == [(50, None, severity, "proven")]


@pytest.mark.parametrize("address", ["piad", "p*", None])
def test_a_key_that_a_contract_names_is_an_error(store: DuckDBStore, address: str | None) -> None:
    channel = KeyChannel("c", "x", "piad" if address == "p*" else address, None, frozenset())
    contract = Contract((Document("f", "t", None, (channel,), (), ()),), "digest")
    write(store, [], publishes=returned(), topology=BOUND)
    assert [severity for _, _, severity, _ in told(store)] == ["warning"]
    Runner(store, detectors=detectors(contract)).settle()  # judged again, since the contract is new
    with store.read() as session:
        (row,) = session.rows("SELECT severity FROM verdicts WHERE kind = 'unroutable'")
    # a channel without an address is every key of its exchange: it names none
    assert row["severity"] == ("warning" if address is None else "error")


def test_a_complete_topology_leads_it_nowhere(store: DuckDBStore) -> None:
    write(store, [], publishes={1: {"routing_key": "piad"}, 2: {"routing_key": "paid"}}, topology=said_by(COMPLETE, BOUND))  # fmt: skip
    assert told(store) == [(1, None, "warning", "proven")]


def test_what_other_sdks_publish_is_inferred_since_nobody_recorded_its_headers(
    store: DuckDBStore,
) -> None:
    publishes = {1: {"routing_key": "piad", "source": "spans", "outcome": None}}
    write(store, [], publishes=publishes, topology=said_by(COMPLETE, [*BOUND, *said_by(REFERENCE, [])]))  # fmt: skip
    assert told(store) == [(1, None, "warning", "inferred")]


@pytest.mark.parametrize("red", [True, False])
def test_headers_lead_each_message_its_own_way(store: DuckDBStore, red: bool) -> None:
    arguments = {"x-match": "all", "colour": "red"}
    bound = [queue("work"), exchange("x", "headers"), {**binding("x", "work", ""), "arguments": arguments}]  # fmt: skip
    publishes = {
        n: {"routing_headers": json.dumps({"colour": colour})}
        for n, colour in ((1, "red" if red else "blue"), (2, "red"))
    }
    write(store, [], publishes=publishes, topology=said_by(COMPLETE, bound))
    assert [n for n, *_ in told(store)] == ([] if red else [1])


@pytest.mark.parametrize(
    ("publishes", "attempts", "topology"),
    [
        pytest.param(returned(delay_ms=1000), [], BOUND, id="delayed"),
        pytest.param(returned(), [], [exchange("x", "x-delayed-message")], id="a delayed exchange"),
        pytest.param(returned(exchange="", key="amq.rabbitmq.reply-to.g1"), [], [], id="a reply"),
        pytest.param(returned(), [Attempt(1, 1, 1, 10, 20)], BOUND, id="seen in a queue after all"),
    ],
)
def test_what_is_returned_and_yet_delivered_is_left_out(
    store: DuckDBStore, publishes: Any, attempts: list[Attempt], topology: Any
) -> None:
    write(store, attempts, publishes=publishes, topology=topology)
    assert told(store) == []


def test_a_complete_topology_tells_that_only_the_alternate_exchange_takes_it(
    store: DuckDBStore,
) -> None:
    publishes = {1: {"routing_key": "piad"}, 2: {"routing_key": "paid"}}
    write(store, [], publishes=publishes, topology=said_by(COMPLETE, ALTERNATE))
    assert told(store) == [(1, "alternate", "info", "proven")]
    (found,) = verdicts(store, "unroutable")
    assert json.loads(found["evidence"])["actual_queues"] == ["rest"]


@pytest.mark.parametrize(
    ("queues", "more", "expected"),
    [
        pytest.param(["rest"], [], [1], id="seen there"),
        pytest.param([], [], [], id="not seen there: a queue may take it that nobody told of"),
        pytest.param(["rest", "other"], [], [], id="another queue took it too"),
        pytest.param(["rest"], [binding("x", "other", "p*d"), binding("x", "other", "#")], [], id="another binding leads on"),
    ],
)  # fmt: skip
def test_by_what_services_declared_it_must_have_been_seen_there(
    store: DuckDBStore, queues: list[str], more: list[dict[str, Any]], expected: list[int]
) -> None:
    attempts = [Attempt(1, 1, i, 10 + i, 20, queue=name) for i, name in enumerate(queues)]
    write(store, attempts, publishes={1: {"routing_key": "piad"}}, topology=[*ALTERNATE, *more])
    assert told(store) == [(n, "alternate", "info", "inferred") for n in expected]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param([], [3], id="taken away"),
        pytest.param([{**binding("x", "work", "paid"), "seen_ns": 25}], [], id="and bound again"),
        pytest.param([{**binding("x", "work", "#"), "seen_ns": 5}], [], id="and another is left"),
    ],
)
def test_what_an_alternate_exchange_takes_since_the_binding_went_is_told(
    store: DuckDBStore, more: list[dict[str, Any]], expected: list[int]
) -> None:
    attempts = [
        Attempt(n, 1, n, 100 + n, 110, queue="work" if n == 1 else "rest") for n in (1, 2, 3)
    ]
    gone = {**binding("x", "work", "paid"), "action": "unbind", "seen_ns": 20}
    publishes = {
        n: {"routing_key": "paid", "start_ns": at} for n, at in ((1, 10), (2, 15), (3, 30))
    }
    write(store, attempts, publishes=publishes, topology=[*ALTERNATE, gone, *more])
    assert told(store) == [(n, "alternate", "info", "inferred") for n in expected]


def test_a_return_stands_before_what_an_alternate_exchange_would_take(store: DuckDBStore) -> None:
    write(store, [], publishes=returned(), topology=said_by(COMPLETE, ALTERNATE))
    assert told(store) == [(1, None, "warning", "proven")]


def kind_of(odd: dict[str, Any], size: int = 30) -> dict[int, dict[str, Any]]:
    """Messages of one operation of another SDK's producer; the last is ``odd``."""
    foreign = {"source": "spans", "epoch": None, "channel": None, "outcome": None, "mandatory": None}  # fmt: skip
    usual = {n: {**foreign, "routing_key": "paid"} for n in range(1, size)}
    return {**usual, size: {**foreign, "routing_key": "piad", **odd}}


@pytest.mark.parametrize(
    ("odd", "topology", "expected"),
    [
        pytest.param({}, [], [30], id="a key that nothing came by"),
        pytest.param({"delay_ms": 5}, [], [], id="delayed"),
        pytest.param({}, [exchange("x", "x-delayed-message")], [], id="a delayed exchange"),
        pytest.param({}, [exchange("x", "fanout")], [], id="a fanout takes any key"),
        pytest.param({}, [binding("x", "other", "piad")], [], id="somebody bound a queue for it"),
        pytest.param({"exchange": "", "routing_key": "jobs"}, [queue("jobs")], [], id="its queue was declared"),
        pytest.param({"source": "shim", "outcome": "confirmed", "mandatory": True}, [], [], id="the broker says that it routed it"),
        pytest.param({"exchange": "", "routing_key": "amq.rabbitmq.reply-to.g"}, [], [], id="a reply"),
    ],
)  # fmt: skip
def test_by_spans_alone_a_key_unlike_its_kind_that_nothing_came_by_is_unroutable(
    store: DuckDBStore, odd: dict[str, Any], topology: Any, expected: list[int]
) -> None:
    publishes = kind_of(odd)
    attempts = [Attempt(n, 1, n, 100 * n, 100 * n + 5) for n in range(1, 30)]
    write(store, attempts, publishes=publishes, topology=topology)
    with store.write() as session:  # deliveries come by the key of their publish
        session.execute("UPDATE delivery_facts SET routing_key = 'paid'")
    assert told(store) == [(n, None, "warning", "inferred") for n in expected]


KEYS = st.sampled_from(("paid", "piad", "gone", "a.b"))


@settings(max_examples=rounds(12), deadline=None)
@given(
    bound=st.lists(st.tuples(st.sampled_from(("x", "kept")), st.sampled_from(("work", "rest")), st.sampled_from(("paid", "gone", "#", "a.*"))), max_size=4),
    alternate=st.booleans(),
    sent=st.lists(st.tuples(KEYS, st.sampled_from(("confirmed", "returned"))), min_size=1, max_size=6),
    parts=st.integers(1, 3),
)  # fmt: skip
def test_by_topology_it_agrees_with_the_route_of_each_message_in_whatever_order_facts_come(
    reused: DuckDBStore,
    bound: list[tuple[str, str, str]],
    alternate: bool,
    sent: list[tuple[str, str]],
    parts: int,
) -> None:
    arguments = {"alternate-exchange": "kept"} if alternate else {}
    topology = Topology.of(
        [Exchange("x", "topic", arguments=arguments), Exchange("kept", "topic")],
        [Queue("work"), Queue("rest")],
        [Binding(source, to, "queue", key) for source, to, key in bound],
        complete=True,
    )
    expected: dict[int, str | None] = {}
    for n, (key, outcome) in enumerate(sent, start=1):
        way = route(topology, "x", key)
        if outcome == "returned" or not way.queues:
            expected[n] = None
        elif way.alternate:
            expected[n] = "alternate"
    facts = [
        queue("work"), queue("rest"), exchange("kept", "topic"),
        {**exchange("x", "topic"), "arguments": arguments}, *(binding(*b) for b in bound),
    ]  # fmt: skip
    store = emptied(reused)
    publishes = {n: {"routing_key": key, "outcome": outcome} for n, (key, outcome) in enumerate(sent, start=1)}  # fmt: skip
    runner = runner_of(store, ("unroutable",))
    write(store, [], topology=said_by(COMPLETE, facts))
    for part in range(parts):
        rows = [publish_row(n, **more) for n, more in publishes.items() if n % parts == part]
        for row in rows:
            row.update(batch=part + 2, first_batch=part + 2)
        put(store, {"publish_facts": rows}, part + 2)
        runner._population_at = 0.0
        runner.run()
    found = {v["n"]: v["verdict"] for v in verdicts(store, "unroutable", only=("unroutable",))}
    assert found == expected
