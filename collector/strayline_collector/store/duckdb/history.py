"""Spans → the message history, by SQL, inside the load that brought the spans.

The statements run in this order because each builds on the last: publishes and deliveries say
what their own span says; resolving joins the two whichever came first; settlements and
operations fill in what later spans told. Every row changed carries the load's number, which is
how detectors know what to judge again.
"""

from __future__ import annotations

from typing import Final

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session

_STEPS: Final = tuple(
    load(f"derive/{name}")
    for name in (
        "links",
        "brokers",
        "publishes",
        "returns",
        "returned",
        "deliveries",
        "brokers_publishes",
        "brokers_deliveries",
        "resolve",
        "settlements",
        "settled",
        "settled_by_tag",
        "operations",
        "topology",
        "census",
    )
)

OPERATION_LOOKBACK_NS: Final = 600 * 1_000_000_000
"""How long after a publish its ancestors may still arrive and name its operation: bounds the
scan for them to the loads of the last ten minutes."""

_SINCE: Final = """
SELECT coalesce(min(batch), $batch) AS since_batch FROM loaded
WHERE loaded_ns >= (SELECT max(loaded_ns) FROM loaded) - $lookback_ns
"""


def derive(session: Session, batch: int) -> None:
    """Derives the history of the spans with this ``batch``, in the caller's transaction."""
    since = session.rows(_SINCE, {"batch": batch, "lookback_ns": OPERATION_LOOKBACK_NS})
    values = {"batch": batch, "since_batch": since[0]["since_batch"]}
    for step in _STEPS:
        session.execute(step, {name: values[name] for name in values if f"${name}" in step})
