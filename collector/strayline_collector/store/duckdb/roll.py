"""Rolling loads up: what graphs and rates are made of, by the minute, so that nobody adds up spans.

Each roll adds what the loads since the last one changed. Calls are pairs of spans within a trace:
what a trace's calls became, less what they were, is right whatever comes late.
"""

from __future__ import annotations

from typing import Final

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.duckdb.roll_messages import roll_messages
from strayline_collector.store.ports import Session

ROLL_SPANS: Final = 50_000
"""Spans that may wait: a reader adds them up itself, at 1 µs a span."""
ROLL_LOADS: Final = 240
"""Loads that may wait: a minute of them at four a second."""
_ALWAYS: Final = {"start_ns": 0, "end_ns": 2**63 - 1}


def roll(session: Session, *, spans: int = ROLL_SPANS, loads: int = ROLL_LOADS) -> bool:
    """Rolls up what has come since the last roll, in the caller's transaction, when that is more
    than ``spans`` or ``loads``. Returns whether it did."""
    rows = session.rows(load("roll/last"))
    if not rows:
        return False
    state = rows[0]
    if state["waiting"] < spans and state["newest"] - state["rolled"] < loads:
        return False
    bounds = {"rolled": int(state["rolled"]), "until": int(state["newest"])}
    calls = session.table(load("roll/calls"), {**bounds, **_since(session, bounds), **_ALWAYS})
    session.register("calls", calls)
    session.execute(
        "INSERT INTO call_minutes BY NAME SELECT $until AS batch, * FROM calls",
        {"until": bounds["until"]},
    )
    session.register("services", session.table(load("roll/services"), bounds))
    session.execute(
        "INSERT INTO service_minutes BY NAME SELECT $until AS batch, * FROM services",
        {"until": bounds["until"]},
    )
    roll_messages(session, bounds["until"])
    session.execute(load("roll/done"), {"until": bounds["until"]})
    forget_loads(session, **bounds)
    session.execute(load("roll/forget_operations"))
    return True


def forget_loads(session: Session, *, rolled: int, until: int) -> None:
    """Puts what is known of the loads after ``rolled`` up to ``until`` together in that one. How far
    back they reach stays known: a detector that has not come that far yet looks there."""
    for name in ("roll/reach", "roll/forget_loads"):
        session.execute(load(name), {"rolled": rolled, "until": until})


def _since(session: Session, bounds: dict[str, int]) -> dict[str, int]:
    return session.rows(load("roll/since"), {"rolled": bounds["rolled"]})[0]
