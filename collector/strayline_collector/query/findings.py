"""Findings as the API tells them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from strayline_collector.detect.incidents import IDENTITY
from strayline_collector.errors import BadInput, NotFound
from strayline_collector.query.times import parse_time, rfc3339
from strayline_collector.query.wire import (
    Episode,
    Finding,
    FindingChange,
    FindingDelivery,
    FindingMessage,
    Findings,
    Subject,
)
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

MESSAGES_SHOWN: Final = 100
Messages = Literal["all", "none"]
"""How many of a finding's messages are told; None: the first ``MESSAGES_SHOWN``."""
_SHOWN: Final[Mapping[Messages | None, int]] = {"all": 2**31, "none": 0, None: MESSAGES_SHOWN}
_TOLD: Final = frozenset(
    {"late_by", "sequence", "extent", "expected_queues", "actual_queues", "deliveries"}
)
NO_FILTER: Final[Mapping[str, None]] = dict.fromkeys(
    ("id", "kind", "severity", "status", "triage", "confidence", "queue", "since_ns")
)


def read_findings(
    session: Session,
    filters: Mapping[str, Any],
    *,
    limit: int,
    offset: int,
    messages: Messages | None = None,
) -> Findings:
    """A page of findings, worst and newest first. Without ``status``: provisional and open."""
    params = {**NO_FILTER, **filters, "limit": limit + 1, "offset": offset}
    rows = session.rows(load("query/findings"), params)
    items = _told(session, rows[:limit], messages)
    return Findings(items=items, next_cursor=str(offset + limit) if len(rows) > limit else None)


def read_finding(session: Session, finding_id: str, *, messages: Messages | None = None) -> Finding:
    """One finding, retracted ones too. Raises ``NotFound``."""
    params = {**NO_FILTER, "id": finding_id, "limit": 1, "offset": 0}
    rows = session.rows(load("query/findings"), params)
    if not rows:
        raise NotFound(f"no finding {finding_id}")
    return _told(session, rows, messages)[0]


def change_triage(
    session: Session, finding_id: str, change: Mapping[str, Any], now_ns: int
) -> None:
    """What a person says of a finding: ``triage``, ``muted_until``, ``note``; what is left out
    stays. Raises ``NotFound`` and ``BadInput`` naming the field."""
    rows = session.rows("SELECT * FROM findings WHERE id = $id", {"id": finding_id})
    if not rows:
        raise NotFound(f"no finding {finding_id}")
    unknown = sorted(set(change) - {"triage", "muted_until", "note"})
    if unknown:
        raise BadInput(f"{unknown[0]}: only triage, muted_until and note can be changed")
    triage = change.get("triage", rows[0]["triage"])
    if triage not in ("new", "acknowledged", "muted"):
        told = "null" if triage is None else triage
        raise BadInput(f"triage={told}: expected new, acknowledged or muted")
    note = change.get("note", rows[0]["note"])
    if note is not None and (not isinstance(note, str) or len(note) > 10_000):
        raise BadInput("note: expected text of at most 10,000 characters")
    until_ns = rows[0]["muted_until_ns"]
    if "muted_until" in change:
        value = change["muted_until"]
        until_ns = None if value is None else parse_time(str(value), "muted_until")
        if until_ns is not None and until_ns <= now_ns:
            raise BadInput(f"muted_until={value}: is over; give a time to come, or null for no end")
    if triage != "muted":
        if change.get("muted_until") is not None:
            raise BadInput('muted_until: give it together with "triage": "muted"')
        until_ns = None
    session.execute(
        load("query/triage"),
        {
            "id": finding_id,
            "triage": triage,
            "muted_until_ns": until_ns,
            "note": note,
            "now_ns": now_ns,
        },
    )


def _told(session: Session, rows: Sequence[Row], messages: Messages | None) -> list[Finding]:
    """Rows of ``findings`` with their messages, which one question asks for all."""
    limit = _SHOWN[messages]
    found: defaultdict[str, list[Row]] = defaultdict(list)
    if limit and rows:
        asked = {
            "ids": [row["id"] for row in rows],
            "kinds": sorted({row["kind"] for row in rows}),
            "queues": sorted({row["queue"] or "" for row in rows}),
            "limit": limit + 1,
        }
        for message in session.rows(load("query/finding_messages"), asked):
            found[message["finding_id"]].append(message)
    return [_finding(row, found[row["id"]], limit) for row in rows]


