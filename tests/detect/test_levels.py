"""What RabbitMQ says of how full its queues are: read, kept as times, and weighed where messages are missing."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.tap.levels import Level, Levels, read_levels
from tests.detect.histories import Attempt, S, binding, emptied, exchange, put, queue, write
from tests.detect.test_lost import claims, got, lose, sent
from tests.detect.test_reordered import reused  # noqa: F401 - a fixture
from tests.support.rounds import rounds

DOCUMENT = "rabbit's API"
PLACE = ("/", "work")


def level(state: str, from_s: float, to_s: float, **more: Any) -> dict[str, Any]:
    """A time in which all looks at the queue ``work`` said the same."""
    return {
        "document": DOCUMENT, "broker": "rabbit", "vhost": "/", "queue": "work", "state": state,
        "from_ns": int(from_s * S), "to_ns": int(to_s * S), "ready": 2 if state == "waiting" else 0,
        "unacknowledged": 0, "consumers": 1, **more,
    }  # fmt: skip


def tell(store: DuckDBStore, sent_s: dict[int, float], got_s: dict[int, float], *levels: dict[str, Any]) -> None:  # fmt: skip
    """Messages of the queue ``work`` with the seconds at which they were sent, and were seen to be handled."""
    attempts = [
        Attempt(n, 1, tag, int(got_s[n] * S), int(got_s[n] * S) + 1)
        for tag, n in enumerate(sorted(got_s), 1)
    ]
    published = {n: {"start_ns": int(at * S), "end_ns": int(at * S) + 1} for n, at in sent_s.items()}  # fmt: skip
    parts = (exchange("x", "direct"), queue("work"), binding("x", "work", "k"))
    write(store, attempts, None, published, [], [{**p, "seen_ns": at} for at in (1, 10**6 * S) for p in parts])  # fmt: skip
    put(store, {"level_facts": list(levels)}, 2)


def stalls(store: DuckDBStore, now_s: float) -> dict[int, tuple[int, str]]:
    """n → seconds waited, confidence."""
    runner = Runner(store)
    runner.settle(now_ns=int(now_s * S))
    assert not runner.failures
    with store.read() as session:
        rows = session.rows(
            "SELECT message, confidence, CAST(evidence->>'$.waited_ns' AS BIGINT) AS waited FROM verdicts WHERE kind = 'stalled'"
        )
    return {
        int(r["message"].rsplit(".", 1)[1]): (round(r["waited"] / S), r["confidence"]) for r in rows
    }


SENT = {1: 10.0, 2: 20.0, 3: 30.0}


@pytest.mark.parametrize("until", [320, 340])
def test_what_rabbitmq_says_to_lie_there_for_so_long_has_stalled_for_certain(
    store: DuckDBStore, until: float
) -> None:
    tell(store, SENT, {1: 11}, level("waiting", 25, until))
    confidence = "proven" if until >= 330 else "inferred"
    assert stalls(store, 400) == {2: (380, confidence), 3: (370, confidence)}


def test_of_an_empty_queue_nothing_waits(store: DuckDBStore) -> None:
    tell(store, SENT, {1: 11}, level("empty", 40, 500))
    assert stalls(store, 500) == {}


def test_that_it_was_empty_before_says_nothing(store: DuckDBStore) -> None:
    """RabbitMQ's figures are up to some seconds old: a look 14 s after the second message may not know it."""
    tell(store, SENT, {1: 11}, level("empty", 12, 34))
    assert stalls(store, 400) == {2: (380, "inferred"), 3: (370, "inferred")}


def test_what_consumers_gave_back_waits_from_then_on(store: DuckDBStore) -> None:
    handed, waiting = level("handed", 40, 315, unacknowledged=2), level("waiting", 320, 620)
    tell(store, SENT, {1: 11}, handed, waiting)
    assert stalls(store, 590) == {}
    assert stalls(store, 620) == {2: (320, "proven"), 3: (320, "proven")}


def test_no_more_wait_than_are_ready(store: DuckDBStore) -> None:
    tell(store, SENT, {1: 11}, level("waiting", 40, 500, ready=1))
    assert set(stalls(store, 500)) == {3}


