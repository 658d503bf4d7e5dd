"""The detector of what is lost: each cause on its own evidence, and what must not be claimed."""

from __future__ import annotations

from typing import Any

import pytest

from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import Attempt, binding, exchange, queue, write

LATER = 10_000


def topology(**arguments: Any) -> list[dict[str, Any]]:
    """Exchange ``x`` bound to the queue ``work``, seen from the first moment to the last."""
    return [
        {**item, "seen_ns": at}
        for at in (1, LATER)
        for item in (exchange("x", "direct"), queue("work", **arguments), binding("x", "work", "k"))
    ]


def census(at: int, tag: int, lane: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "consumers": [{"channel": lane, "queues": ["work"], "delivery_tag": tag, "unsettled": []}],
        "channels": [], "spans_dropped": 0, "at_unix_nano": at, **more,
    }  # fmt: skip


def got(*numbers: int, start: int = 1000, **more: Any) -> list[Attempt]:
    """Deliveries of these messages, in this order on one channel."""
    return [
        Attempt(n, 1, tag, start + 10 * tag, start + 10 * tag + 5).but(**more)
        for tag, n in enumerate(numbers, 1)
    ]


def emptied(action: str, at: int, went: int) -> dict[str, Any]:
    return {**queue("work", messages=went), "action": action, "seen_ns": at}


def sent(*numbers: int, **more: Any) -> dict[int, dict[str, Any]]:
    return {n: {"start_ns": 100 + n, "end_ns": 100 + n, **more} for n in numbers}


def claims(store: DuckDBStore, now: int | None = LATER) -> dict[int, tuple[str, str, str]]:
    """n → verdict or cause, severity, confidence."""
    runner = Runner(store)
    runner.settle(now_ns=now)
    assert not runner.failures
    with store.read() as session:
        rows = session.rows("SELECT * FROM verdicts WHERE kind = 'lost'")
    return {
        int(r["message"].rsplit(".", 1)[1]): (r["verdict"] or r["cause"], r["severity"], r["confidence"])
        for r in rows
    }  # fmt: skip


def lose(store: DuckDBStore, attempts: list[Attempt], published: dict[int, dict[str, Any]], *more: dict[str, Any], words: list[dict[str, Any]] | None = None, **arguments: Any) -> None:  # fmt: skip
    write(store, attempts, None, published, words or [census(2000, len(attempts), last=True)], [*topology(**arguments), *more])  # fmt: skip


def test_what_was_purged_is_named_and_harmless(store: DuckDBStore) -> None:
    lose(store, got(1, 5), sent(1, 2, 3, 4, 5), emptied("purge", 500, 3))
    assert claims(store) == dict.fromkeys((2, 3, 4), ("purged", "info", "proven"))


def test_what_was_deleted_with_its_queue_is_an_error(store: DuckDBStore) -> None:
    lose(store, got(1), sent(1, 2, 3), emptied("delete", 5000, 2))
    assert claims(store) == dict.fromkeys((2, 3), ("queue_deleted", "error", "proven"))


def test_more_missing_than_were_purged_is_nobodys_proof(store: DuckDBStore) -> None:
    lose(store, got(1, 5), sent(1, 2, 3, 4, 5), emptied("purge", 500, 2))
    assert {c[0] for c in claims(store).values()} == {"unseen"}


def test_what_waited_longer_than_its_time_to_live_has_expired(store: DuckDBStore) -> None:
    published = sent(1, 2, 3, 4)
    published[4] = {"start_ns": 3_000_000, "end_ns": 3_000_000}
    lose(store, got(1, 4, start=3_000_100), published, **{"x-message-ttl": 1})
    assert claims(store, 9_000_000) == dict.fromkeys((2, 3), ("expired", "info", "proven"))


def test_what_came_out_before_its_time_was_over_did_not_expire(store: DuckDBStore) -> None:
    lose(store, got(1, 4), sent(1, 2, 3, 4), **{"x-message-ttl": 1})
    assert {c[0] for c in claims(store, 9_000_000).values()} == {"unseen"}


def test_expired_messages_that_a_dead_letter_exchange_keeps_are_not_lost(
    store: DuckDBStore,
) -> None:
    published = sent(1, 2, 3, 4)
    published[4] = {"start_ns": 3_000_000, "end_ns": 3_000_000}
    lose(store, got(1, 4, start=3_000_100), published, **{"x-message-ttl": 1, "x-dead-letter-exchange": "dlx"})  # fmt: skip
    assert claims(store, 9_000_000) == {}


def test_the_oldest_of_a_full_queue_were_dropped(store: DuckDBStore) -> None:
    lose(store, got(1, 4, 5), sent(1, 2, 3, 4, 5), **{"x-max-length": 2})
    assert claims(store) == dict.fromkeys((2, 3), ("max_length", "info", "proven"))


def test_a_queue_that_never_was_full_dropped_nothing(store: DuckDBStore) -> None:
    lose(store, got(1, 4, 5), sent(1, 2, 3, 4, 5), **{"x-max-length": 4})
    assert {c[0] for c in claims(store).values()} == {"unseen"}


def test_a_full_queue_that_refuses_drops_nothing(store: DuckDBStore) -> None:
    arguments = {"x-max-length": 2, "x-overflow": "reject-publish"}
    lose(store, got(1, 4, 5), sent(1, 2, 3, 4, 5), **arguments)
    assert {c[0] for c in claims(store).values()} == {"unseen"}


