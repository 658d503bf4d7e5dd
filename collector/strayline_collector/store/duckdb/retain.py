"""Retention: the oldest loads go, from every table at once, in steps that hold nobody up long.

Age counts from arrival. What goes is a prefix of the loads up to a roll, whole days first: a day
(an hour, where all that is stored is younger than two) goes when all of it may.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.duckdb.roll_messages import add_up_again
from strayline_collector.store.ports import Row, Session

STEP_SPANS: Final = 500_000
"""One transaction drops about this many."""
ROOM: Final = 0.9
"""Of a size limit, what is aimed at: blocks come free some loads after their rows have gone."""

MINUTE_NS: Final = 60_000_000_000
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS

TABLES: Final = (
    ("spans", "batch"),
    ("long_texts", "batch"),
    ("span_links", "batch"),
    ("publish_facts", "first_batch"),
    ("delivery_facts", "first_batch"),
    ("handover_facts", "first_batch"),
    ("settlement_facts", "batch"),
    ("return_facts", "batch"),
    ("open_operations", "first_batch"),
    ("census", "batch"),
    ("level_facts", "batch"),
    ("judgements", "batch"),
    ("trace_directory", "batch"),
    ("message_directory", "batch"),
    ("call_minutes", "batch"),
    ("call_starts", "batch"),
    ("calls_by_minute", "batch"),
    ("service_minutes", "batch"),
    ("message_minutes", "batch"),
    ("messages_rolled", "batch"),
    ("rolled", "batch"),
)
"""Every table of telemetry with the column that says which load a row came with. What is known of
processes, brokers and topology holds on."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long and how much is kept; None: without limit."""

    age_ns: int | None = None
    size_bytes: int | None = None


def outlived(rolls: Sequence[Row], retention: Retention, *, now_ns: int, used_bytes: int) -> int:
    """The load up to which ``rolls`` (``batch``, ``loaded_ns``, running ``spans``) are to go now; 0
    when none is."""
    return max(_too_old(rolls, retention.age_ns, now_ns), _too_many(rolls, retention, used_bytes))


def step(rolls: Sequence[Row], until: int) -> int | None:
    """The load up to which one transaction drops, on the way to ``until``."""
    ahead = [roll for roll in rolls if roll["batch"] <= until]
    enough = (roll for roll in ahead if roll["spans"] >= STEP_SPANS)
    found = next(enough, ahead[-1] if ahead else None)
    return None if found is None else int(found["batch"])


def _too_old(rolls: Sequence[Row], age_ns: int | None, now_ns: int) -> int:
    if age_ns is None:
        return 0
    unit = DAY_NS if age_ns >= 2 * DAY_NS else HOUR_NS if age_ns >= 2 * HOUR_NS else MINUTE_NS
    before_ns = (now_ns - age_ns) // unit * unit
    return max((int(r["batch"]) for r in rolls if r["loaded_ns"] < before_ns), default=0)


def _too_many(rolls: Sequence[Row], retention: Retention, used_bytes: int) -> int:
    limit = retention.size_bytes
    if limit is None or used_bytes <= limit or not rolls:
        return 0
    goal = rolls[-1]["spans"] * (1 - ROOM * limit / used_bytes)
    enough = next((r for r in rolls if r["spans"] >= goal), rolls[-1])
    for unit in (DAY_NS, HOUR_NS):
        first, last = (int(rolls[at]["loaded_ns"]) // unit for at in (0, -1))
        if first == last:
            continue
        # all of the unit that the goal lies in, unless that is the newest
        end = min(int(enough["loaded_ns"]) // unit, last - 1)
        return max(int(r["batch"]) for r in rolls if r["loaded_ns"] // unit <= end)
    return int(enough["batch"])


def drop(session: Session, until: int) -> None:
    """Drops the loads up to ``until``, the newest of a roll, in the caller's transaction."""
    roll = next(r for r in session.rows(load("retain/rolls")) if r["batch"] == until)
    session.execute(load("retain/freeze"), {"until": until})
    minutes = session.table(load("roll/messages_dropped"), {"until": until})["minute"].to_pylist()
    for table, column in TABLES:
        delete = f"DELETE FROM {table} WHERE {column} <= $until"  # noqa: S608 - our own names
        session.execute(delete, {"until": until})
    if minutes:
        add_up_again(session, minutes)
    session.execute(load("retain/rolled"), {"dropped": roll["spans"]})
    session.execute(load("retain/recount"), {"dropped": roll["spans"]})
