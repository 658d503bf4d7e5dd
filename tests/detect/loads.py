"""Histories that arrive in many loads, in an order of chance: late, split, corrected; and what is
said of them in the end."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.roll import forget_loads
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import Attempt, put
from tests.detect.order_oracle import Queue
from tests.detect.simulator import History

Rows = Mapping[str, list[dict[str, Any]]]
_LATER = ("settlement", "settled_ns", "failed")
_FIRST = "SELECT message, min(first_batch) AS batch FROM (SELECT message, first_batch FROM publish_facts UNION ALL SELECT substr(stamp, 3, 16) || '.' || split_part(stamp, '.', 3) || '.' || split_part(stamp, '.', 4), first_batch FROM delivery_facts) GROUP BY message"


def arrive(
    store: DuckDBStore,
    start: Callable[[], Runner],
    rows: Rows,
    loads: int,
    chance: random.Random,
    *,
    calm: bool,
    restarts: float = 0,
) -> Runner:
    """Puts ``rows`` into ``store`` in about so many loads and judges after each: roughly in the order
    in which they happened, some late, some settlements later than their deliveries. ``calm``: most
    processes send at their own pace, and little is late beyond that. ``restarts``: how often the
    runner is another process's."""
    runner = start()
    paces: dict[Any, int] = defaultdict(lambda: chance.choice([0, 0, 1, 2]))
    parts: dict[int, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    corrections: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for table, lines in rows.items():
        for index, row in enumerate(lines):
            at = index * loads // len(lines)
            if calm:
                late = loads if chance.random() < 0.002 else paces[row.get("vhost"), row["channel"]] if table == "delivery_facts" else 0  # fmt: skip
            else:
                late = chance.choice([0, 0, 0, 0, 1, 2, loads])
            number = min(loads - 1, at + (late if calm else chance.randint(0, late)))
            if table == "delivery_facts" and chance.random() < (0.002 if calm else 0.2):
                after = chance.randint(number, loads - 1) + 1
                corrections[after].append({**row, "batch": after + 1})
                row = {**row, **dict.fromkeys(_LATER[:2])}
            parts[number][table].append(row)
    for number in range(loads + 1):
        batch = number + 1
        told = parts[number]
        for lines in told.values():
            for row in lines:
                row["batch"] = batch
                if "first_batch" in row:
                    row["first_batch"] = batch
        put(store, told, batch)
        _correct(store, corrections[number], batch)
        _reach(store, batch)
        if batch % 3 == 0:
            _forget_loads(store, batch)
        if restarts and chance.random() < restarts:
            runner = start()
        if chance.random() < 0.8:
            runner.run()
            assert not runner.failures
    return runner


def _correct(store: DuckDBStore, rows: list[dict[str, Any]], batch: int) -> None:
    """Deliveries of which their settlement came to be known in load ``batch``."""
    if not rows:
        return
    with store.write() as session:
        session.register("corrected", pa.Table.from_pylist(rows))
        session.execute(
            "UPDATE delivery_facts AS d SET batch = $batch, settlement = c.settlement, settled_ns = c.settled_ns FROM corrected c WHERE d.trace_id = c.trace_id AND d.span_id = c.span_id",
            {"batch": batch},
        )


def _reach(store: DuckDBStore, batch: int) -> None:
    """How far back load ``batch`` is told of, as the loader writes it down."""
    with store.write() as session:
        session.execute(
            f"UPDATE loaded SET about_since = coalesce((SELECT min(f.batch) FROM ({_FIRST}) f WHERE f.message IN (SELECT message FROM publish_facts WHERE batch = $batch UNION ALL SELECT substr(stamp, 3, 16) || '.' || split_part(stamp, '.', 3) || '.' || split_part(stamp, '.', 4) FROM delivery_facts WHERE batch = $batch)), $batch) WHERE batch = $batch",
            {"batch": batch},
        )


def _forget_loads(store: DuckDBStore, until: int) -> None:
    """As a roll does while detectors have not come that far."""
    with store.write() as session:
        forget_loads(session, rolled=max(0, until - 3), until=until)


def told(store: DuckDBStore) -> list[tuple[Any, ...]]:
    """Everything that is said of single messages."""
    with store.read() as session:
        rows = session.rows("SELECT * FROM judgements ORDER BY ALL")
    return [tuple(row.values()) for row in rows]


def anew(store: DuckDBStore, **more: Any) -> list[tuple[Any, ...]]:
    """What one judgement of everything that ``store`` holds says."""
    with store.write() as session:
        session.execute("DELETE FROM judgements")
        session.execute("DELETE FROM meta WHERE key LIKE 'judged:%'")
    runner = Runner(store, **more)
    runner.settle()
    assert not runner.failures
    return told(store)


def stream(number: int, chance: random.Random, count: int = 150) -> History:
    """A long history that is in order but for a few: consumers of unlike speed, some messages given
    back or taken from a channel that closed, some retried, some keyed."""
    lanes = chance.choice([1, 1, 2, 3])
    disorder = chance.choice([0.0, 0.01, 0.05])
    keyed = chance.random() < 0.3
    plan: list[Attempt] = []
    publishes: dict[int, dict[str, Any]] = {}
    counted: dict[str, int] = defaultdict(int)
    for n in range(1, count + 1):
        at = n * 20
        publishes[n] = {"start_ns": at - 8, "end_ns": at - 7}
        if chance.random() < disorder and n > 1:
            publishes[n - 1] |= {"outcome": "unknown", "body_hash": f"b{n}"}
            publishes[n] |= {"body_hash": f"b{n}"}
        key = chance.choice(["aaaaaaaa", "bbbbbbbb"]) if keyed and chance.random() < 0.5 else None
        counted[key or ""] += 1
        lane = chance.randint(1, lanes)
        slow = chance.randint(30, 200) if chance.random() < disorder else 0
        received = at + chance.randint(0, 5) + (slow if chance.random() < 0.5 else 0)
        one = Attempt(n, lane, 0, received, received + 4 + slow, key=key, k=counted[key] if key else None)  # fmt: skip
        if chance.random() < disorder:
            again = received + chance.randint(20, 300)
            ended = chance.choice(["nack_requeue", "reject_requeue", None])
            plan.append(one.but(settlement=ended))
            one = one.but(received=again, settled=again + 4, redelivered=True, lane=chance.randint(1, lanes + 1))  # fmt: skip
        plan.append(one)
    tags: dict[int, int] = defaultdict(int)
    attempts: list[Attempt] = []
    for attempt in sorted(plan, key=lambda a: (a.received, a.n)):
        tags[attempt.lane] += 1
        attempts.append(attempt.but(tag=tags[attempt.lane]))
    return History(number, Queue(True, single_active=chance.random() < 0.2), attempts, publishes, False)  # fmt: skip