def test_what_an_ended_process_had_acknowledged_unhandled_is_lost(store: DuckDBStore) -> None:
    lose(store, got(1, 2, settlement="auto"), sent(1, 2, 3, 4), words=[census(2000, 4, last=True)])
    assert claims(store) == dict.fromkeys((3, 4), ("auto_ack_consumer", "error", "proven"))


@pytest.mark.parametrize("word", [{}, {"last": True, "spans_dropped": 3}], ids=["alive", "dropped"])
def test_what_a_process_may_still_handle_or_did_not_tell_is_not_lost(
    store: DuckDBStore, word: dict[str, Any]
) -> None:
    words = [census(2000, 4, **word)]
    lose(store, got(1, 2, settlement="auto"), sent(1, 2, 3, 4), words=words)
    assert claims(store) == {}


def test_prefetched_messages_are_not_lost_though_later_ones_were_handled(
    store: DuckDBStore,
) -> None:
    attempts = [Attempt(1, 1, 1, 1000, 1005), Attempt(4, 2, 1, 1100, 1105)]
    both = [{"channel": lane, "queues": ["work"], "delivery_tag": tag} for lane, tag in ((1, 3), (2, 1))]  # fmt: skip
    lose(store, attempts, sent(1, 2, 3, 4), words=[{**census(2000, 1), "consumers": both}])
    assert claims(store) == {}


def test_messages_still_in_the_queue_are_not_lost(store: DuckDBStore) -> None:
    lose(store, got(1, 2), sent(1, 2, 3, 4))
    assert claims(store) == {}


def test_one_consumer_and_nothing_else_that_explains_it_is_lost(store: DuckDBStore) -> None:
    published = {**sent(2, 3), 1: {"start_ns": 50}}
    attempts = [Attempt(1, 1, 1, 60, 70), Attempt(3, 1, 2, 500, 510)]
    lose(store, attempts, published, **{"x-single-active-consumer": True})
    assert claims(store) == {2: ("unknown", "error", "proven")}


def test_without_a_word_of_who_consumes_it_is_only_unseen(store: DuckDBStore) -> None:
    lose(store, got(1, 2, 3, 4, 6), sent(1, 2, 3, 4, 5, 6))
    assert claims(store) == {5: ("unseen", "warning", "inferred")}


def test_a_consumer_killed_with_its_telemetry_alarms_nobody(store: DuckDBStore) -> None:
    lose(store, got(1, 2, 3, 4, 6), sent(1, 2, 3, 4, 5, 6), words=[census(1, 0)])
    assert claims(store) == {5: ("unseen", "info", "inferred")}


def test_a_competitor_without_instrumentation_alarms_nobody(store: DuckDBStore) -> None:
    lose(store, got(*range(1, 100, 2)), sent(*range(1, 101)))
    assert {c[1] for c in claims(store).values()} == {"info"}


def test_a_queue_that_nobody_was_seen_to_consume_is_not_judged(store: DuckDBStore) -> None:
    lose(store, [], sent(1, 2, 3), **{"x-message-ttl": 0, "x-max-length": 1})
    assert claims(store) == {}


@pytest.mark.parametrize("outcome", ["returned", "nacked", "rolled_back", "unknown"])
def test_what_the_broker_did_not_take_is_not_lost(store: DuckDBStore, outcome: str) -> None:
    lose(store, got(1, 3), {**sent(1, 3), **sent(2, outcome=outcome)})
    assert claims(store) == {}


@pytest.mark.parametrize("arguments", [{"x-queue-type": "stream"}, {"x-expires": 100}], ids=str)
def test_logs_and_queues_that_come_and_go_are_not_judged(
    store: DuckDBStore, arguments: dict[str, Any]
) -> None:
    lose(store, got(1, 3), sent(1, 2, 3), **arguments)
    assert claims(store) == {}


def test_a_dead_letter_seen_elsewhere_was_not_lost(store: DuckDBStore) -> None:
    died = Attempt(2, 2, 1, 1500, 1505, queue="dead", death=("work|expired|1|x|k",))
    lose(store, [*got(1, 3), died], sent(1, 2, 3), **{"x-message-ttl": 0})
    assert claims(store) == {}


def test_what_was_rejected_without_a_dead_letter_exchange_is_discarded(store: DuckDBStore) -> None:
    attempts = got(1, 2)
    attempts[1] = attempts[1].but(settlement="reject_drop")
    lose(store, attempts, sent(1, 2))
    assert claims(store) == {2: ("discarded", "warning", "inferred")}


def test_what_was_rejected_and_sent_again_or_dead_lettered_is_not(store: DuckDBStore) -> None:
    attempts = got(1, 2, 3)
    attempts[1] = attempts[1].but(settlement="reject_drop")
    again = {**sent(1, 2, 3), 9: {"message_id": "m2", "start_ns": 1500, "end_ns": 1500}}
    lose(store, attempts, again)
    assert claims(store) == {}


def test_a_queue_with_a_dead_letter_exchange_discards_nothing(store: DuckDBStore) -> None:
    attempts = got(1, 2)
    attempts[1] = attempts[1].but(settlement="nack_drop")
    lose(store, attempts, sent(1, 2), **{"x-dead-letter-exchange": "dlx"})
    assert claims(store) == {}
