"""The detector of what is lost: each cause on its own evidence, and what must not be claimed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import (
    EPOCH,
    Attempt,
    binding,
    delivery_row,
    exchange,
    put,
    queue,
    rows_of,
    write,
)
from tests.detect.histories import emptied as clean
from tests.detect.judged import runner_of
from tests.detect.test_reordered import reused  # noqa: F401 - a fixture
from tests.support.rounds import rounds

LATER = 10_000
MS = 1_000_000


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
    runner = runner_of(store, ["lost"])
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


@pytest.mark.parametrize(("broker", "lost"), [(None, False), ("rabbit", False), ("another", True)])
def test_what_a_delivery_that_names_no_publish_may_have_been_is_not_lost(
    store: DuckDBStore, broker: str | None, lost: bool
) -> None:
    """Of a queue of that name: at this broker, or nobody says at which."""
    silent = {
        **delivery_row(9, Attempt(2, 1, 9, 400, 405)), "source": "spans", "broker": broker,
        "vhost": None if broker is None else "/", "message": None, "message_id": None, "stamp": None,
        "epoch": None, "channel": None, "publish_trace_id": None, "publish_span_id": None,
    }  # fmt: skip
    lose(store, got(1, 3), sent(1, 2, 3), emptied("delete", 5000, 1))
    put(store, {"delivery_facts": [silent]}, 2)
    assert (claims(store) != {}) is lost


def elsewhere(
    rows: dict[str, list[dict[str, Any]]], **more: Any
) -> dict[str, list[dict[str, Any]]]:
    """The same history in another vhost, by other processes."""

    def moved(name: str, value: Any) -> Any:
        if name == "vhost":
            return "other"
        if not isinstance(value, str):
            return value
        if name.endswith(("trace_id", "span_id")):
            return "f" + value[1:]
        return value.replace(EPOCH, "e" * 16).replace("c" * 16, "d" * 16)

    return {
        table: [
            {**{n: moved(n, v) for n, v in row.items()}, **more.get(table, {})} for row in lines
        ]
        for table, lines in rows.items()
    }


def in_both(
    store: DuckDBStore, here: dict[str, Any], there: dict[str, Any]
) -> dict[str, set[tuple[int, str]]]:
    """By vhost n and verdict or cause."""
    put(store, {table: [*here[table], *there[table]] for table in here})
    claims(store)
    with store.read() as session:
        rows = session.rows("SELECT * FROM verdicts WHERE kind = 'lost'")
    found: dict[str, set[tuple[int, str]]] = {"/": set(), "other": set()}
    for row in rows:
        n = int(row["message"].rsplit(".", 1)[1])
        found[row["vhost"]].add((n, row["cause"] or row["verdict"]))
    return found


def history(
    *more: dict[str, Any],
    words: list[dict[str, Any]] | None = None,
    attempts: list[Attempt] | None = None,
) -> dict[str, Any]:
    told = [census(2000, 2, last=True)] if words is None else words
    return rows_of(
        got(1, 5) if attempts is None else attempts,
        None,
        sent(1, 2, 3, 4, 5),
        told,
        [*topology(), *more],
    )


def test_a_purge_of_another_vhosts_queue_explains_nothing(store: DuckDBStore) -> None:
    found = in_both(store, history(emptied("purge", 500, 3)), elsewhere(history()))
    assert {cause for _, cause in found["/"]} == {"purged"}
    assert {cause for _, cause in found["other"]} == {"unseen"}


@pytest.mark.parametrize("told", [True, False], ids=["its vhost told", "of an older shim"])
def test_a_channel_without_a_delivery_hides_the_losses_of_its_own_vhost_alone(
    store: DuckDBStore, told: bool
) -> None:
    """Another process holds what it was given in a queue of the same name."""
    place = {"broker": "rabbit", "vhost": "other"} if told else {}
    holding = [{"channel": 1, "queues": ["work"], "delivery_tag": 3, **place}]
    silent = {**census(2000, 3), "consumers": holding}
    there = elsewhere(history(words=[silent], attempts=[]), census={"epoch": "a" * 16})
    found = in_both(store, history(), there)
    assert {cause for _, cause in found["/"]} == ({"unseen"} if told else set())
    assert found["other"] == set()


def test_what_was_dropped_here_and_taken_in_another_vhost_is_discarded_here(
    store: DuckDBStore,
) -> None:
    """Message ids and even stamps may come again where a message was copied to."""
    dropped = history(attempts=[got(1)[0].but(settlement="reject_drop")])
    later = {
        "publish_facts": {"start_ns": 3000, "end_ns": 3000},
        "delivery_facts": {"message": f"{EPOCH}.1.1"},
    }
    found = in_both(store, dropped, elsewhere(history(attempts=got(1)), **later))
    assert (1, "discarded") in found["/"]


def test_time_alone_brings_to_light_what_was_told_before_its_time(store: DuckDBStore) -> None:
    """Nothing new comes after a purge or a last word that is still ahead of the watermark."""
    words = [census(3000, 4, last=True)]
    lose(store, got(1, 2, settlement="auto"), sent(1, 2, 3, 4), words=words)
    assert claims(store, 2900) == {}
    assert set(claims(store)) == {3, 4}
    lose(clean(store), [], sent(1, 2), emptied("purge", 500, 2))
    assert claims(store, 400) == {}
    assert set(claims(store)) == {1, 2}


def test_more_missing_than_were_purged_is_nobodys_proof(store: DuckDBStore) -> None:
    lose(store, got(1, 5), sent(1, 2, 3, 4, 5), emptied("purge", 500, 2))
    assert {c[0] for c in claims(store).values()} == {"unseen"}


def test_what_waited_longer_than_its_time_to_live_has_expired(store: DuckDBStore) -> None:
    published = sent(1, 2, 3, 4)
    published[4] = {"start_ns": 3_000_000, "end_ns": 3_000_000}
    lose(store, got(1, 4, start=3_000_100), published, **{"x-message-ttl": 1})
    assert claims(store, 9_000_000) == dict.fromkeys((2, 3), ("expired", "info", "proven"))


@pytest.mark.parametrize("absurd", [{"expiration_ms": 2**62}, {"expiration_ms": -(2**62)}, {"expiration_ms": 4294967295, "start_ns": 2**63 - 1, "end_ns": 2**63 - 1}], ids=str)  # fmt: skip
def test_an_expiration_or_a_time_that_cannot_be_hides_nothing_of_the_others(
    store: DuckDBStore, absurd: dict[str, Any]
) -> None:
    """As an older file may hold them; ``claims`` sees to it that nothing failed."""
    published = sent(1, 2, 3, 4)
    published[4] = {"start_ns": 3_000_000, "end_ns": 3_000_000}
    published[5] = {"start_ns": 105, "end_ns": 105, **absurd}
    lose(store, got(1, 4, start=3_000_100), published, **{"x-message-ttl": 1})
    found = claims(store, 9_000_000)
    assert {n: found[n] for n in (2, 3)} == dict.fromkeys((2, 3), ("expired", "info", "proven"))


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


@pytest.mark.parametrize(
    ("told_ms", "by_spans", "found"),
    [
        pytest.param(4, False, True, id="counted after it was over"),
        pytest.param(2, False, False, id="killed before"),
        pytest.param(None, False, False, id="killed before any count"),
        pytest.param(None, True, False, id="told by other SDKs"),
    ],
)
@pytest.mark.parametrize("cause", ["expired", "max_length"])
def test_it_was_not_taken_where_every_consumer_told_until_then_what_it_took(
    store: DuckDBStore, cause: str, told_ms: int | None, by_spans: bool, found: bool
) -> None:
    """Three milliseconds after the second was published its time is over, or the queue full behind it. Its consumer ends
    without a last word."""
    arguments = {"x-message-ttl": 3} if cause == "expired" else {"x-max-length": 2}
    at = {1: 1, 2: 1, 3: 2, 4: 4, 5: 6}
    published = {n: {"start_ns": ms * MS, "end_ns": ms * MS} for n, ms in at.items()}
    attempts = [Attempt(1, 1, 1, MS, MS), *(Attempt(n, 1, n - 1, 7 * MS + n, 7 * MS + n) for n in (3, 4, 5))]  # fmt: skip
    if cause == "expired":
        attempts = [attempts[0], attempts[-1].but(tag=2)]
        for n in (3, 4):
            published.pop(n)
    words = [census(told_ms * MS, 1)] if told_ms and not by_spans else []
    sights = [{**part, "seen_ns": ns} for part in topology(**arguments)[:3] for ns in (1, 10 * MS)]
    rows = rows_of(attempts, None, published, words, sights)
    for row in rows["delivery_facts"] if by_spans else ():
        row.update(source="spans", epoch=None, channel=None, delivery_tag=None)
    put(store, rows)
    claimed = claims(store, 60_000 * MS)
    assert claimed == {2: (cause, "info", "proven") if found else ("unseen", "info", "inferred")}


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


QUORUM = {"x-queue-type": "quorum", "x-delivery-limit": 2}


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (QUORUM, {1: ("discarded", "warning", "inferred")}),
        ({**QUORUM, "x-delivery-limit": 3}, {}),
        ({"x-delivery-limit": 2}, {}),
        ({**QUORUM, "x-dead-letter-exchange": "dlx"}, {}),
    ],
    ids=["over the limit", "within it", "a classic queue has none", "dead-lettered"],
)
def test_what_was_given_back_more_often_than_its_queue_tries_is_discarded(
    store: DuckDBStore, arguments: dict[str, Any], found: dict[int, Any]
) -> None:
    tries = [
        Attempt(1, 1, tag, 1000 + tag, 1001 + tag, "nack_requeue", tag > 1) for tag in (1, 2, 3)
    ]
    rows = rows_of(tries, None, sent(1), [census(2000, 3, last=True)], topology(**arguments))
    for count, row in enumerate(rows["delivery_facts"]):
        row["delivery_count"] = count or None
    put(store, rows)
    assert claims(store) == found


def test_what_was_rejected_and_sent_again_or_dead_lettered_is_not(store: DuckDBStore) -> None:
    attempts = got(1, 2, 3)
    attempts[1] = attempts[1].but(settlement="reject_drop")
    again = {**sent(1, 2, 3), 9: {"message_id": "m2", "start_ns": 1500, "end_ns": 1500}}
    lose(store, attempts, again)
    assert claims(store) == {}


@pytest.mark.parametrize(
    ("way", "found"),
    [
        pytest.param({"exchange": "dlx"}, {}, id="by the dead-letter exchange"),
        pytest.param({"exchange": "", "routing_key": "dead"}, {}, id="by a key of its own"),
        pytest.param({}, {2: ("discarded", "warning", "inferred")}, id="a copy"),
    ],
)
@pytest.mark.parametrize("later", [False, True])
def test_what_a_policy_dead_letters_to_a_consumer_that_tells_no_x_death_is_not_discarded(
    store: DuckDBStore, way: dict[str, str], found: dict[int, Any], later: bool
) -> None:
    """Nobody declared it, and another SDK's span in another queue has only the way."""
    attempts = [*got(1, 2), Attempt(2, 2, 1, 1500, 1505, queue="elsewhere", service="other")]
    attempts[1] = attempts[1].but(settlement="reject_drop")
    rows = rows_of(attempts, None, sent(1, 2), [census(2000, 2, last=True)], topology())
    copy = rows["delivery_facts"].pop() | {"source": "spans", "stamp": None, "settlement": None}
    copy |= {"exchange": "x", "routing_key": "k", **way}
    if not later:
        rows["delivery_facts"].append(copy)
    put(store, rows)
    if later:
        assert claims(store) == {2: ("discarded", "warning", "inferred")}
        put(store, {"delivery_facts": [copy | {"batch": 2, "first_batch": 2}]}, batch=2)
    assert claims(store) == found


