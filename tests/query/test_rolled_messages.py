"""What is rolled up of messages says what the facts say, whatever comes late, twice or otherwise."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from strayline_collector.decode.otlp import decode
from strayline_collector.query.graph import read_graph
from strayline_collector.query.times import BEGINNING, END
from strayline_collector.store.duckdb.retain import drop
from strayline_collector.store.duckdb.roll import roll
from strayline_collector.store.duckdb.roll_messages import roll_messages
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.query.test_replies import TOKEN, call, stock
from tests.support.story import CLIENT, CONSUMER, INTERNAL, PRODUCER, START_NS, Told, otlp

ALWAYS = {"start_ns": BEGINNING, "end_ns": END}
MINUTE_MS = 60_000
QUEUES = {"news": ("mail.in", "audit.in"), "": ("work",), "orders": ("billing.in",)}


def happened(seed: int, count: int = 60) -> list[Told]:
    """Four minutes of messages: several copies, redelivered, given back, failed, answered, unheard."""
    chance = random.Random(seed)
    spans: list[Told] = []
    for n in range(count):
        at, exchange = chance.uniform(0, 4 * MINUTE_MS), chance.choice(list(QUEUES))
        way: dict[str, str | int] = {
            "messaging.system": "rabbitmq", "strayline.exchange": exchange,
            "messaging.rabbitmq.destination.routing_key": "work" if exchange == "" else "k",
            "server.address": "mq", "server.port": 5672,
        }  # fmt: skip
        if n % 9 == 0:
            way["strayline.broker"] = "rabbit@mq"  # the address learns its name
        gone = chance.random() < 0.1
        publish = {**way, "strayline.outcome": "unconfirmed"} if gone else way
        who = chance.choice(["shop", "gate"])
        spans.append(Told(f"p{n}", who, PRODUCER, at, at + chance.uniform(0, 9), None, f"t{n}", attributes=publish))  # fmt: skip
        if gone:
            back = {**way, "messaging.operation.name": "return"}
            spans.append(Told(f"b{n}", who, CLIENT, at + 50, at + 51, None, f"t{n}", (f"t{n}:p{n}",), attributes=back))  # fmt: skip
            continue
        for place, queue in enumerate(QUEUES[exchange]):
            for again in range(chance.choice([1, 1, 1, 2])):
                begun = at + chance.uniform(0, 20) + again * chance.choice([25, 70_000])
                told: dict[str, str | int] = {**way, "strayline.queue": queue}
                if chance.random() < 0.5:
                    told["strayline.redelivered"] = "true" if again else "false"
                name, parent, links = f"c{n}{place}{again}", f"p{n}", ()
                if chance.random() < 0.5:
                    parent, links = None, (f"t{n}:p{n}",)
                spans.append(Told(name, queue.split(".")[0], CONSUMER, begun, begun + 10, parent, f"t{n}", links, chance.random() < 0.2, told))  # fmt: skip
        if chance.random() < 0.3:
            spans.append(Told(f"i{n}", who, INTERNAL, at, at + 1, None, f"t{n}"))
    for n in range(3):
        asked = call(n, says=stock, address=("answers", TOKEN, "amq.gen-1")[n], asks={"strayline.reply_to": "answers"} if n == 0 else {})  # fmt: skip
        spans += asked
    return spans


def filled(
    spans: Sequence[Told], order: Sequence[int], *, loads: int, rolling: bool
) -> DuckDBStore:
    store = DuckDBStore.open(":memory:")
    size = -(-len(order) // loads)
    for number, start in enumerate(range(0, len(order), size), start=1):
        part = [spans[place] for place in order[start : start + size]]
        store.append(decode([otlp(part)], 1), Position(1, number), number)
        if rolling and number % 2 == 0:
            with store.write() as session:
                assert roll(session, spans=1)
    return store


def counted(store: DuckDBStore, range_ns: dict[str, int], *, ordered: bool = False) -> Any:
    """The graph on both levels without what a histogram tells, and without ``messages`` unless they
    came in order: a second delivery that is rolled up before the first has come counts as one too."""
    left = {
        "p50_ms",
        "p95_ms",
        "queue_wait_p95_ms",
        "sparkline",
        *(() if ordered else ("messages",)),
    }
    found: list[Any] = []
    with store.read() as session:
        for level in ("service", "messaging"):
            graph = read_graph(session, range_ns, level)
            for part in (graph["nodes"], graph["edges"]):
                found += [{k: v for k, v in row.items() if k not in left} for row in part]
    return found


@pytest.mark.parametrize("seed", [1, 4])
def test_the_graph_of_messages_is_the_exact_one(seed: int) -> None:
    spans = happened(seed)
    chance = random.Random(seed)
    order = [*range(len(spans)), *chance.sample(range(len(spans)), len(spans) // 4)]
    chance.shuffle(order)
    rolled = filled(spans, order, loads=7 if seed % 2 else 6, rolling=True)
    plain = filled(spans, order, loads=1, rolling=False)
    with rolled.read() as session:
        assert session.rows("SELECT count(*) AS n FROM message_minutes")[0]["n"] > 20
        assert session.rows("SELECT max(batch) AS n FROM messages_rolled")[0]["n"] == 6
    assert counted(rolled, ALWAYS) == counted(plain, ALWAYS)
    for start_ms, end_ms in ((17_000, 171_000), (0, 1000), (65_000, 70_000), (-5, 100_000), (100_000, 10**9)):  # fmt: skip
        range_ns = {"start_ns": START_NS + start_ms * 10**6, "end_ns": START_NS + end_ms * 10**6}
        assert counted(rolled, range_ns) == counted(plain, range_ns)
    with rolled.read() as one, plain.read() as other:
        pairs = zip(*(read_graph(s, ALWAYS, "service")["edges"] for s in (one, other)), strict=True)
        for found, exact in pairs:
            if exact["calls"] > 20 and exact["queue_wait_p95_ms"]:
                assert found["p95_ms"] == pytest.approx(exact["p95_ms"], rel=0.1)
                assert found["queue_wait_p95_ms"] == pytest.approx(exact["queue_wait_p95_ms"], rel=0.25)  # fmt: skip
    rolled.close()
    plain.close()


def test_what_comes_in_order_counts_each_message_once_with_its_steps() -> None:
    spans = sorted(happened(6), key=lambda s: s.start_ms)
    rolled = filled(spans, range(len(spans)), loads=6, rolling=True)
    plain = filled(spans, range(len(spans)), loads=1, rolling=False)
    assert counted(rolled, ALWAYS, ordered=True) == counted(plain, ALWAYS, ordered=True)
    with rolled.read() as one, plain.read() as other:
        for found, exact in zip(*(read_graph(s, ALWAYS, "messaging")["nodes"] for s in (one, other)), strict=True):  # fmt: skip
            assert sum(found["sparkline"]) == sum(exact["sparkline"])
    rolled.close()
    plain.close()


def test_what_was_stored_before_is_rolled_up_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an older file's: everything waits at once."""
    spans = happened(7)
    store = filled(spans, range(len(spans)), loads=3, rolling=False)
    exact = counted(store, ALWAYS, ordered=True)
    monkeypatch.setattr("strayline_collector.store.duckdb.roll_messages.STEP_FACTS", 20)
    with store.write() as session:
        roll_messages(session, 3)
        assert session.rows("SELECT batch FROM messages_rolled") == [{"batch": 3}]
        assert session.rows("SELECT count(*) AS n FROM message_minutes")[0]["n"] > 20
    assert counted(store, ALWAYS, ordered=True) == exact
    store.close()


