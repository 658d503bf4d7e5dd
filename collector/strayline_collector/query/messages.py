"""Messages and what became of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from strayline_collector.errors import BadInput
from strayline_collector.query.judged import findings_of_messages
from strayline_collector.query.wire import Delivery, FindingRef, Message, Messages
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session


def read_messages(
    session: Session, filters: Mapping[str, Any], *, limit: int, cursor: str | None = None
) -> Messages:
    """A page of messages, newest first. ``filters``: message_id, queue, exchange, trace_id, id;
    None does not filter. ``cursor`` is the place of the page before's last row, so that what comes
    meanwhile neither repeats nor hides one. Raises ``BadInput``."""
    after_ns, after_id = _after(cursor)
    asked = {**filters, "after_ns": after_ns, "after_id": after_id, "limit": limit + 1}
    rows = session.rows(load("query/messages"), asked)
    page = rows[:limit]
    names = [row["message"] for row in page]
    deliveries: dict[str, list[Delivery]] = defaultdict(list)
    findings: dict[str, list[FindingRef]] = defaultdict(list)
    if page:
        for row in session.rows(load("query/message_deliveries"), {"messages": names}):
            deliveries[row["message"]].append(_delivery(row))
        for row in findings_of_messages(session, names):
            findings[row["message"]].append(
                FindingRef(
                    id=row["id"], kind=row["kind"], role=row["role"], severity=row["severity"]
                )
            )
    items = [_message(row, deliveries[row["message"]], findings[row["message"]]) for row in page]
    last = page[-1] if len(rows) > limit else None
    return Messages(
        items=items,
        next_cursor=None if last is None else f"{last['published_ns']}~{last['id']}",
    )


def _after(cursor: str | None) -> tuple[int | None, str | None]:
    if cursor is None:
        return None, None
    at, _, last = cursor.partition("~")
    if not (at.isascii() and at.isdigit() and len(at) < 20 and last):
        raise BadInput(f"cursor={cursor}: give next_cursor of the page before, as it was")
    return int(at), last


def _message(row: Row, deliveries: list[Delivery], findings: list[FindingRef]) -> Message:
    return Message(
        id=row["id"],
        trace_id=row["trace_id"],
        producer_span_id=row["producer_span_id"],
        message_id=row["message_id"],
        type=row["type"],
        broker=row["broker"],
        vhost=row["vhost"],
        exchange=row["exchange"],
        routing_key=row["routing_key"],
        producer_service=row["producer_service"],
        published_unix_nano=row["published_ns"] if row["trace_id"] is not None else None,
        outcome=row["outcome"],
        stamp=row["stamp"],
        ordering_key=row["ordering_key"],
        queues=sorted({d["queue"] for d in deliveries if d["queue"] is not None}),
        deliveries=deliveries,
        findings=findings,
    )


def _delivery(row: Row) -> Delivery:
    return Delivery(
        queue=row["queue"],
        consumer_service=row["service"],
        consumer_instance=row["instance"],
        trace_id=row["trace_id"],
        consumer_span_id=row["span_id"],
        channel=row["channel"],
        consumer_tag=row["consumer_tag"],
        delivery_tag=row["delivery_tag"],
        redelivered=row["redelivered"],
        received_unix_nano=row["received_ns"],
        handled_start_unix_nano=row["handled_start_ns"],
        handled_end_unix_nano=row["handled_end_ns"],
        failed=bool(row["failed"]),
        settled=row["settlement"],
        settled_unix_nano=row["settled_ns"],
        death=json.loads(row["death"]) if row["death"] else [],
    )
