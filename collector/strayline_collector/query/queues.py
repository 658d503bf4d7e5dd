"""Queues: their figures, and the order in which they gave their messages out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from strayline_collector.errors import NotFound
from strayline_collector.query.wire import (
    EnvelopeStep,
    FindingRef,
    OrderPoint,
    Queue,
    QueueOrder,
    Queues,
)
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

ENVELOPE_STEPS: Final = 200
Basis = Literal["delivery", "completion"]


def read_queues(
    session: Session, range_ns: Mapping[str, int], *, limit: int, offset: int
) -> Queues:
    """A page of queues, busiest first."""
    rows = session.rows(load("query/queues"), {**range_ns, "limit": limit + 1, "offset": offset})
    items = [Queue(**row) for row in rows[:limit]]
    return Queues(items=items, next_cursor=str(offset + limit) if len(rows) > limit else None)


def read_order(
    session: Session,
    range_ns: Mapping[str, int],
    *,
    name: str,
    broker: str | None,
    vhost: str | None,
    basis: Basis,
    limit: int,
) -> QueueOrder:
    """The order view of one queue. Raises ``NotFound`` when nothing was ever delivered from it."""
    place: dict[str, Any] = {"queue": name, "broker": broker, "vhost": vhost}
    rows = session.rows(load("query/queue_order"), {**place, **range_ns, "basis": basis})
    if not rows:
        raise NotFound(f"queue {name}: no delivery from it was seen in this range")
    late = [row for row in rows if row["late"]]
    bindings = session.rows(load("query/queue_bindings"), place)
    return QueueOrder(
        queue=name,
        broker=broker,
        vhost=vhost,
        basis=basis,
        messages=len(rows),
        judged=sum(row["publish_span_id"] is not None for row in rows),
        late=len(late),
        late_ratio=len(late) / len(rows),
        worst_extent=max((row["extent"] for row in late), default=0),
        redelivered=sum(bool(row["redelivered"]) or row["tries"] > 1 for row in rows),
        consumers=sorted({row["consumer_service"] for row in rows}),
        bindings=[f"{row['source_name']} — {row['routing_key']}" for row in bindings],
        points=[_point(row) for row in pick(rows, limit)],
        envelope=envelope(rows),
        truncated=len(rows) > limit,
        findings=_findings(session, name),
    )


def pick(rows: Sequence[Row], limit: int) -> list[Row]:
    """All rows when they fit; else the latest ones, worst first, and an even sample of the rest,
    in order of position."""
    if len(rows) <= limit:
        return list(rows)
    late = sorted((r for r in rows if r["late"]), key=lambda r: (-r["extent"], r["position"]))
    kept = late[: max(1, limit * 3 // 4)]
    rest = [row for row in rows if not row["late"]]
    room = limit - len(kept)
    if rest and room > 0:
        step = max(1, -(-len(rest) // room))
        kept = kept + rest[::step]
    return sorted(kept[:limit], key=lambda r: r["position"])


def envelope(rows: Sequence[Row]) -> list[EnvelopeStep]:
    """Least and greatest displacement (positive: late) in at most ``ENVELOPE_STEPS`` steps."""
    size = max(1, -(-len(rows) // ENVELOPE_STEPS))
    steps: list[EnvelopeStep] = []
    for start in range(0, len(rows), size):
        moved = [row["position"] - row["sequence"] for row in rows[start : start + size]]
        steps.append(
            EnvelopeStep(position=start, displacement_min=min(moved), displacement_max=max(moved))
        )
    return steps


def _point(row: Row) -> OrderPoint:
    return OrderPoint(
        position=row["position"],
        sequence=row["sequence"],
        extent=row["extent"],
        late=row["late"],
        overtook=0 if row["late"] else max(0, row["sequence"] - row["position"]),
        cause=row["cause"],
        trace_id=row["publish_trace_id"],
        producer_span_id=row["publish_span_id"],
        message_id=row["message_id"],
        routing_key=row["routing_key"],
        producer_service=row["producer_service"],
        consumer_service=row["consumer_service"],
        consumer_trace_id=row["trace_id"],
        consumer_span_id=row["span_id"],
        redelivered=True if row["tries"] > 1 else row["redelivered"],
        published_unix_nano=row["published_ns"],
        delivered_unix_nano=row["at_ns"],
        settled=row["settlement"],
    )


def _findings(session: Session, queue: str) -> list[FindingRef]:
    found = session.rows(
        "SELECT id, kind, severity FROM findings WHERE queue = $queue AND status <> 'retracted' ORDER BY severity, id",
        {"queue": queue},
    )
    return [FindingRef(id=r["id"], kind=r["kind"], role="", severity=r["severity"]) for r in found]
