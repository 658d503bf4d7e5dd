"""``dead_lettered`` and ``misrouted: refused``: their definitions, case by case, and their traps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import Attempt, binding, exchange, put, queue, rows_of, write
from tests.detect.judged import in_loads, verdicts

DEAD_LETTERS = {"x-dead-letter-exchange": "dlx"}
TOPOLOGY = [queue("dead"), exchange("dlx", "fanout"), binding("dlx", "dead", "")]
REJECTED = Attempt(1, 1, 1, 10, 20, "reject_drop", failed=True)
IN_DEAD = Attempt(1, 2, 1, 30, 40, queue="dead", death=("work|rejected|1|x|k",))


def told(store: DuckDBStore) -> list[tuple[int, str, str, str]]:
    found = verdicts(store, "dead_lettered")
    assert all(v["role"] == "dead_lettered" and v["confidence"] == "proven" for v in found)
    return [(v["n"], v["queue"], v["severity"], json.loads(v["evidence"])["reason"]) for v in found]


def test_rejected_and_resting_where_nobody_consumes_is_a_warning(store: DuckDBStore) -> None:
    write(store, [REJECTED], DEAD_LETTERS, topology=TOPOLOGY)
    assert told(store) == [(1, "work", "warning", "rejected")]
    evidence = json.loads(verdicts(store, "dead_lettered")[0]["evidence"])
    assert (evidence["rests_in"], evidence["path"]) == ("dead", ["work", "dead"])


def test_seen_in_the_dead_letter_queue_it_is_info_with_its_path(store: DuckDBStore) -> None:
    write(store, [REJECTED, IN_DEAD], DEAD_LETTERS, topology=TOPOLOGY)
    assert told(store) == [(1, "work", "info", "rejected")]
    assert json.loads(verdicts(store, "dead_lettered")[0]["evidence"])["path"] == ["work", "dead"]


def test_its_death_alone_tells_it(store: DuckDBStore) -> None:
    write(store, [IN_DEAD])
    assert told(store) == [(1, "work", "info", "rejected")]


def test_where_somebody_consumes_the_dead_letters_one_that_waits_does_not_rest(
    store: DuckDBStore,
) -> None:
    other = Attempt(2, 1, 2, 25, 28, "reject_drop", failed=True)
    write(store, [REJECTED, IN_DEAD, other], DEAD_LETTERS, topology=TOPOLOGY)
    assert told(store) == [(1, "work", "info", "rejected"), (2, "work", "info", "rejected")]


@pytest.mark.parametrize(
    ("by_policy", "severity"),
    [(None, "info"), ("queues", "info"), ("classic_queues", "info"), ("quorum_queues", "warning"), ("exchanges", "warning")],
)  # fmt: skip
def test_a_waiting_queue_leads_on(store: DuckDBStore, by_policy: str | None, severity: str) -> None:
    onward = {"x-message-ttl": 1000, "x-dead-letter-exchange": "again"}
    policy = {
        "kind": "policy", "name": "p", "type": by_policy, "role": "actual", "source": "management",
        "arguments": {"pattern": "^dead$", "definition": {"message-ttl": 1000, "dead-letter-exchange": "again"}},
    }  # fmt: skip
    topology = [queue("dead", **({} if by_policy else onward)), *TOPOLOGY[1:]]
    write(store, [REJECTED], DEAD_LETTERS, topology=[*topology, *([policy] if by_policy else [])])
    assert told(store) == [(1, "work", severity, "rejected")]


def test_where_no_dead_letter_exchange_is_known_a_rejection_is_no_dead_letter(
    store: DuckDBStore,
) -> None:
    write(store, [REJECTED], {}, topology=TOPOLOGY)
    assert told(store) == []


@pytest.mark.parametrize("turned", [False, True], ids=["with, then without", "without, then with"])
def test_a_queue_that_was_declared_anew_has_other_arguments_since(
    store: DuckDBStore, turned: bool
) -> None:
    """Who deleted it may be told, or not."""
    lives = [queue("work", **DEAD_LETTERS), queue("work")]
    with_dead, without = (2, 1) if turned else (1, 2)
    topology = [
        {**life, "seen_ns": at} for life, at in zip(lives[:: -1 if turned else 1], (1, 100), strict=True)
    ]  # fmt: skip
    if turned:
        topology.append({**queue("work"), "action": "delete", "seen_ns": 90})
    attempts = [REJECTED, REJECTED.but(n=2, tag=2, received=110, settled=120)]
    published = {n: {"start_ns": at} for n, at in ((1, 5), (2, 105))}
    write(store, attempts, publishes=published, topology=[*topology, *TOPOLOGY])
    assert [n for n, *_ in told(store)] == [with_dead]
    assert [(v["n"], v["cause"]) for v in verdicts(store, "lost")] == [(without, "discarded")]


def test_given_back_more_often_than_a_quorum_queue_tries_it_rests_among_the_dead(
    store: DuckDBStore,
) -> None:
    tries = [Attempt(1, 1, tag, 10 * tag, 10 * tag + 5, "nack_requeue", tag > 1) for tag in (1, 2, 3)]  # fmt: skip
    limit = {**DEAD_LETTERS, "x-queue-type": "quorum", "x-delivery-limit": 2}
    rows = rows_of(tries, limit, topology=TOPOLOGY)
    for count, row in enumerate(rows["delivery_facts"]):
        row["delivery_count"] = count or None
    put(store, rows)
    assert told(store) == [(1, "work", "warning", "delivery_limit")]


def test_one_that_came_back_and_was_handled_was_a_retry(store: DuckDBStore) -> None:
    again = Attempt(1, 1, 2, 50, 60, death=("wait|expired|1||wait", "work|rejected|1|x|k"))
    write(store, [REJECTED, again], DEAD_LETTERS, topology=TOPOLOGY)
    assert told(store) == []


def test_one_that_was_made_to_wait_is_no_dead_letter(store: DuckDBStore) -> None:
    write(store, [Attempt(1, 1, 1, 50, 60, death=("delay|expired|1||delay",))])
    assert told(store) == []


@pytest.mark.parametrize("first", [0, 1])
def test_what_comes_later_is_judged_with_it(store: DuckDBStore, first: int) -> None:
    history = [IN_DEAD, REJECTED]
    in_loads(store, [[history[first]], [history[1 - first]]])
    assert told(store) == [(1, "work", "info", "rejected")]


def ways(store: DuckDBStore, attempts: list[Attempt], keys: dict[int, str], **all_deliveries: Any) -> list[dict[str, Any]]:  # fmt: skip
    rows = rows_of(attempts, publishes={n: {"routing_key": key} for n, key in keys.items()})
    for row in rows["delivery_facts"]:
        row |= all_deliveries
    put(store, rows)
    with store.write() as session:  # deliveries come by the key of their publish
        session.execute("UPDATE delivery_facts SET routing_key = p.routing_key FROM publish_facts p WHERE p.message = delivery_facts.message")  # fmt: skip
    return verdicts(store, "misrouted")


def attempt(n: int, queue: str, ok: bool) -> Attempt:
    at = 100 * n + (50 if queue == "audit" else 0)
    lane = 2 if queue == "audit" else 1
    settled = "ack" if ok else "reject_drop"
    return Attempt(n, lane, n, at, at + 5, settled, queue=queue, failed=not ok, service=queue)


KEYS = {1: "paid", 2: "paid", 3: "created", 4: "created"}
REFUSED = [
    *(attempt(n, "work", ok=False) for n in (1, 2)),
    *(attempt(n, "work", ok=True) for n in (3, 4)),
    *(attempt(n, "audit", ok=True) for n in (1, 2)),
]


@pytest.mark.parametrize("by_get", [False, True])
def test_a_key_that_a_consumer_never_takes_and_another_does_is_misrouted(
    store: DuckDBStore, by_get: bool
) -> None:
    # of what a `basic.get` brings no span sees the handling
    found = ways(store, REFUSED, KEYS, **({"handled_end_ns": None, "failed": False} if by_get else {}))  # fmt: skip
    assert [(v["n"], v["verdict"], v["queue"], v["severity"], v["confidence"]) for v in found] == [
        (1, "refused", "work", "warning", "inferred"),
        (2, "refused", "work", "warning", "inferred"),
    ]
    assert json.loads(found[0]["evidence"])["expected_queues"] == ["audit"]


@pytest.mark.parametrize(
    "without",
    [
        pytest.param(0, id="one try only"),
        pytest.param(slice(2, 4), id="it takes nothing else"),
        pytest.param(slice(4, 6), id="nobody else takes it"),
    ],
)
def test_with_less_nothing_is_claimed(store: DuckDBStore, without: Any) -> None:
    history = list(REFUSED)
    del history[without]
    assert ways(store, history, KEYS) == []


def test_a_consumer_that_fails_now_and_then_refuses_nothing(store: DuckDBStore) -> None:
    history = [*REFUSED, attempt(5, "work", ok=True)]
    assert ways(store, history, {**KEYS, 5: "paid"}) == []