def test_a_queue_with_a_dead_letter_exchange_discards_nothing(store: DuckDBStore) -> None:
    attempts = got(1, 2)
    attempts[1] = attempts[1].but(settlement="nack_drop")
    lose(store, attempts, sent(1, 2), **{"x-dead-letter-exchange": "dlx"})
    assert claims(store) == {}


def oracle(story: Any) -> dict[int, str]:
    """n → cause or ``unseen``, message by message as the definition says it."""
    count, out, auto, extra, purge, limit, ttl, now = story
    told = max(out.values(), default=0) + 5
    absent = [n for n in range(1, count + 1) if n not in out]
    events = [("purged", purge[0], purge[0], purge[1])] if purge and purge[1] else []
    if auto and extra and out:
        events.append(("auto_ack_consumer", max(out.values()), told, extra))
    first_out = {n: min((at for m, at in out.items() if m > n), default=None) for n in absent}
    next_event = {
        n: min((e for e in events if e[2] >= 10 * n), key=lambda e: e[2], default=None) for n in absent
    }  # fmt: skip

    def fits(n: int) -> bool:
        event, left = next_event[n], first_out[n]
        return event is not None and (left is None or left >= event[1])

    found: dict[int, str] = {}
    for n in absent:
        event, left = next_event[n], first_out[n]
        if fits(n) and event is not None:
            together = [m for m in absent if next_event[m] == event and fits(m)]
            if len(together) <= event[3] and event[2] <= now:
                found[n] = event[0]
                continue
        until = now if left is None else left
        held = extra > 0 and not auto and max(out.values(), default=0) <= until and told >= 10 * n
        if held or not out:
            continue
        dead = 10 * n + ttl if ttl is not None else None
        behind = [m for m in range(n + 1, count + 1) if left is None or 10 * m <= left]
        if dead is not None and dead <= now and (left is None or left >= dead) and (event is None or event[2] >= dead):  # fmt: skip
            found[n] = "expired"
        elif limit is not None and len(behind) >= limit and (event is None or (left is not None and left < event[2])):  # fmt: skip
            found[n] = "max_length"
        elif left is not None and left <= now:
            found[n] = "unseen"
    return found