def test_a_day_in_any_order_waits_and_is_counted_nevertheless(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("strayline_collector.store.duckdb.roll_messages.MOST_AGAIN", 0)
    monkeypatch.setattr("strayline_collector.store.duckdb.roll_messages.MOST_TIMES", 1)
    spans = happened(8)
    order = random.Random(8).sample(range(len(spans)), len(spans))
    rolled = filled(spans, order, loads=6, rolling=True)
    plain = filled(spans, order, loads=1, rolling=False)
    with rolled.read() as session:
        assert session.rows("SELECT max(batch) AS n FROM messages_rolled")[0]["n"] < 6
    assert counted(rolled, ALWAYS) == counted(plain, ALWAYS)
    rolled.close()
    plain.close()


def test_what_retention_drops_is_counted_no_more() -> None:
    spans = sorted(happened(9), key=lambda s: s.start_ms)
    store = filled(spans, range(len(spans)), loads=6, rolling=True)
    with store.write() as session:
        drop(session, 2)
    rolled = counted(store, ALWAYS)
    with store.write() as session:
        session.execute("DELETE FROM messages_rolled")
    exact = counted(store, ALWAYS)

    def handled(parts: Any) -> list[Any]:  # who published them is known for longer than the publish
        return [
            part for part in parts if part.get("source", "").startswith(("queue:", "exchange:"))
        ]

    assert handled(rolled) == handled(exact)
    assert handled(rolled)
    store.close()
