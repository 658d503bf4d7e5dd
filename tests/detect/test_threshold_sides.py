"""Every threshold from both sides: just short of it nothing is said, or less; at it the finding is there.
And set a step further it is not, so that it is the setting that decides. Lateness: ``test_findings.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, NamedTuple

import pytest

from strayline_collector.detect.runner import Runner
from strayline_collector.detect.thresholds import DEFAULTS, Thresholds
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import (  # fmt: skip
    Attempt,
    S,
    binding,
    emptied,
    exchange,
    publish_row,
    put,
    queue,
    write,
)
from tests.detect.test_reordered import reused  # noqa: F401 - a fixture

Write = Callable[[DuckDBStore, float], None]
H = 3600 * S


class Side(NamedTuple):
    """``history`` of a number: ``short`` of the default or ``at`` it. ``further`` is a setting by which
    the latter is short too."""

    history: Write
    short: float
    at: float
    further: float
    what: tuple[str, str | None]
    severity: tuple[str | None, str]
    """Of what is said short of it (None: nothing) and at it."""


def kind_of(
    store: DuckDBStore, usual: int, odd: int, others: int, third: int = 0, old: int = 0
) -> None:
    """Messages of type ``paid`` by their usual key, by an odd one and by a third, and ``others`` to whom the
    odd key belongs. The first ``old`` is that many nanoseconds older than the newest."""
    keys = ["paid"] * usual + ["odd"] * odd + ["third"] * third
    mine = {n: {"type": "paid", "routing_key": key} for n, key in enumerate(keys, 1)}
    theirs = {
        n: {"type": "odd", "routing_key": "odd", "service": "others"}
        for n in range(len(mine) + 1, len(mine) + others + 1)
    }
    messages: dict[int, dict[str, Any]] = mine | theirs
    for n, row in messages.items():
        at = 1000 * H + n if n > 1 else 1000 * H + len(messages) - old
        row |= {"start_ns": at, "end_ns": at}
    attempts = [Attempt(n, 1, n, 1000 * H + 10 * n, 1000 * H + 10 * n + 5) for n in messages]
    write(store, attempts, {}, messages)


def operations(store: DuckDBStore, odd: int) -> None:
    """30 operations, 28 of which publish the usual key; ``odd`` publish the odd one, all but two of them
    beside the usual."""
    units = [["paid"]] * (30 - odd) + [["paid", "odd"]] * (odd - 2) + [["odd"]] * 2
    told = [(unit, key) for unit, keys in enumerate(units, 1) for key in keys]
    mine = {
        n: {"trace_id": f"{unit:032x}", "operation_span_id": f"{unit:016x}", "routing_key": key}
        for n, (unit, key) in enumerate(told, 1)
    }
    theirs = {
        n: {"operation": "other", "service": "others", "routing_key": "odd"}
        for n in range(len(mine) + 1, len(mine) + 61)
    }
    messages: dict[int, dict[str, Any]] = mine | theirs
    write(store, [Attempt(n, 1, n, 10 * n, 10 * n + 5) for n in messages], {}, messages)
    with store.write() as session:
        session.execute(
            "UPDATE delivery_facts SET publish_trace_id = p.trace_id, publish_span_id = p.span_id FROM publish_facts p WHERE p.message = delivery_facts.message"
        )


def returned(store: DuckDBStore, count: float) -> None:
    lost = {n: {"routing_key": "odd", "outcome": "returned"} for n in range(1, int(count) + 1)}
    bound = [queue("work"), exchange("x", "topic"), binding("x", "work", "paid")]
    write(store, [], None, lost, topology=bound)


def refusing(store: DuckDBStore, tries: float) -> None:
    """The consumer of ``work`` fails on so many of one key, and takes another; ``audit`` takes both."""
    often = int(tries)
    keys = {n: {"routing_key": "paid" if n <= often else "created"} for n in range(1, often + 3)}
    attempts: list[Attempt] = []
    for n in keys:
        bad = n <= often
        for lane, name in ((1, "work"), (2, "audit")):
            settled = "reject_drop" if bad and name == "work" else "ack"
            attempts.append(
                Attempt(n, lane, n, 100 * n, 100 * n + 5, settled, queue=name, service=name)
            )
    write(store, attempts, None, keys)
    with store.write() as session:
        session.execute(
            "UPDATE delivery_facts SET routing_key = p.routing_key FROM publish_facts p WHERE p.message = delivery_facts.message"
        )


def failing(store: DuckDBStore, tries: int, over_s: float) -> None:
    """One message given back so often, the first and the last try so far apart."""
    step = int(over_s * S / (tries - 1))
    write(store, [
        Attempt(1, 1, tag, step * tag - 5, step * tag, "nack_requeue", redelivered=tag > 1) for tag in range(1, tries + 1)
    ])  # fmt: skip


def waiting(store: DuckDBStore, sent_s: float, *outs: int) -> None:
    """Messages handled at once at these seconds; one sent at ``sent_s`` waits until 10,000."""
    attempts = [Attempt(n, 1, n, at * S, at * S + 1) for n, at in enumerate(outs, 1)]
    times = {**{n: at * S - 1 for n, at in enumerate(outs, 1)}, len(outs) + 1: int(sent_s * S)}
    sent = {n: {"start_ns": at, "end_ns": at} for n, at in times.items()}
    parts = (exchange("x", "direct"), queue("work"), binding("x", "work", "k"))
    write(store, attempts, None, sent, topology=[{**p, "seen_ns": t * S} for t in (1, 100_000) for p in parts])  # fmt: skip


def unseen(store: DuckDBStore, seen: float) -> None:
    """Of five messages so many, and one more, came out of the queue. Four of five are 0.8."""
    share = {0.75: (1, 2, 4), 0.8: (1, 2, 3, 5)}[seen]
    numbers = range(1, max(share) + 1)
    census = {
        "consumers": [{"channel": 1, "queues": ["work"], "delivery_tag": len(share), "unsettled": []}],
        "channels": [], "spans_dropped": 0, "at_unix_nano": 2000, "last": True,
    }  # fmt: skip
    parts = (exchange("x", "direct"), queue("work"), binding("x", "work", "k"))
    attempts = [
        Attempt(n, 1, tag, 1000 + 10 * tag, 1005 + 10 * tag) for tag, n in enumerate(share, 1)
    ]
    write(
        store, attempts, None, {n: {"start_ns": 100 + n, "end_ns": 100 + n} for n in numbers}, [census],
        [{**p, "seen_ns": t} for t in (1, 10_000) for p in parts],
    )  # fmt: skip


def silent(store: DuckDBStore, count: float) -> None:
    put(store, {"publish_facts": [publish_row(n) for n in range(1, int(count) + 1)]})


OUTLIER = ("misrouted", "outlier")
WARNING = (None, "warning")
SIDES: dict[str, Side] = {
    "outlier_kind_size": Side(lambda s, n: kind_of(s, int(n) - 1, 1, 30), 29, 30, 31, OUTLIER, WARNING),
    "outlier_share": Side(lambda s, n: kind_of(s, int(n), 3, 60, third=27 - int(n)), 26, 27, 0.91, OUTLIER, WARNING),
    "outlier_rare_share": Side(lambda s, n: operations(s, int(n)), 4, 3, 0.09, OUTLIER, WARNING),
    "outlier_foreign_share": Side(lambda s, n: kind_of(s, 29, 1, int(n)), 8, 9, 0.91, OUTLIER, WARNING),
    "population_h": Side(lambda s, old: kind_of(s, 29, 1, 30, old=int(old)), 24 * H + S, 24 * H - S, 23.99, OUTLIER, WARNING),
    "silent_key_publishes": Side(returned, 29, 30, 31, ("unroutable", None), ("warning", "info")),
    "refused_tries": Side(refusing, 1, 2, 3, ("misrouted", "refused"), WARNING),
    "loop_tries": Side(lambda s, n: failing(s, int(n), 60), 4, 5, 6, ("redelivery_loop", None), WARNING),
    "loop_rate_per_s": Side(lambda s, n: failing(s, int(n), 5), 9, 10, 1.1, ("redelivery_loop", None), ("warning", "error")),
    "loop_rate_window_s": Side(lambda s, over: failing(s, 10, over), 10.1, 10, 9.5, ("redelivery_loop", None), ("warning", "error")),
    "stalled_after_s": Side(lambda s, waits: waiting(s, 10_000 - waits, 10), 299, 300, 301, ("stalled", None), WARNING),
    "stalled_gap_factor": Side(lambda s, waits: waiting(s, 10_000 - waits, 10, 210), 599, 600, 3.01, ("stalled", None), WARNING),
    "unseen_share": Side(unseen, 0.75, 0.8, 0.81, ("lost", "unseen"), ("info", "warning")),
    "uninstrumented_messages": Side(silent, 19, 20, 21, ("uninstrumented", None), (None, "info")),
}  # fmt: skip


NOW = {"stalled": 10_000 * S, "lost": 10_000}
"""When those are judged that are told by what did not come."""


def test_every_threshold_is_here() -> None:
    assert set(SIDES) == {field.name for field in fields(Thresholds)}


@pytest.fixture
def said(reused: DuckDBStore) -> Callable[[Side, float, Thresholds], str | None]:  # noqa: F811
    def severity(side: Side, number: float, thresholds: Thresholds) -> str | None:
        side.history(emptied(reused), number)
        runner = Runner(reused, thresholds=thresholds)
        runner.settle(now_ns=NOW.get(side.what[0]))
        assert not runner.failures
        with reused.read() as session:
            rows = session.rows(
                "SELECT DISTINCT severity FROM findings WHERE status = 'open' AND kind = $kind AND verdict IS NOT DISTINCT FROM $verdict",
                {"kind": side.what[0], "verdict": side.what[1]},
            )
        assert len(rows) <= 1
        return rows[0]["severity"] if rows else None

    return severity


@pytest.mark.parametrize("name", SIDES)
def test_short_of_it_nothing_or_less_and_at_it_the_finding(
    said: Callable[[Side, float, Thresholds], str | None], name: str
) -> None:
    side = SIDES[name]
    assert (said(side, side.short, DEFAULTS), said(side, side.at, DEFAULTS)) == side.severity
    stricter = replace(DEFAULTS, **{name: side.further})
    assert said(side, side.at, stricter) == side.severity[0]