@st.composite
def stories(draw: st.DrawFn) -> Any:
    count = draw(st.integers(1, 7))
    out: dict[int, int] = {}
    clock = 0
    for n in range(1, count + 1):
        if draw(st.booleans()):
            clock = out[n] = max(clock, 10 * n) + draw(st.integers(1, 30))
    purge = draw(st.none() | st.tuples(st.integers(1, 90).map(lambda at: 10 * at + 7), st.integers(0, 4)))  # fmt: skip
    limit = draw(st.none() | st.integers(1, 4))
    ttl = draw(st.none() | st.integers(1, 60))
    return count, out, draw(st.booleans()), draw(st.integers(0, 3)), purge, limit, ttl, 5000


@settings(max_examples=rounds(12), deadline=None)
@given(stories(), st.randoms(use_true_random=False))
def test_the_detector_agrees_with_its_oracle(reused: DuckDBStore, story: Any, random: Any) -> None:  # noqa: F811
    """Times are milliseconds; the history comes in two loads, each shuffled."""
    count, out, auto, extra, purge, limit, ttl, now = story
    arguments = {"x-max-length": limit} if limit is not None else {}
    if ttl is not None:
        arguments["x-message-ttl"] = ttl
    attempts = [
        Attempt(n, 1, tag, at * MS, at * MS + 1, settlement="auto" if auto else "ack")
        for tag, (n, at) in enumerate(out.items(), 1)
    ]
    random.shuffle(attempts)
    published = {n: {"start_ns": 10 * n * MS, "end_ns": 10 * n * MS} for n in range(1, count + 1)}
    told = (max(out.values(), default=0) + 5) * MS
    more = [emptied("purge", purge[0] * MS, purge[1])] if purge else []
    topology_at = [{**t, "seen_ns": 6000 * MS if t["seen_ns"] == LATER else 1} for t in topology(**arguments)]  # fmt: skip
    words = [census(told, len(out) + extra, last=True)] if len(out) + extra else None
    half = random.randrange(len(attempts) + 1)
    store = clean(reused)
    write(store, attempts[:half], None, published, None, [*topology_at, *more])
    runner_of(store, ["lost"]).run()
    rows = [{**delivery_row(100 + i, a), "batch": 2, "first_batch": 2} for i, a in enumerate(attempts[half:])]  # fmt: skip
    facts = [{"batch": 2, "service": "consumer", "instance": "c", "epoch": "c" * 16, "at_ns": told, "census": json.dumps(w)} for w in words or []]  # fmt: skip
    put(store, {"delivery_facts": rows, "census": facts}, 2)
    assert {n: claim[0] for n, claim in claims(store, now * MS).items()} == oracle(story)


def test_an_unbind_ends_what_was_bound_with_its_arguments_alone(store: DuckDBStore) -> None:
    """Of two bindings of one queue and key to a headers exchange."""
    first, second = ({"x-match": "all", "kind": kind} for kind in ("a", "b"))
    bound = [{**binding("x", "work", ""), "arguments": headers} for headers in (first, second)]
    parts = [exchange("x", "headers"), queue("work"), bound[1]]
    topology = [{**part, "seen_ns": at} for at in (1, LATER) for part in parts]
    topology += [{**bound[0], "seen_ns": 1}, {**bound[0], "action": "unbind", "seen_ns": 50}]
    published = sent(1, 2, 3, routing_key="", routing_headers=json.dumps({"kind": "b"}))
    words = [census(2000, 1, last=True)]
    write(store, got(1), None, published, words, [*topology, emptied("purge", 500, 2)])
    assert claims(store) == dict.fromkeys((2, 3), ("purged", "info", "proven"))
