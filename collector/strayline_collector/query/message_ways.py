"""The ways of messages over any range: who published, through which exchange and queue, who handled.

Whole minutes that are rolled up come from their rows, everything else from the facts: counts are
exact, quantiles within the width of a bucket (9 %). Where nothing is rolled up yet both are exact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from strayline_collector.query.calls import MINUTE_NS, Histogram, quantile_ms, whole_minutes
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.duckdb.roll_messages import (
    add_up,
    changed_minutes,
    register_minutes,
)
from strayline_collector.store.ports import Row, Session

_DELIVERED: Final = ("producer", "consumer", "exchange_broker", "exchange_vhost", "exchange", "broker", "vhost", "queue")  # fmt: skip
_PUBLISHED: Final = ("producer", "exchange_broker", "exchange_vhost", "exchange")


@dataclass(frozen=True, slots=True)
class Ways:
    """``deliveries`` as ``query/graph_deliveries.sql`` tells them, ``publishes`` and ``steps`` as
    ``graph_publishes.sql`` and ``graph_steps.sql``."""

    deliveries: list[Row]
    publishes: list[Row]
    steps: list[Row]


def read_ways(
    session: Session, range_ns: Mapping[str, int], seen: Mapping[str, int], step_ns: int
) -> Ways:
    """Of the messages published and received in ``range_ns``; steps of ``step_ns`` from
    ``seen["start_ns"]`` on."""
    rolled = int(session.rows(load("roll/messages_waiting"))[0]["rolled"])
    if not rolled:
        return Ways(
            session.rows(load("query/graph_deliveries"), range_ns),
            session.rows(load("query/graph_publishes"), range_ns),
            session.rows(load("query/graph_steps"), {**seen, "step_ns": step_ns}),
        )
    ends = session.rows(load("query/message_ends"))[0]
    if ends["oldest_ns"] is None:  # nothing to plan ten statements for
        return Ways([], [], [])
    session.register("ways", _ways(session, range_ns, rolled, ends))
    sums = session.rows(load("query/message_way_sums"))
    steps = {"start_ns": seen["start_ns"], "step_ns": step_ns}
    return Ways(
        deliveries=_added_up(sums, _DELIVERED, {"handled": ("p50_ms", "p95_ms"), "waited": (None, "queue_wait_p95_ms")}),
        publishes=[
            {**row, "broker": row["exchange_broker"], "vhost": row["exchange_vhost"]}
            for row in _added_up(sums, _PUBLISHED, {"published": ("p50_ms", "p95_ms")})
        ],
        steps=session.rows(load("query/message_way_steps"), steps),
    )  # fmt: skip


def _ways(
    session: Session, range_ns: Mapping[str, int], rolled: int, ends: Mapping[str, Any]
) -> pa.Table:
    start, end = range_ns["start_ns"], range_ns["end_ns"]
    first, last = whole_minutes(range_ns, ends)
    parts = {m for m in (start // MINUTE_NS, end // MINUTE_NS) if not first <= m <= last}
    again = sorted({*changed_minutes(session, rolled), *parts})
    register_minutes(session, again)
    session.register("messages_now", add_up(session, rolled, 2**62, again, range_ns))
    whole = {"first_minute": first, "last_minute": last}
    return session.table(load("query/message_ways"), whole)


def _added_up(
    rows: Iterable[Row],
    names: tuple[str, ...],
    figures: Mapping[str, tuple[str | None, str]],
) -> list[Row]:
    """Rows that one way has for each kind of duration, as one; ``figures``: what the median and the
    95th percentile of each are called. The first kind counts."""
    counting = next(iter(figures))
    totals: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    durations: dict[str, dict[tuple[Any, ...], Histogram]] = {
        told: defaultdict(lambda: defaultdict(int)) for told in figures
    }
    for row in rows:
        if row["told"] not in figures:
            continue
        key = tuple(row[name] for name in names)
        if row["told"] == counting:
            for place, name in enumerate(("calls", "messages", "errors")):
                totals[key][place] += row[name]
        if row["bucket"] is not None:
            durations[row["told"]][key][row["bucket"]] += row["calls"]
    found: list[Row] = []
    for key, (calls, messages, errors) in totals.items():
        if calls <= 0:
            continue
        row: Row = dict(zip(names, key, strict=True))
        row |= {"calls": calls, "messages": min(max(1, messages), calls), "errors": errors}
        for told, (median, high) in figures.items():
            if median is not None:
                row[median] = quantile_ms(durations[told][key], 0.5)
            row[high] = quantile_ms(durations[told][key], 0.95)
        found.append(row)
    return found
