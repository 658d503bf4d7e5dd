"""Rolling messages up by the minute and the way they took (``message_minutes``).

What a load says of a message may change what an earlier one said: a publish comes after its
delivery, a broker gives back what it had confirmed. Minutes that are told otherwise than when they
were rolled up are added up anew, and the difference is written, so that rows only ever add up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final

import pyarrow as pa

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session

MOST_AGAIN: Final = 200_000
MOST_TIMES: Final = 5
"""Facts that a roll may add up anew: so many, and so many for each that changed. A day that comes in
any order would else be added up with every load."""
STEP_FACTS: Final = 200_000
"""Facts that are added up at once: some 100 MB."""

_MINUTE_NS: Final = 60_000_000_000
_ALWAYS: Final = {"start_ns": 0, "end_ns": 2**63 - 1}
_NEVER: Final = (1, 0)
_ROWS: Final = pa.schema([("minute", pa.int64())])


def roll_messages(session: Session, until: int) -> None:
    """Rolls up the loads up to ``until`` in the caller's transaction, or leaves them waiting."""
    state = session.rows(load("roll/messages_waiting"))[0]
    rolled, waiting = int(state["rolled"]), int(state["waiting"])
    for upto in _steps(session, rolled, until) if waiting else [until]:
        again = changed_minutes(session, rolled)
        register_minutes(session, again)
        touched = int(session.rows(load("roll/messages_touched"))[0]["facts"]) if again else 0
        if touched > MOST_AGAIN + MOST_TIMES * waiting:
            return
        if waiting:
            _write(session, add_up(session, rolled, upto, again, _ALWAYS), until)
        session.execute("DELETE FROM messages_rolled")
        session.execute("INSERT INTO messages_rolled VALUES ($upto)", {"upto": upto})
        rolled = upto


def add_up_again(session: Session, minutes: Sequence[int]) -> None:
    """Sets right what is rolled up of ``minutes`` (in order), some of whose facts have gone."""
    rolled = int(session.rows(load("roll/messages_waiting"))[0]["rolled"])
    register_minutes(session, minutes)
    _write(session, add_up(session, rolled, rolled, minutes, _ALWAYS), rolled)


def _write(session: Session, rows: pa.Table, batch: int) -> None:
    session.register("messages_now", rows)
    session.register("messages_more", session.table(load("roll/messages_more")))
    session.execute(
        "INSERT INTO message_minutes BY NAME SELECT $batch AS batch, * FROM messages_more",
        {"batch": batch},
    )


def changed_minutes(session: Session, rolled: int) -> list[int]:
    """Minutes with something that is rolled up and was told otherwise since, in order."""
    again = session.table(load("roll/messages_again"), {"rolled": rolled})
    return again["minute"].to_pylist()


def register_minutes(session: Session, minutes: Sequence[int]) -> None:
    """They are ``again`` from here on, which is all of their messages."""
    session.register("again", pa.table({"minute": list(minutes)}, schema=_ROWS))


def add_up(
    session: Session, rolled: int, until: int, again: Sequence[int], range_ns: Mapping[str, int]
) -> pa.Table:
    """Rows of ``message_minutes`` of the loads after ``rolled`` up to ``until``, and of all in the
    minutes ``again`` (in order, and registered), of messages within ``range_ns``."""
    bounds = {"rolled": rolled, "until": until, **range_ns}
    (from_1, to_1), (from_2, to_2) = _stretches(again)
    stretches = {"from_1": from_1, "to_1": to_1, "from_2": from_2, "to_2": to_2}
    session.register("came", session.table(load("roll/messages_came"), {**bounds, **stretches}))
    new = session.rows(load("roll/messages_new"), bounds)[0]
    since = session.rows(load("roll/messages_since"))[0]
    first, last = _NEVER if new["from_ns"] is None else (new["from_ns"], new["to_ns"])
    times = {"new_from": first, "new_to": last, **stretches}
    return session.table(load("roll/messages"), {**bounds, **times, **since})


def _steps(session: Session, rolled: int, until: int) -> list[int]:
    """Loads up to which to go on from ``rolled`` until ``until``, few facts at once."""
    loads = session.rows(load("roll/messages_loads"), {"rolled": rolled, "until": until})
    totals = list(accumulate(int(row["facts"]) for row in loads))
    steps = [
        int(row["batch"])
        for row, (before, after) in zip(loads, pairwise([0, *totals]), strict=True)
        if before // STEP_FACTS < after // STEP_FACTS
    ]
    return [*(step for step in steps if step < until), until]


def _stretches(minutes: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Two stretches of time that hold all ``minutes``, with the widest gap between them."""
    if not minutes:
        return _NEVER, _NEVER
    gaps = [(after - before, place) for place, (before, after) in enumerate(pairwise(minutes), 1)]
    cut = max(gaps)[1] if gaps else len(minutes)
    parts = (minutes[:cut], minutes[cut:])
    first, second = (
        (part[0] * _MINUTE_NS, (part[-1] + 1) * _MINUTE_NS - 1) if part else _NEVER
        for part in parts
    )
    return first, second
