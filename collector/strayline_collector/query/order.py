"""The order in which one queue gave its messages out, from ten messages to a million.

What every view of it rests on, each message's two places, is arranged once and kept a moment, so
that looking closer costs a small question of its own.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Columns of ``query/order_arranged``, a row a position, and what is the same in every part of it."""

    table: pa.Table
    consumers: list[str]
    judged: int
    redelivered: int


class Arrangements:
    """The last few arrangements of large queues, by what was asked."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], tuple[Arrangement, int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def arranged(self, session: Session, params: Mapping[str, Any], *, closer: bool) -> Arrangement:
        """``closer``: a part of one that was just shown whole."""
        key = tuple(sorted(params.items(), key=lambda item: item[0]))
        batch = next((int(row["batch"]) for row in session.rows(load("load/last"))), 0)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                whole, of_batch, at = found
                if of_batch == batch or (closer and time.monotonic() - at < FRESH_S):
                    self._kept.move_to_end(key)
                    return whole
        whole = _arrange(session, params)
        if whole.table.num_rows >= KEPT_FROM:
            with self._lock:
                self._kept[key] = (whole, batch, time.monotonic())
                self._kept.move_to_end(key)
                while len(self._kept) > 1 and (len(self._kept) > KEPT or self._bytes() > KEPT_BYTES):  # fmt: skip
                    self._kept.popitem(last=False)
        return whole

    def _bytes(self) -> int:
        return sum(whole.table.nbytes for whole, _, _ in self._kept.values())


def _among(column: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.call_function("is_in", [column], pc.SetLookupOptions(value_set=values))


def _true(table: pa.Table, column: str) -> int:
    return pc.call_function("sum", [table[column]]).as_py() or 0


def _arrange(session: Session, params: Mapping[str, Any]) -> Arrangement:
    table = session.table(load("query/order_arranged"), params)
    place = {name: value for name, value in params.items() if name != "basis"}
    return Arrangement(
        table,
        [row["service"] for row in session.rows(load("query/order_consumers"), place)],
        _true(table, "known"),
        _true(table, "again"),
    )


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
    whole = arrangements.arranged(session, asked, closer=closer)
    messages = whole.table.num_rows
    if not messages:
        raise NotFound(f"queue {name}: no delivery from it was seen in this range")
    window = {
        "from": max(0, first or 0),
        "to": messages - 1 if last is None else min(last, messages - 1),
    }
    if window["from"] > window["to"]:
        raise BadInput(f"first={first}, last={last}: the queue has positions 0 to {messages - 1}")
    size = window["to"] - window["from"] + 1
    figures = _place_late(session, whole, place, window, basis)
    session.register("arranged", whole.table.slice(window["from"], size))
    points = _points(session, place, window["from"], size, figures["window_late"], limit)
    step = max(1, -(-size // ENVELOPE_STEPS))
    return QueueOrder(
        queue=name,
        broker=broker,
        vhost=vhost,
        basis=basis,
        messages=messages,
        judged=whole.judged,
        late=figures["late"],
        late_by=LateBy(
            delivery=figures["late_by_delivery"],
            completion=figures["late_by_completion"],
            either=figures["late_by_either"],
        ),
        late_ratio=figures["late"] / messages,
        worst_extent=figures["worst_extent"],
        redelivered=whole.redelivered,
        first=window["from"],
        last=window["to"],
        window_late=figures["window_late"],
        consumers=whole.consumers,
        bindings=[
            f"{row['source_name']} — {row['routing_key']}"
            for row in session.rows(load("query/queue_bindings"), place)
        ],
        points=points,
        envelope=[
            EnvelopeStep(**row)
            for row in session.rows(
                load("query/order_envelope"), {"from": window["from"], "step": step}
            )
        ],
        truncated=size > len(points),
        findings=_findings(session, name),
    )


def _place_late(
    session: Session,
    whole: Arrangement,
    place: Mapping[str, Any],
    window: Mapping[str, int],
    basis: Basis,
) -> Row:
    """Figures of ``query/order_summary``; leaves the window's late ones as ``late``."""
    told = session.table(load("query/order_late"), {**place, "basis": basis})
    session.register("late_by_either", told)
    # two thousand of a million: a sixth of what a join takes
    session.register("near", whole.table.filter(_among(whole.table["m"], told["m"])))
    placed = session.table(load("query/order_late_placed"))
    session.register("placed", placed)
    within = (pc.field("position") >= window["from"]) & (pc.field("position") <= window["to"])
    session.register("late", placed.filter(pc.field(f"by_{basis}") & within))
    return session.rows(load("query/order_summary"), {**window, "basis": basis})[0]


def _points(
    session: Session,
    place: Mapping[str, Any],
    first: int,
    size: int,
    late: int,
    limit: int,
) -> list[OrderPoint]:
    """Of the window that is registered as ``arranged`` and ``late``."""
    late_most, every = limit, 1
    if size > limit:
        late_most = min(late, max(1, limit * 3 // 4))
        room = limit - late_most
        every = -(-size // room) if room else size
    bounds = {"from": first, "late_most": late_most, "every": every}
    session.register("picked", session.table(load("query/order_picked"), bounds))
    session.register("facts", session.table(load("query/order_facts"), place))
    found = session.table(load("query/order_points"))
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
