"""Rolling loads up: what graphs and rates are made of, by the minute, so that nobody adds up spans.

Each roll adds what the loads since the last one changed. Calls are pairs of spans within a trace:
what a trace's calls became, less what they were, is right whatever comes late.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.duckdb.roll_messages import roll_messages
from strayline_collector.store.ports import Session

ROLL_SPANS: Final = 50_000
"""Spans that may wait: a reader adds them up itself, at 1 µs a span."""
ROLL_LOADS: Final = 240
"""Loads that may wait: a minute of them at four a second."""
_ALWAYS: Final = {"start_ns": 0, "end_ns": 2**63 - 1}
_WRITTEN: Final = (
    ("call_starts", "calls"),
    ("call_minutes", "minutes"),
    ("service_minutes", "services"),
)


def roll(session: Session, *, spans: int = ROLL_SPANS, loads: int = ROLL_LOADS) -> bool:
    """Rolls up what has come since the last roll, in the caller's transaction, when that is more
    than ``spans`` or ``loads``. Returns whether it did."""
    rows = session.rows(load("roll/last"))
    if not rows:
        return False
    state = rows[0]
    if state["waiting"] < spans and state["newest"] - state["rolled"] < loads:
        return False
    rolled, until = int(state["rolled"]), int(state["newest"])
    bounds = {"rolled": rolled, "until": until}
    session.register("calls", changed_calls(session, rolled=rolled, until=until, grain_ns=1))
    session.register("minutes", session.table(load("roll/call_minutes")))
    session.register("services", session.table(load("roll/services"), bounds))
    for table, rows in _WRITTEN:
        session.execute(
            f"INSERT INTO {table} BY NAME SELECT $until AS batch, * FROM {rows}",  # noqa: S608 - our own names
            {"until": until},
        )
    roll_messages(session, until)
    session.execute(load("roll/done"), {"until": until})
    forget_loads(session, rolled=rolled, until=until)
    session.execute(load("roll/forget_operations"))
    return True


def forget_loads(session: Session, *, rolled: int, until: int) -> None:
    """Puts what is known of the loads after ``rolled`` up to ``until`` together in that one. How far
    back they reach stays known: a detector that has not come that far yet looks there."""
    for name in ("roll/reach", "roll/forget_loads"):
        session.execute(load(name), {"rolled": rolled, "until": until})


def changed_calls(
    session: Session,
    *,
    rolled: int,
    until: int,
    grain_ns: int = 2**62,
    range_ns: Mapping[str, int] = _ALWAYS,
) -> pa.Table:
    """What the loads after ``rolled`` up to ``until`` change in the calls that started within ``range_ns``: a
    row for each way, duration and ``grain_ns`` of time, which is called ``start_ns``."""
    bounds = {"rolled": rolled, "until": until, "grain": grain_ns}
    since = session.rows(load("roll/since"), {"rolled": rolled})[0]
    return session.table(load("roll/calls"), {**bounds, **since, **range_ns})