def _finding(row: Row, messages: Sequence[Row], limit: int) -> Finding:
    identity = {name: row[name] for name in IDENTITY}
    if row["verdict"] == "call":
        identity["consumer_service"] = row["consumer_service"]
    return Finding(
        id=row["id"],
        kind=row["kind"],
        verdict=row["verdict"],
        cause=row["cause"],
        severity=row["severity"],
        confidence=row["confidence"],
        status=row["status"],
        triage=row["triage"],
        muted_until=_time(row["muted_until_ns"]),
        note=row["note"],
        title=row["title"],
        explanation=row["explanation"],
        remedy=row["remedy"],
        subject=Subject(**{name: row[name] for name in (*IDENTITY[3:], "consumer_service")}),
        first_seen=rfc3339(row["first_seen_ns"]),
        last_seen=rfc3339(row["last_seen_ns"]),
        updated_at=rfc3339(row["updated_ns"]),
        count=row["count"],
        episodes=[_episode(item) for item in json.loads(row["episodes"])],
        messages=[_message(item) for item in messages[:limit]],
        messages_truncated=len(messages) > limit or (limit == 0 and row["count"] > 0),
        sql=_sql(identity),
    )


def told_briefly(row: Row) -> FindingChange:
    """A row of ``findings`` without what it takes more questions to tell."""
    return FindingChange(
        id=row["id"],
        kind=row["kind"],
        verdict=row["verdict"],
        cause=row["cause"],
        severity=row["severity"],
        confidence=row["confidence"],
        status=row["status"],
        triage=row["triage"],
        title=row["title"],
        count=row["count"],
        subject=Subject(**{name: row[name] for name in (*IDENTITY[3:], "consumer_service")}),
        first_seen=rfc3339(row["first_seen_ns"]),
        last_seen=rfc3339(row["last_seen_ns"]),
        updated_unix_nano=row["updated_ns"],
    )


def _episode(item: Mapping[str, int]) -> Episode:
    return Episode(
        {"from": rfc3339(item["from_ns"]), "to": rfc3339(item["to_ns"]), "count": item["count"]}
    )


def _message(row: Row) -> FindingMessage:
    evidence = json.loads(row["evidence"])
    return FindingMessage(
        trace_id=row["trace_id"],
        producer_span_id=row["producer_span_id"],
        message_id=row["message_id"],
        queue=row["queue"],
        role=row["role"],
        cause=row["cause"],
        confidence=row["confidence"],
        late_by=evidence.get("late_by") or [],
        sequence=evidence.get("sequence"),
        extent=evidence.get("extent"),
        expected_queues=evidence.get("expected_queues") or [],
        actual_queues=evidence.get("actual_queues") or [],
        deliveries=[
            FindingDelivery(
                consumer_span_id=d["consumer_span_id"],
                trace_id=d["trace_id"],
                delivery_tag=d["delivery_tag"],
                redelivered=d["redelivered"],
                settled=d["settled"],
                time=rfc3339(d["time_ns"]),
            )
            for d in evidence.get("deliveries") or []
        ],
        evidence={name: value for name, value in evidence.items() if name not in _TOLD},
    )


def _time(ns: int | None) -> str | None:
    return None if ns is None else rfc3339(ns)


def _sql(identity: Mapping[str, str | None]) -> str:
    """A SELECT to paste that shows the verdicts behind a finding, in the order of its messages."""
    conditions = [
        f"{name} IS NULL" if value is None else f"{name} = '{value.replace(chr(39), chr(39) * 2)}'"
        for name, value in identity.items()
    ]
    order = "role IN ('overtaker', 'original'), event_ns, message, role"
    return f"SELECT * FROM verdicts WHERE {' AND '.join(conditions)} ORDER BY {order}"
