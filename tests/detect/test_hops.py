"""``context_lost`` and ``uninstrumented``: hops whose telemetry is missing, and those whose is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import Attempt, binding, exchange, publish_row, put, queue, write
from tests.detect.judged import in_loads, verdicts

HERE = {"context_trace_id": "c" * 32, "context_span_id": "c" * 16}


def with_context(store: DuckDBStore, *numbers: int) -> None:
    """These messages' deliveries continue their traces."""
    with store.write() as session:
        for n in numbers:
            session.execute(
                "UPDATE delivery_facts SET context_trace_id = $t, context_span_id = $s WHERE message_id = $m",
                {"t": f"{n:032x}", "s": f"{n:016x}", "m": f"m{n}"},
            )


def test_a_stamped_delivery_that_continues_no_trace_is_an_orphan(store: DuckDBStore) -> None:
    write(store, [Attempt(n, 1, n, 10 * n, 10 * n + 5) for n in (1, 2, 3)])
    with_context(store, 1, 3)
    found = verdicts(store, "context_lost")
    assert [(v["n"], v["role"], v["severity"], v["confidence"], v["queue"]) for v in found] == [
        (2, "orphan", "warning", "proven", "work")
    ]
    assert (found[0]["producer_service"], found[0]["consumer_service"]) == ("producer", "consumer")


@pytest.mark.parametrize("order", [1, -1])
def test_publish_and_delivery_may_come_in_any_order(store: DuckDBStore, order: int) -> None:
    attempts = [Attempt(1, 1, 1, 10, 15), Attempt(2, 1, 2, 20, 25)]
    in_loads(store, [[a] for a in attempts[::order]])
    assert [v["n"] for v in verdicts(store, "context_lost")] == [1, 2]


def test_a_copy_that_a_program_published_again_is_no_orphan(store: DuckDBStore) -> None:
    write(store, [Attempt(1, 1, 1, 10, 15, fits=False)])
    assert verdicts(store, "context_lost") == []


def test_where_the_publish_was_not_seen_nothing_is_claimed(store: DuckDBStore) -> None:
    write(store, [Attempt(1, 1, 1, 10, 15)])
    with store.write() as session:
        session.execute("DELETE FROM publish_facts")
    assert verdicts(store, "context_lost") == []


def hops(store: DuckDBStore) -> list[dict[str, Any]]:
    runner = Runner(store)
    runner.settle()
    assert not runner.failures
    with store.read() as session:
        return session.rows(
            "SELECT queue, exchange, routing_key, producer_service, severity, confidence, count FROM findings"
            " WHERE kind = 'uninstrumented' AND status = 'open'"
        )


def publishes(store: DuckDBStore, count: int, **more: Any) -> None:
    rows = [publish_row(n, **more) for n in range(1, count + 1)]
    put(store, {"publish_facts": rows})


def test_an_exchange_and_key_of_which_nothing_ever_arrives_is_named_once(
    store: DuckDBStore,
) -> None:
    publishes(store, 25)
    assert hops(store) == [
        {
            "queue": None, "exchange": "x", "routing_key": "k", "producer_service": "producer",
            "severity": "info", "confidence": "inferred", "count": 25,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("count", "more"),
    [
        pytest.param(19, {}, id="too few to tell"),
        pytest.param(25, {"outcome": "returned"}, id="the broker gave them back"),
        pytest.param(25, {"outcome": "rolled_back"}, id="never sent"),
    ],
)
def test_what_is_no_silent_hop(store: DuckDBStore, count: int, more: dict[str, Any]) -> None:
    publishes(store, count, **more)
    assert hops(store) == []


def test_one_delivery_is_enough_to_know_that_somebody_is_there(store: DuckDBStore) -> None:
    write(store, [Attempt(1, 1, 1, 10, 15)], publishes={n: {} for n in range(1, 40)})
    assert hops(store) == []


def test_of_two_queues_the_silent_one_is_named(store: DuckDBStore) -> None:
    attempts = [Attempt(n, 1, n, 100 + n, 105 + n) for n in range(10, 40)]
    topology = [
        queue("work"), queue("silent"), exchange("x", "fanout"),
        binding("x", "work", ""), binding("x", "silent", ""),
    ]  # fmt: skip
    write(store, attempts, topology=topology)
    with store.write() as session:
        session.execute("INSERT INTO processes VALUES ('c', 'consumer', 'h', 1, 1000, 1000)")
    found = hops(store)
    assert [(f["queue"], f["exchange"], f["count"]) for f in found] == [("silent", None, 30)]


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("told", [False, True])
def test_a_queue_in_which_messages_wait_to_be_dead_lettered_needs_no_consumer(
    store: DuckDBStore, known: bool, told: bool
) -> None:
    """Whether its bindings are known or not, whether ``x-death`` is told or the way alone tells."""
    attempts = [Attempt(n, 1, n, 100 + n, 105 + n) for n in range(10, 40)]
    topology = [queue("wait"), exchange("x", "fanout"), binding("x", "wait", "")]
    write(store, attempts, topology=topology if known else [])
    with store.write() as session:
        session.execute("INSERT INTO processes VALUES ('c', 'consumer', 'h', 1, 1000, 1000)")
        session.execute(
            "UPDATE delivery_facts SET exchange = '', routing_key = 'work', death = $death",
            {"death": json.dumps(["wait|expired|1|x|k"]) if told else None},
        )
    assert hops(store) == []


@pytest.mark.parametrize(
    ("arguments", "publish", "silent"),
    [
        pytest.param({"x-message-ttl": 60_000, "x-dead-letter-exchange": ""}, {}, False, id="they wait"),
        pytest.param({"x-dead-letter-exchange": ""}, {"expiration_ms": 60_000}, False, id="each for its own time"),
        pytest.param({"x-message-ttl": 60_000}, {}, True, id="nothing leads on"),
        pytest.param({"x-dead-letter-exchange": ""}, {}, True, id="nothing makes them go"),
        pytest.param({"x-message-ttl": 0, "x-dead-letter-exchange": ""}, {}, True, id="their time is over"),
    ],
)  # fmt: skip
def test_what_still_waits_to_be_dead_lettered_needs_no_consumer(
    store: DuckDBStore, arguments: dict[str, Any], publish: dict[str, Any], silent: bool
) -> None:
    topology = [queue("wait", **arguments), exchange("x", "fanout"), binding("x", "wait", "")]
    write(store, [], publishes=dict.fromkeys(range(10, 40), publish), topology=topology)
    with store.write() as session:
        session.execute("INSERT INTO processes VALUES ('c', 'consumer', 'h', 1, 1000, 1000)")
    assert [f["queue"] for f in hops(store)] == (["wait"] if silent else [])


def test_replies_that_nobody_is_seen_to_read_are_one_hop(store: DuckDBStore) -> None:
    publishes(store, 22, exchange="", routing_key="amq.rabbitmq.reply-to")
    assert [(f["queue"], f["routing_key"], f["count"]) for f in hops(store)] == [("*", "*", 22)]


def test_its_finding_counts_messages_and_lists_none(store: DuckDBStore) -> None:
    from strayline_collector.query.findings import read_findings

    publishes(store, 25)
    hops(store)
    with store.read() as session:
        finding = read_findings(session, {"kind": "uninstrumented"}, limit=5, offset=0, messages="all")["items"][0]  # fmt: skip
    assert (finding["count"], finding["messages"], finding["messages_truncated"]) == (25, [], False)
    assert json.dumps(finding["subject"])
