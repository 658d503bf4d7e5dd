"""``dead_lettered``, ``misrouted: refused`` and ``duplicated: publish_retry`` against plain oracles of their
definitions, in any order of arrival."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import (
    Attempt,
    binding,
    delivery_row,
    emptied,
    exchange,
    publish_row,
    put,
    queue,
    rows_of,
)
from tests.detect.judged import runner_of, verdicts
from tests.support.rounds import rounds

TAKEN = ("ack", "sent", "auto")
GONE = ("nack_drop", "reject_drop")
Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def reused() -> Iterator[DuckDBStore]:
    found = DuckDBStore.open(":memory:")
    yield found
    found.close()


def judged(store: DuckDBStore, rows: Rows, seed: int, loads: int, *names: str) -> list[dict[str, Any]]:  # fmt: skip
    """Shuffled, split over loads and judged after each: the verdicts in the end."""
    emptied(store)
    mixed = [(table, row) for table, lines in rows.items() for row in lines]
    Random(seed).shuffle(mixed)
    for batch in range(1, loads + 1):
        tables: Rows = defaultdict(list)
        for table, row in mixed[batch - 1 :: loads]:
            first = {} if table in ("topology_facts", "census") else {"first_batch": batch}
            tables[table].append({**row, "batch": batch, **first})
        put(store, tables, batch)
        runner_of(store, names).run()
    kind = "dead_lettered" if "dead_lettered" in names else "misrouted" if "refused" in names else "duplicated"  # fmt: skip
    return verdicts(store, kind, only=names)


def succeeded(a: Attempt) -> bool:
    return a.settlement in TAKEN and not a.failed


# -- dead_lettered


def resting(attempts: list[Attempt], dead_letters: bool, onward: bool) -> dict[tuple[int, str], tuple[str, str]]:  # fmt: skip
    """(n, queue) → severity and reason, message by message as the definition says it."""
    consumed = {a.queue for a in attempts}
    found: dict[tuple[int, str], tuple[str, str]] = {}
    for n in {a.n for a in attempts}:
        mine = [a for a in attempts if a.n == n]
        drops = [a.settled for a in mine if a.settlement in GONE and a.queue == "work" and dead_letters]  # fmt: skip
        died: dict[tuple[str, str], int] = {}
        for a in mine:
            for entry in a.death:
                place = (entry.split("|")[0], entry.split("|")[1])
                died[place] = min(died.get(place, a.received), a.received)
        if drops:
            died["work", "rejected"] = min(drops)
        for (where, reason), at in died.items():
            after = [a for a in mine if a.received >= at and (a.queue != where or a.death or a.received > at)]  # fmt: skip
            handled = [a for a in after if succeeded(a)]
            if any(a.queue == where for a in handled):
                continue
            if reason == "expired" and where not in consumed and handled:
                continue
            rests = bool(drops) and where == "work" and reason == "rejected"
            rests = rests and "dead" not in consumed and not onward
            rests = rests and all(a.queue == where for a in after)
            found[n, where] = ("warning" if rests else "info", reason)
    return found


@st.composite
def mortalities(draw: st.DrawFn) -> list[Attempt]:
    """Messages that are handled, dropped, seen among the dead, or come back to be tried again."""
    attempts: list[Attempt] = []
    clock = 0
    for n in range(1, draw(st.integers(1, 5)) + 1):
        death: tuple[str, ...] = ()
        for number in range(draw(st.integers(1, 3))):
            clock += draw(st.integers(1, 10))
            how = draw(st.sampled_from(["ack", "ack", "nack_requeue", "reject_drop", "nack_drop", None]))  # fmt: skip
            attempts.append(Attempt(n, 1, len(attempts) + 1, clock, clock + 3, how, number > 0, death=death, failed=draw(st.integers(0, 4)) == 0))  # fmt: skip
            clock += 5
            if how not in GONE:
                break
            fate = draw(st.sampled_from(["rests", "rests", "dead", "back"]))
            told = (f"work|rejected|{number + 1}|x|k",)
            if fate == "dead":
                attempts.append(Attempt(n, 2, len(attempts) + 1, clock, clock + 3, queue="dead", death=told))  # fmt: skip
            if fate != "back":
                break
            death = (f"wait|expired|{number + 1}||wait", *told)
    return attempts


@settings(max_examples=rounds(12), deadline=None)
@given(mortalities(), st.booleans(), st.booleans(), st.integers(0, 99), st.integers(1, 2))
def test_dead_letters_agree_with_their_oracle(
    reused: DuckDBStore, attempts: list[Attempt], dead_letters: bool, onward: bool, seed: int, loads: int
) -> None:  # fmt: skip
    arguments = {"x-dead-letter-exchange": "dlx"} if dead_letters else {}
    more = {"x-message-ttl": 10, "x-dead-letter-exchange": "again"} if onward else {}
    places = [queue("dead", **more), exchange("dlx", "fanout"), binding("dlx", "dead", "")]
    found = judged(reused, rows_of(attempts, arguments, topology=places), seed, loads, "dead_lettered")  # fmt: skip
    told = {
        (v["n"], v["queue"]): (v["severity"], json.loads(v["evidence"])["reason"]) for v in found
    }
    assert told == resting(attempts, dead_letters, onward)


# -- misrouted: refused


def refusals(attempts: list[tuple[Attempt, str]]) -> set[tuple[int, str]]:
    """(n, queue) of what came to a consumer that never takes its key while another does."""

    def tried(where: str, key: str) -> list[Attempt]:
        return [a for a, k in attempts if a.queue == where and k == key]

    keys = {key for _, key in attempts}
    found: set[tuple[int, str]] = set()
    for where in {a.queue for a, _ in attempts}:
        for key in keys:
            bad = [a for a in tried(where, key) if a.settlement in GONE or a.failed]
            if any(succeeded(a) for a in tried(where, key)) or len({a.n for a in bad}) < 2:
                continue
            others = any(succeeded(a) for k in keys - {key} for a in tried(where, k))
            welcome = any(succeeded(a) for a, k in attempts if k == key and a.queue != where)
            if others and welcome:
                found |= {(a.n, where) for a in bad}
    return found


@st.composite
def welcomes(draw: st.DrawFn) -> list[tuple[Attempt, str]]:
    found: list[tuple[Attempt, str]] = []
    liked = {(q, k): draw(st.integers(0, 2)) for q in ("work", "audit") for k in ("paid", "made")}
    for n in range(1, draw(st.integers(2, 9)) + 1):
        key = draw(st.sampled_from(["paid", "made"]))
        for lane, where in enumerate(("work", "audit"), 1):
            if draw(st.integers(0, 5)) == 0:
                continue
            bad = liked[where, key] == 0 or (liked[where, key] == 1 and draw(st.booleans()))
            how = draw(st.sampled_from([*GONE, "ack"])) if bad else "ack"
            failed = bad and (how == "ack" or draw(st.booleans()))
            found.append((Attempt(n, lane, n, 10 * n, 10 * n + 5, how, queue=where, failed=failed, service=where), key))  # fmt: skip
    return found


@settings(max_examples=rounds(12), deadline=None)
@given(welcomes(), st.integers(0, 99), st.integers(1, 2))
def test_refusals_agree_with_their_oracle(
    reused: DuckDBStore, attempts: list[tuple[Attempt, str]], seed: int, loads: int
) -> None:
    keys = {a.n: {"routing_key": key} for a, key in attempts}
    rows = rows_of([a for a, _ in attempts], None, keys)
    for row, (_, key) in zip(rows["delivery_facts"], attempts, strict=True):
        row["routing_key"] = key
    found = judged(reused, rows, seed, loads, "refused")
    assert {(v["n"], v["queue"]) for v in found} == refusals(attempts)


# -- duplicated: publish_retry


@st.composite
def impatience(draw: st.DrawFn) -> tuple[Rows, set[tuple[int, str]]]:
    """Messages of which a producer tries some again, by what it knows them by; and which tries are
    copies, in which queue: the first try came there too, and the two can be told to be one."""
    publishes: list[dict[str, Any]] = []
    deliveries: list[dict[str, Any]] = []
    copies: set[tuple[int, str]] = set()
    clock = n = 0
    count = draw(st.integers(1, 4))
    alike = count > 1 and draw(st.booleans())
    for message in range(count):
        ids = draw(st.sampled_from(["same", "new", "none"]))
        tries = draw(st.integers(1, 3))
        came_first: set[str] = set()
        for attempt in range(1, tries + 1):
            n += 1
            clock += 10
            name = {"same": f"id{message}", "new": f"id{message}.{attempt}", "none": None}[ids]
            body = "all alike" if alike else f"body{message}"
            outcome = "confirmed" if attempt == tries else "unknown"
            publishes.append(publish_row(n, message_id=name, body_hash=body, outcome=outcome, start_ns=clock, end_ns=clock + 5))  # fmt: skip
            for lane, where in enumerate(("work", "audit"), 1):
                if draw(st.integers(0, 3)):
                    row = delivery_row(n, Attempt(n, lane, n, clock + 100, clock + 105, queue=where))  # fmt: skip
                    deliveries.append({**row, "span_id": f"{1000 * lane + n:016x}", "message_id": name})  # fmt: skip
                    if attempt == 1:
                        came_first.add(where)
                    elif where in came_first and (ids == "same" or not alike):
                        copies.add((n, where))
    return {"publish_facts": publishes, "delivery_facts": deliveries}, copies


@settings(max_examples=rounds(12), deadline=None)
@given(impatience(), st.integers(0, 99), st.integers(1, 2))
def test_retries_agree_with_their_oracle(
    reused: DuckDBStore, story: tuple[Rows, set[tuple[int, str]]], seed: int, loads: int
) -> None:
    rows, copies = story
    found = judged(reused, rows, seed, loads, "duplicated_retry")
    assert {(v["n"], v["queue"]) for v in found if v["role"] == "copy"} == copies
    assert {(v["verdict"], v["confidence"]) for v in found} <= {("publish_retry", "proven")}
