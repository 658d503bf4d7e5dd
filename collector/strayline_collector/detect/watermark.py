"""Up to which event time telemetry is likely complete, and times as text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session

HEARD_WITHIN_NS: Final = 60 * 1_000_000_000
"""A process silent for longer no longer holds the watermark back."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """``event_ns``: event time (unix ns) before which nothing is expected any more; None when
    nothing was ever heard. ``lag_ns``: how far the newest event is past it."""

    event_ns: int | None
    lag_ns: int


def read_watermark(session: Session, now_ns: int) -> Watermark:
    """Minimum over the processes heard within 60 s of their highest event time, each capped at
    its arrival: one clock an hour ahead must not silence the rest. When all are silent time
    passes for them at the wall clock's pace.
    """
    row = session.rows(load("detect/watermark"), {"since_ns": now_ns - HEARD_WITHIN_NS})[0]
    if row["newest_ns"] is None:
        return Watermark(None, 0)
    newest = int(row["newest_ns"])
    if row["slowest_ns"] is not None:
        return Watermark(int(row["slowest_ns"]), max(0, newest - int(row["slowest_ns"])))
    return Watermark(newest + max(0, now_ns - int(row["heard_ns"])), 0)


def rfc3339(unix_ns: int) -> str:
    """Unix nanoseconds as RFC 3339 UTC with nine decimals."""
    seconds, nanos = divmod(unix_ns, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # a sender's nonsense must not break a page
        moment = datetime.fromtimestamp(0, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"
