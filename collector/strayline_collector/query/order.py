"""The order in which one queue gave its messages out, from ten messages to a million.

What every view of it rests on, each message's two places, is arranged once and kept a moment, so
that looking closer costs a small question of its own.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from strayline_collector.errors import BadInput, NotFound
from strayline_collector.query.wire import EnvelopeStep, FindingRef, LateBy, OrderPoint, QueueOrder
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

ENVELOPE_STEPS: Final = 400
KEPT: Final = 4
KEPT_BYTES: Final = 96 * 1024 * 1024
KEPT_FROM: Final = 20_000
"""Messages; fewer are arranged anew faster than a reader notices."""
FRESH_S: Final = 10.0
"""While spans keep coming, an arrangement that was looked at closer stands for so long."""
Basis = Literal["delivery", "completion"]


class Arrangements:
    """The last few arrangements of large queues, by what was asked."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], tuple[pa.Table, int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def table(self, session: Session, params: Mapping[str, Any], *, closer: bool) -> pa.Table:
        """Columns of ``query/order_arranged``. ``closer``: a part of one that was just shown whole."""
        key = tuple(sorted(params.items(), key=lambda item: item[0]))
        batch = next((int(row["batch"]) for row in session.rows(load("load/last"))), 0)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                table, of_batch, at = found
                if of_batch == batch or (closer and time.monotonic() - at < FRESH_S):
                    self._kept.move_to_end(key)
                    return table
        table = session.table(load("query/order_arranged"), params)
        if table.num_rows >= KEPT_FROM:
            with self._lock:
                self._kept[key] = (table, batch, time.monotonic())
                self._kept.move_to_end(key)
                while len(self._kept) > 1 and (len(self._kept) > KEPT or self._bytes() > KEPT_BYTES):  # fmt: skip
                    self._kept.popitem(last=False)
        return table

    def _bytes(self) -> int:
        return sum(table.nbytes for table, _, _ in self._kept.values())


def read_order(
    session: Session,
    arrangements: Arrangements,
    range_ns: Mapping[str, int],
    *,
    name: str,
    broker: str | None,
    vhost: str | None,
    basis: Basis,
    limit: int,
    first: int | None = None,
    last: int | None = None,
) -> QueueOrder:
    """The order view of one queue, of its positions ``first`` to ``last``. Raises ``NotFound`` when
    nothing was ever delivered from it, ``BadInput`` for a window that holds nothing."""
    place: dict[str, Any] = {"queue": name, "broker": broker, "vhost": vhost}
    closer = first is not None or last is not None
    asked = {**place, **range_ns, "basis": basis}
    arranged = arrangements.table(session, asked, closer=closer)
    if not arranged.num_rows:
        raise NotFound(f"queue {name}: no delivery from it was seen in this range")
    window = {"from": max(0, first or 0), "to": arranged.num_rows - 1 if last is None else min(last, arranged.num_rows - 1)}  # fmt: skip
    if window["from"] > window["to"]:
        raise BadInput(f"first={first}, last={last}: the queue has positions 0 to {arranged.num_rows - 1}")  # fmt: skip
    session.register("arranged", arranged)
    late = session.table(load("query/order_late"), {**place, "basis": basis})
    session.register("late_by_either", late)
    session.register("late", late.filter(pc.field(f"by_{basis}")))
    figures = session.rows(load("query/order_summary"), window)[0]
    points = _points(session, place, window, figures, limit)
    size = window["to"] - window["from"] + 1
    step = max(1, -(-size // ENVELOPE_STEPS))
    return QueueOrder(
        queue=name,
        broker=broker,
        vhost=vhost,
        basis=basis,
        messages=figures["messages"],
        judged=figures["judged"],
        late=figures["late"],
        late_by=LateBy(
            delivery=figures["late_by_delivery"],
            completion=figures["late_by_completion"],
            either=figures["late_by_either"],
        ),
        late_ratio=figures["late"] / figures["messages"],
        worst_extent=figures["worst_extent"],
        redelivered=figures["redelivered"],
        first=window["from"],
        last=window["to"],
        window_late=figures["window_late"],
        consumers=[
            r["service"] for r in session.rows(load("query/order_consumers"), {**place, **range_ns})
        ],
        bindings=[
            f"{row['source_name']} — {row['routing_key']}"
            for row in session.rows(load("query/queue_bindings"), place)
        ],
        points=points,
        envelope=[
            EnvelopeStep(**row)
            for row in session.rows(load("query/order_envelope"), {**window, "step": step})
        ],
        truncated=size > len(points),
        findings=_findings(session, name),
    )


def _points(
    session: Session,
    place: Mapping[str, Any],
    window: Mapping[str, int],
    figures: Row,
    limit: int,
) -> list[OrderPoint]:
    late_most, every = limit, 1
    if figures["window_messages"] > limit:
        late_most = min(figures["window_late"], max(1, limit * 3 // 4))
        room = limit - late_most
        every = -(-figures["window_messages"] // room) if room else figures["window_messages"]
    params = {**place, **window, "late_most": late_most, "every": every}
    found = session.table(load("query/order_points"), params)
    session.register("points", found)
    publishes = {
        (row["trace_id"], row["span_id"]): row
        for row in session.rows(load("query/order_publishes"))
    }
    unknown: Row = {"service": None, "start_ns": None, "message_id": None}
    told: dict[int, OrderPoint] = {}
    for row in found.to_pylist():
        publish = publishes.get((row["publish_trace_id"], row["publish_span_id"]), unknown)
        told.setdefault(row["position"], _point(row, publish))
    return list(told.values())[:limit]


def _point(row: Row, publish: Row) -> OrderPoint:
    return OrderPoint(
        position=row["position"],
        sequence=row["sequence"],
        extent=row["extent"],
        late=row["late"],
        overtook=0 if row["late"] else max(0, row["sequence"] - row["position"]),
        cause=row["cause"],
        trace_id=row["publish_trace_id"],
        producer_span_id=row["publish_span_id"],
        message_id=row["message_id"] or publish["message_id"],
        routing_key=row["routing_key"],
        producer_service=publish["service"],
        consumer_service=row["consumer_service"],
        consumer_trace_id=row["trace_id"],
        consumer_span_id=row["span_id"],
        redelivered=row["redelivered"],
        published_unix_nano=publish["start_ns"],
        delivered_unix_nano=row["at_ns"],
        settled=row["settlement"],
    )


def _findings(session: Session, queue: str) -> list[FindingRef]:
    found = session.rows(
        "SELECT id, kind, severity FROM findings WHERE queue = $queue AND status <> 'retracted' ORDER BY severity, id",
        {"queue": queue},
    )
    return [FindingRef(id=r["id"], kind=r["kind"], role="", severity=r["severity"]) for r in found]