@pytest.mark.parametrize("other", [{"vhost": "/other"}, {"broker": "another"}, {"queue": "rest"}], ids=str)  # fmt: skip
def test_another_queues_level_says_nothing(store: DuckDBStore, other: dict[str, Any]) -> None:
    tell(store, SENT, {1: 11}, level("empty", 40, 500, **other))
    assert set(stalls(store, 500)) == {2, 3}


def test_what_an_empty_queue_never_gave_anybody_is_unseen(store: DuckDBStore) -> None:
    """None came out after it, so that without RabbitMQ's word it might be in the queue."""
    lose(store, got(1, 2), sent(1, 2, 3))
    assert claims(store, 60 * S) == {}
    put(store, {"level_facts": [level("empty", 10, 50)]}, 2)
    assert claims(store, 60 * S) == {3: ("unseen", "info", "inferred")}


@pytest.mark.parametrize("now", [14, 16])
def test_whether_it_was_empty_since_the_message_came_is_known_after_15_seconds(
    store: DuckDBStore, now: float
) -> None:
    lose(store, got(1, 2), sent(1, 2, 3))
    put(store, {"level_facts": [level("empty", 1, now)]}, 2)
    assert bool(claims(store, 60 * S)) is (now > 15)


def test_that_a_queue_is_empty_says_nothing_of_what_it_may_never_have_had(
    store: DuckDBStore,
) -> None:
    """What the queue was bound to is not known: the message may have gone elsewhere."""
    write(store, got(1, 2), None, sent(1, 2, 3), [], [])
    put(store, {"level_facts": [level("empty", 10, 50)]}, 2)
    assert claims(store, 60 * S) == {}


@dataclass(frozen=True, slots=True)
class Fate:
    """Of one message, in seconds: sent, taken by somebody (None: never), settled."""

    sent: float
    taken: float | None
    settled: float
    seen: bool


@st.composite
def fates(draw: st.DrawFn) -> list[Fate]:
    """First in, first out, in half of the cases with a consumer that nobody hears of."""
    found: list[Fate] = []
    clock, out = 0.0, 0.0
    steps = st.sampled_from([1, 8, 40, 200, 400])
    secret = draw(st.booleans())
    for n in range(draw(st.integers(2, 7))):
        clock += draw(steps)
        stuck = n > 0 and (found[-1].taken is None or draw(st.integers(0, 3)) == 0)
        if stuck:
            found.append(Fate(clock, None, 0, False))
            continue
        out = max(out, clock + draw(st.sampled_from([0.01, 5, 30, 350])))
        seen = not (secret and n > 0 and draw(st.booleans()))
        found.append(Fate(clock, out, out + draw(st.sampled_from([0.01, 20, 350])), seen))
    return found


def looks(told: list[Fate], now: float, lag: float) -> list[tuple[float, Level]]:
    """What RabbitMQ says every ten seconds, as it was ``lag`` seconds before."""
    found: list[tuple[float, Level]] = []
    for look in range(5, int(now), 10):
        at = look - lag
        taken = [f for f in told if f.taken is not None and f.taken <= at]
        ready = sum(f.sent <= at for f in told) - len(taken)
        found.append((look, Level(ready, sum(f.settled > at for f in taken), 1, len(taken))))
    return found


