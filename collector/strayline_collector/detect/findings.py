"""Verdicts → findings: identity, life and words of an incident."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

import pyarrow as pa

from strayline_collector.detect.explain import explain
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

IDENTITY: Final = (
    "kind",
    "verdict",
    "cause",
    "environment",
    "broker",
    "vhost",
    "queue",
    "exchange",
    "routing_key",
    "producer_service",
)
"""The columns that make a finding the same finding, in the order in which they are hashed."""

_SEVERITIES: Final = {1: "info", 2: "warning", 3: "error"}
_RANK: Final = {name: rank for rank, name in _SEVERITIES.items()}

SCHEMA: Final = pa.schema(
    [
        *(
            (name, pa.string())
            for name in (
                "id",
                "kind",
                "verdict",
                "cause",
                "severity",
                "confidence",
                "status",
                *IDENTITY[3:],
                "consumer_service",
                "title",
                "explanation",
                "remedy",
            )
        ),
        ("first_seen_ns", pa.int64()),
        ("last_seen_ns", pa.int64()),
        ("updated_ns", pa.int64()),
        ("count", pa.int64()),
        ("episodes", pa.string()),
        ("triage", pa.string()),
        ("muted_until_ns", pa.int64()),
        ("note", pa.string()),
    ]
)


def finding_id(incident: Row) -> str:
    """``fnd_`` and 16 hex of SHA-256 over the identity as canonical JSON, null for what is absent."""
    parts = [incident[name] for name in IDENTITY]
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return "fnd_" + hashlib.sha256(text.encode()).hexdigest()[:16]


def refresh(session: Session, *, settled_batch: int, final_until_ns: int, now_ns: int) -> None:
    """Brings the table of findings in line with the verdicts, keeping what people said of them."""
    incidents = session.rows(
        load("detect/incidents"),
        {"settled_batch": settled_batch, "final_until_ns": final_until_ns},
    )
    known = {row["id"]: row for row in session.rows("SELECT * FROM findings")}
    frozen = {row["id"] for row in session.rows("SELECT id FROM frozen_findings")}
    wanted = merge(incidents, known, now_ns, frozen)
    changed = [row for row in wanted if known.get(row["id"]) != row]
    if not changed:
        return
    session.register("changed", pa.Table.from_pylist(changed, SCHEMA))
    session.execute("DELETE FROM findings WHERE id IN (SELECT id FROM changed)")
    session.execute("INSERT INTO findings BY NAME SELECT * FROM changed")


def merge(
    incidents: Sequence[Row],
    known: dict[str, Row],
    now_ns: int,
    frozen: AbstractSet[str] = frozenset(),
) -> list[Row]:
    """The findings there should be, given the incidents and the findings there were. Of the
    ``frozen`` some messages are gone: they stand, and lose nothing that was said of them."""
    wanted: list[Row] = []
    for incident in incidents:
        row = _finding(incident)
        old = known.get(row["id"])
        if old is not None and row["id"] in frozen:
            _carry_summary(row, old)
        _carry_triage(row, old)
        same = old is not None and all(row[k] == old[k] for k in row if k != "updated_ns")
        row["updated_ns"] = old["updated_ns"] if same and old is not None else now_ns
        wanted.append(row)
    standing = {row["id"] for row in wanted}
    for identity, old in known.items():
        if identity not in standing and identity not in frozen and old["status"] != "retracted":
            wanted.append({**old, "status": "retracted", "count": 0, "updated_ns": now_ns})
    return wanted


def _finding(incident: Row) -> Row:
    severity = _SEVERITIES[incident["severity"]]
    words = explain(incident, _evidence(incident["evidence"]))
    row: Row = {name: incident[name] for name in IDENTITY}
    row.update(
        id=finding_id(incident),
        severity=severity,
        confidence="proven" if incident["proven"] else "inferred",
        status="open" if incident["final"] else "provisional",
        consumer_service=incident["consumer_service"],
        title=words.title,
        explanation=words.explanation,
        remedy=words.remedy,
        first_seen_ns=incident["first_seen_ns"],
        last_seen_ns=incident["last_seen_ns"],
        updated_ns=0,
        count=incident["count"],
        episodes=incident["episodes"],
        triage="new",
        muted_until_ns=None,
        note=None,
    )
    return row


def _carry_summary(row: Row, old: Row) -> None:
    row["first_seen_ns"] = min(row["first_seen_ns"], old["first_seen_ns"])
    row["last_seen_ns"] = max(row["last_seen_ns"], old["last_seen_ns"])
    row["count"] = max(row["count"], old["count"])
    if len(json.loads(old["episodes"])) > len(json.loads(row["episodes"])):
        row["episodes"] = old["episodes"]


def _carry_triage(row: Row, old: Row | None) -> None:
    """What people said stays; an acknowledgement ends with a new episode or a higher severity."""
    if old is None:
        return
    row.update({name: old[name] for name in ("triage", "muted_until_ns", "note")})
    worse = _RANK[row["severity"]] > _RANK[old["severity"]]
    again = len(json.loads(row["episodes"])) > len(json.loads(old["episodes"]))
    if row["triage"] == "acknowledged" and (worse or again):
        row["triage"] = "new"


def _evidence(text: str | None) -> dict[str, Any]:
    return json.loads(text) if text else {}
