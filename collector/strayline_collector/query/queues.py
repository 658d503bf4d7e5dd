"""Queues and their figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from strayline_collector.query.wire import Flow, Queue, Queues
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

STEPS: Final = 24
Place = tuple[str, str | None, str | None]


def read_queues(
    session: Session, range_ns: Mapping[str, int], *, limit: int, offset: int
) -> Queues:
    """A page of queues, busiest first."""
    rows = session.rows(load("query/queues"), {**range_ns, "limit": limit + 1, "offset": offset})
    steps = _steps(session, range_ns)
    items = [Queue(**row, **_flow(steps, row)) for row in rows[:limit]]
    return Queues(items=items, next_cursor=str(offset + limit) if len(rows) > limit else None)


def _steps(session: Session, range_ns: Mapping[str, int]) -> dict[Place, list[Row]]:
    found: dict[Place, list[Row]] = defaultdict(list)
    for row in session.rows(load("query/queue_steps"), {**range_ns, "steps": STEPS}):
        found[row["queue"], row["broker"], row["vhost"]].append(row)
    return found


def _flow(steps: Mapping[Place, list[Row]], queue: Row) -> Flow:
    rows = steps.get((queue["name"], queue["broker"], queue["vhost"]), [])
    step_ns = rows[0]["step_ns"] if rows else 1
    came, went = [0] * STEPS, [0] * STEPS
    for row in rows:
        came[min(STEPS - 1, row["step"])] += row["came"]
        went[min(STEPS - 1, row["step"])] += row["went"]
    depth: list[int] = []
    for i in range(STEPS):
        depth.append((depth[-1] if depth else 0) + came[i] - went[i])
    return Flow(
        step_s=step_ns / 1e9,
        rate_per_s=sum(went) / max(1e-9, STEPS * step_ns / 1e9),
        delivered_steps=went,
        depth_steps=depth,
        depth_max=max(depth),
    )