@settings(max_examples=rounds(12), deadline=None)
@given(fates(), st.sampled_from([0.0, 5.0]))
def test_what_has_stalled_lies_there_and_what_lies_there_has_stalled(
    reused: DuckDBStore,  # noqa: F811
    told: list[Fate],
    lag: float,
) -> None:
    """From looks to findings, against the queue as it was."""
    quiet = max(max(f.sent, f.taken or 0, f.settled) for f in told)
    now = quiet + 400
    store = emptied(reused)
    numbers = dict(enumerate(told, 1))
    tell(
        store,
        {n: f.sent for n, f in numbers.items()},
        {n: f.taken for n, f in numbers.items() if f.taken is not None and f.seen},
    )
    tap, before = Levels(DOCUMENT), None
    for at, seen in looks(told, now, lag):
        with store.write() as session:
            tap.keep(session, {PLACE: seen}, broker="rabbit", batch=3, checked_ns=before, now_ns=int(at * S))  # fmt: skip
            session.execute("DELETE FROM topology_sources")
            session.execute("INSERT INTO topology_sources VALUES (3, $document, $at)", {"document": DOCUMENT, "at": int(at * S)})  # fmt: skip
        before = int(at * S)
    found = stalls(store, now)
    lasting = {n: c for n, (_, c) in found.items() if numbers[n].taken is None or not numbers[n].seen}  # fmt: skip
    outs = sorted(f.taken for f in told if f.taken is not None and f.seen)
    longest = max((b - a for a, b in itertools.pairwise(outs)), default=0)
    waiting = {n for n, f in numbers.items() if f.taken is None}
    assert set(lasting) <= waiting
    if max(300.0, 3 * longest) + 40 < 400:
        assert lasting == dict.fromkeys(waiting, "proven")


def test_a_busy_queue_is_kept_no_more_than_an_idle_one(store: DuckDBStore) -> None:
    tap = Levels(DOCUMENT)
    for look in range(50):
        with store.write() as session:
            busy = Level(1 + look % 3, 5, 2, 100 * look)
            tap.keep(session, {PLACE: busy, ("/", "idle"): Level(0, 0, 1, 7)}, broker=None, batch=1, checked_ns=look - 1, now_ns=look)  # fmt: skip
    with store.read() as session:
        assert session.rows("SELECT queue, state, from_ns, to_ns FROM level_facts") == [
            {"queue": "idle", "state": "empty", "from_ns": 0, "to_ns": None}
        ]


@pytest.mark.parametrize(("given", "kept"), [(9, True), (None, False)])
def test_what_nobody_counts_is_not_known_to_wait(store: DuckDBStore, given: int | None, kept: bool) -> None:  # fmt: skip
    tap = Levels(DOCUMENT)
    for look in range(3):
        with store.write() as session:
            tap.keep(session, {PLACE: Level(3, 0, 0, given)}, broker=None, batch=1, checked_ns=look - 1, now_ns=look)  # fmt: skip
    with store.read() as session:
        rows = session.rows("SELECT state, ready FROM level_facts")
    assert rows == ([{"state": "waiting", "ready": 3}] if kept else [])


def test_after_a_silence_or_a_restart_what_held_is_another_time(store: DuckDBStore) -> None:
    tap = Levels(DOCUMENT)
    minutes = [0, 1, 9, 10]
    for step, minute in enumerate([*minutes, 10.5]):
        if minute == 10.5:
            tap = Levels(DOCUMENT)
        with store.write() as session:
            last = None if step == 0 else int(60 * S * minutes[step - 1])
            tap.keep(session, {PLACE: Level(3, 0, 0, 9)}, broker=None, batch=step, checked_ns=last, now_ns=int(60 * S * minute))  # fmt: skip
    with store.read() as session:
        rows = session.rows("SELECT from_ns, to_ns, ready FROM level_facts ORDER BY from_ns")
    assert [(r["from_ns"] / S / 60, r["to_ns"] / S / 60) for r in rows] == [(0, 1), (9, 10)]


def test_what_is_not_counted_or_belongs_to_one_connection_has_no_level() -> None:
    common = {"vhost": "/", "messages_ready": 4, "messages_unacknowledged": 1, "consumers": 0}
    found = read_levels(
        [
            {**common, "name": "work", "message_stats": {"deliver_get": 7}},
            {**common, "name": "new", "message_stats": []},
            {**common, "name": "uncounted"},
            {**common, "name": "mine", "exclusive": True},
            {"vhost": "/", "name": "young"},
        ]
    )
    assert found == {
        ("/", "work"): Level(4, 1, 0, 7),
        ("/", "new"): Level(4, 1, 0, 0),
        ("/", "uncounted"): Level(4, 1, 0, None),
    }
