"""The reordering detector against a plain oracle of the same definition, and against its traps."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import (
    Attempt,
    binding,
    delivery_row,
    emptied,
    exchange,
    publish_row,
    put,
    write,
)
from tests.detect.order_oracle import Queue, histories, oracle
from tests.support.rounds import rounds


def late(store: DuckDBStore) -> dict[int, tuple[str, frozenset[str], int | None, str]]:
    """n → cause, bases, extent, severity of every late message."""
    runner = Runner(store)
    runner.settle()
    assert not runner.failures
    with store.read() as session:
        rows = session.rows(
            "SELECT message, cause, severity, CAST(evidence->'$.late_by' AS VARCHAR[]) AS late_by, CAST(evidence->>'$.extent' AS BIGINT) AS extent"
            " FROM verdicts WHERE kind = 'reordered' AND role = 'late'"
        )
    return {
        int(r["message"].rsplit(".", 1)[1]): (
            r["cause"],
            frozenset(r["late_by"]),
            r["extent"],
            r["severity"],
        )
        for r in rows
    }


@pytest.fixture(scope="module")
def reused() -> Iterator[DuckDBStore]:
    found = DuckDBStore.open(":memory:")
    yield found
    found.close()


@settings(max_examples=rounds(12), deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_the_detector_agrees_with_its_oracle(reused: DuckDBStore, case: Any, shuffled: Any) -> None:
    attempts, queue, publishes = case
    shuffled.shuffle(attempts)
    write(emptied(reused), attempts, queue.arguments, publishes)
    found = {n: (cause, bases, level) for n, (cause, bases, _, level) in late(reused).items()}
    assert found == oracle(attempts, queue, publishes)


@pytest.mark.parametrize("seed", [1, 2])
def test_it_agrees_over_a_long_history_too(store: DuckDBStore, seed: int) -> None:
    """Some thousand messages, a few given back and come again at once, or long after."""
    chance = random.Random(seed)
    attempts: list[Attempt] = []
    for n in range(1, 3001):
        at = 100 * n
        if chance.random() < 0.004:
            attempts.append(Attempt(n, n % 2, 0, at, at + 5, settlement="nack_requeue"))
            at += chance.choice((150, 1_000, 30_000, 120_000)) + chance.randint(1, 90)
            attempts.append(Attempt(n, chance.randint(0, 1), 0, at, at + 5, redelivered=True))
        else:
            slow = chance.choice((250, 9_000)) if chance.random() < 0.003 else 5
            attempts.append(Attempt(n, n % 2, 0, at, at + slow))
    attempts.sort(key=lambda a: a.received)
    attempts = [a.but(tag=tag) for tag, a in enumerate(attempts, start=1)]
    write(store, attempts, {})
    found = {n: (cause, bases, level) for n, (cause, bases, _, level) in late(store).items()}
    assert found == oracle(attempts, Queue(known=True))
    assert len(found) > 12


def in_order(count: int) -> list[Attempt]:
    return [Attempt(n, 1, n, 10 * n, 10 * n + 5) for n in range(1, count + 1)]


def test_order_kept_is_no_finding(store: DuckDBStore) -> None:
    write(store, in_order(20))
    assert late(store) == {}


def test_a_requeue_is_named_with_its_rfc_4737_extent(store: DuckDBStore) -> None:
    history = in_order(5)
    history[1] = history[1].but(settlement="nack_requeue")
    history.append(Attempt(2, 1, 6, 100, 105, redelivered=True))
    write(store, history)
    assert late(store) == {2: ("requeue", frozenset({"delivery", "completion"}), 3, "warning")}


def test_concurrent_handlers_without_a_wish_for_order_are_only_info(store: DuckDBStore) -> None:
    history = in_order(3)
    history[0] = history[0].but(settled=99)
    write(store, history)
    assert late(store) == {1: ("concurrent_handlers", frozenset({"completion"}), 2, "info")}


def test_a_single_active_consumer_queue_asks_for_order(store: DuckDBStore) -> None:
    history = in_order(3)
    history[0] = history[0].but(settled=99)
    write(store, history, {"x-single-active-consumer": True})
    assert late(store)[1][3] == "error"


def inverted(**of_first: Any) -> list[Attempt]:
    """Message 1 after message 2 on one channel."""
    return [Attempt(1, 1, 2, 20, 25).but(**of_first), Attempt(2, 1, 1, 10, 15)]


def causes(store: DuckDBStore) -> dict[int, tuple[str, str]]:
    return {n: (cause, severity) for n, (cause, _, _, severity) in late(store).items()}


def test_higher_priority_that_overtakes_is_named_and_harmless(store: DuckDBStore) -> None:
    history = [Attempt(1, 1, 2, 20, 25, priority=0), Attempt(2, 1, 1, 10, 15, priority=5)]
    write(store, history, {"x-max-priority": 9})
    assert causes(store) == {1: ("priority", "info")}


def test_priority_explains_nothing_in_a_queue_without(store: DuckDBStore) -> None:
    history = [Attempt(1, 1, 2, 20, 25, priority=0), Attempt(2, 1, 1, 10, 15, priority=5)]
    write(store, history, {})
    assert causes(store) == {1: ("unknown", "info")}


@pytest.mark.parametrize(
    "arguments", [None, {"x-queue-type": "quorum"}], ids=["nobody declared it", "quorum"]
)
def test_a_queue_that_may_serve_priorities_in_turns_convicts_nobody(
    store: DuckDBStore, arguments: dict[str, Any] | None
) -> None:
    """Of a quorum queue two high ones and a normal one are served in turns."""
    write(
        store,
        [Attempt(1, 1, 2, 20, 25, priority=9), Attempt(2, 1, 1, 10, 15, priority=0)],
        arguments,
    )
    assert late(store) == {}


def test_a_round_trip_by_a_dead_letter_queue_keeps_its_place_in_the_stream(
    store: DuckDBStore,
) -> None:
    history = in_order(4)
    history[0] = history[0].but(settlement="reject_drop")
    history.append(
        Attempt(1, 1, 5, 90, 95, death=("retry|expired|1||retry", "work|rejected|1|x|k"))
    )
    write(store, history)
    assert late(store) == {
        1: ("dead_letter_retry", frozenset({"delivery", "completion"}), 3, "info")
    }


def test_dead_lettered_into_another_queue_it_has_no_place(store: DuckDBStore) -> None:
    elsewhere = {"queue": "parked", "death": ("work|rejected|1|x|k",)}
    write(
        store,
        [Attempt(1, 1, 2, 20, 25).but(**elsewhere), Attempt(2, 1, 1, 10, 15).but(**elsewhere)],
    )
    assert late(store) == {}


@pytest.mark.parametrize("fits", [True, False], ids=["by the same key", "by another key"])
def test_a_copy_keeps_its_place_in_the_stream(store: DuckDBStore, fits: bool) -> None:
    write(store, [*in_order(4), Attempt(1, 1, 5, 90, 95, fits=fits)])
    assert causes(store) == {1: ("republished", "info")}


def test_a_foreign_stamp_alone_identifies_nothing(store: DuckDBStore) -> None:
    write(store, [*in_order(4)[1:], Attempt(1, 1, 5, 90, 95, fits=False)])
    assert late(store) == {}


def crashed() -> list[Attempt]:
    """Channel 1 takes messages 1 and 2, and closes; channel 2 had 3 by then, and gets 1 again."""
    return [
        Attempt(1, 1, 1, 10, 11, settlement=None), Attempt(2, 1, 2, 12, 13), Attempt(3, 2, 1, 14, 15),
        Attempt(1, 2, 2, 30, 35, redelivered=True),
    ]  # fmt: skip


def test_a_closed_channel_is_named(store: DuckDBStore) -> None:
    write(store, crashed())
    assert causes(store) == {1: ("channel_closed", "info")}


def test_a_closed_channel_is_named_though_its_deliveries_were_never_handled(
    store: DuckDBStore,
) -> None:
    """What a client had prefetched has no span; the channel that ended is seen by other messages."""
    write(store, [a for a in crashed() if a.redelivered or a.n != 1])
    assert causes(store) == {1: ("channel_closed", "info")}


@pytest.mark.shows("reordered", "", "channel_closed", "warning")
def test_where_order_is_asked_for_a_closed_channel_is_a_warning(store: DuckDBStore) -> None:
    keys = {1: 1, 2: 2, 3: 3}
    write(store, [a.but(key="aaaaaaaa", k=keys[a.n]) for a in crashed()])
    assert causes(store)[1] == ("channel_closed", "warning")


def test_a_single_active_consumer_that_changes_is_a_failover(store: DuckDBStore) -> None:
    history = [
        Attempt(1, 1, 1, 10, 11, settlement=None), Attempt(2, 1, 2, 12, 13), Attempt(1, 2, 1, 30, 35, redelivered=True),
    ]  # fmt: skip
    write(store, history, {"x-single-active-consumer": True})
    assert causes(store) == {1: ("failover", "warning")}


def test_redelivered_by_nobody_who_was_seen_is_unknown(store: DuckDBStore) -> None:
    write(store, [a.but(lane=1) for a in inverted(redelivered=True)])
    assert causes(store) == {1: ("unknown", "info")}


def test_a_publish_tried_again_takes_the_place_of_its_first_try(store: DuckDBStore) -> None:
    tried = {1: {"outcome": "unknown", "body_hash": "b"}, 4: {"message_id": "m1", "body_hash": "b"}}
    write(store, in_order(4)[1:], publishes=tried)
    assert causes(store) == {4: ("publish_retry", "warning")}


def test_a_retry_with_an_id_of_its_own_is_told_by_its_body(store: DuckDBStore) -> None:
    write(
        store,
        in_order(4)[1:],
        publishes={1: {"outcome": "unknown", "body_hash": "b"}, 4: {"body_hash": "b"}},
    )
    assert causes(store) == {4: ("publish_retry", "warning")}


@pytest.mark.parametrize(
    "publishes",
    [
        {n: {"body_hash": "same", "message_id": None, "outcome": "unknown" if n == 1 else "confirmed"} for n in (1, 2, 3, 4)},
        {1: {"outcome": "confirmed", "body_hash": "b"}, 4: {"message_id": "m1", "body_hash": "b"}},
        {1: {"outcome": "unknown", "end_ns": 99}, 4: {"message_id": "m1"}},
        {1: {"outcome": "unknown", "routing_key": "other"}, 4: {"message_id": "m1"}},
        {1: {"outcome": "unknown", "body_hash": "b"}, 4: {"message_id": "m1", "body_hash": "c"}},
    ],
    ids=["a body that all have", "it was confirmed", "still under way", "another key", "an id used again"],
)  # fmt: skip
def test_what_is_no_retry(store: DuckDBStore, publishes: dict[int, Any]) -> None:
    write(store, in_order(4)[1:], publishes=publishes)
    assert late(store) == {}


def test_the_same_message_in_another_vhost_is_no_retry_and_hides_none(store: DuckDBStore) -> None:
    tried = {1: {"outcome": "unknown", "body_hash": "b"}, 4: {"message_id": "m1", "body_hash": "b"}}
    elsewhere = {"message_id": "m1", "body_hash": "b", "vhost": "other"}
    write(store, in_order(4)[1:], publishes={**tried, 3: elsewhere})
    assert causes(store) == {4: ("publish_retry", "warning")}


def test_threads_that_share_a_channel_convict_nobody(store: DuckDBStore) -> None:
    """Both publishes under way at once: whose number was taken first need not have been sent first."""
    write(
        store,
        inverted(),
        {},
        publishes={1: {"start_ns": 1, "end_ns": 5}, 2: {"start_ns": 2, "end_ns": 4}},
    )
    assert late(store) == {}


@pytest.mark.shows("reordered", "", "broker", "error")
def test_the_broker_is_accused_only_with_every_fact_at_hand(store: DuckDBStore) -> None:
    write(store, inverted(), {}, census=[CENSUS], topology=PLAIN)
    assert causes(store) == {1: ("broker", "error")}


CENSUS = {
    "consumers": [{"channel": 1, "queues": ["work"], "delivery_tag": 2, "unsettled": []}],
    "spans_dropped": 0,
    "at_unix_nano": 30,
}
PLAIN = [exchange("x", "topic"), binding("x", "work", "k")]


@pytest.mark.parametrize(
    ("census", "topology"),
    [
        ([], PLAIN),
        ([{**CENSUS, "spans_dropped": 1}], PLAIN),
        ([{**CENSUS, "consumers": [{"channel": 1, "queues": ["work"], "delivery_tag": 3, "unsettled": []}]}], PLAIN),
        ([CENSUS], [exchange("x", "x-consistent-hash"), binding("x", "work", "k")]),
        ([CENSUS], []),
    ],
    ids=["no census", "telemetry dropped", "a delivery unseen", "no plain exchange", "nobody declared the exchange"],
)  # fmt: skip
def test_with_any_fact_missing_the_cause_is_unknown(
    store: DuckDBStore, census: list[Any], topology: list[Any]
) -> None:
    write(store, inverted(), {}, census=census, topology=topology)
    assert causes(store) == {1: ("unknown", "info")}


def test_a_second_consumer_acquits_the_broker(store: DuckDBStore) -> None:
    write(store, [*inverted(), Attempt(3, 2, 1, 30, 35)], {}, census=[CENSUS], topology=PLAIN)
    assert causes(store) == {1: ("unknown", "info")}


def test_the_children_of_a_pool_handle_one_channels_messages_at_once(store: DuckDBStore) -> None:
    """Their deliveries bear their parent's epoch and channel, and processes of their own."""
    rows = [
        delivery_row(n, a)
        for n, a in enumerate([Attempt(1, 1, 1, 10, 40), Attempt(2, 1, 2, 11, 20)])
    ]
    rows[1]["instance"] = "another child"
    put(store, {"publish_facts": [publish_row(1), publish_row(2)], "delivery_facts": rows})
    assert causes(store) == {1: ("concurrent_handlers", "info")}


def test_two_hosts_clocks_are_never_compared(store: DuckDBStore) -> None:
    write(store, [Attempt(1, 1, 1, 20, 25, host="a"), Attempt(2, 2, 1, 10, 15, host="b")])
    assert late(store) == {}


@pytest.mark.parametrize(
    "change",
    [{"queue": "amq.rabbitmq.reply-to"}, {"settlement": "nack_requeue"}],
    ids=["reply", "not settled for good"],
)
def test_where_amqp_promises_nothing_nothing_is_claimed(
    store: DuckDBStore, change: dict[str, Any]
) -> None:
    write(store, inverted(**change))
    assert late(store) == {}


def test_a_delayed_exchange_promises_nothing(store: DuckDBStore) -> None:
    write(
        store,
        inverted(),
        {},
        census=[CENSUS],
        topology=[exchange("x", "x-delayed-message"), binding("x", "work", "k")],
    )
    assert late(store) == {}


def test_a_log_like_stream_queue_promises_no_queue_order(store: DuckDBStore) -> None:
    write(store, inverted(), {"x-queue-type": "stream"})
    assert late(store) == {}
