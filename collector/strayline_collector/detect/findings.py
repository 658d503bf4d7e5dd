"""Verdicts → findings: identity, life and words of an incident."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

import pyarrow as pa

from strayline_collector.detect.explain import explain
from strayline_collector.detect.incidents import EPISODE_NS, IDENTITY
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

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
    if incident["verdict"] == "call":
        parts.append(incident["consumer_service"])
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return "fnd_" + hashlib.sha256(text.encode()).hexdigest()[:16]


_SAID: Final = "SELECT 1 AS one FROM findings WHERE triage <> 'new' OR note IS NOT NULL LIMIT 1"


def triaged_messages(session: Session) -> pa.Table:
    """The messages of findings of which somebody said something, to be asked before what is new is
    judged: should they move to another finding, what was said follows them."""
    if not session.rows(_SAID):
        return pa.table({})
    return session.table(load("detect/triaged_messages"))


def refresh(
    session: Session, incidents: Sequence[Row], triaged: pa.Table, *, now_ns: int
) -> list[Row]:
    """Brings the table of findings in line with the ``incidents`` (``Incidents.read``), keeping what
    people said of them. Those that opened."""
    known = {row["id"]: row for row in session.rows("SELECT * FROM findings")}
    frozen = {row["id"] for row in session.rows("SELECT id FROM frozen_findings")}
    wanted = merge(incidents, known, now_ns, frozen, _followed(session, triaged))
    changed = [row for row in wanted if known.get(row["id"]) != row]
    if not changed:
        return []
    session.register("changed", pa.Table.from_pylist(changed, SCHEMA))
    session.execute("DELETE FROM findings WHERE id IN (SELECT id FROM changed)")
    session.execute("INSERT INTO findings BY NAME SELECT * FROM changed")
    were_open = {key for key, row in known.items() if row["status"] == "open"}
    return [row for row in changed if row["status"] == "open" and row["id"] not in were_open]


def merge(
    incidents: Sequence[Row],
    known: dict[str, Row],
    now_ns: int,
    frozen: AbstractSet[str] = frozenset(),
    followed: Mapping[str, str] | None = None,
) -> list[Row]:
    """The findings there should be, given the incidents and the findings there were. Of the
    ``frozen`` some messages are gone: they stand, and lose nothing that was said of them.
    ``followed``: the finding that a finding got most messages from, when somebody triaged that one."""
    moved = followed or {}
    wanted: list[Row] = []
    for incident in incidents:
        row = _finding(incident)
        old = known.get(row["id"])
        if old is not None and row["id"] in frozen:
            _carry_summary(row, old)
        left = known.get(moved.get(row["id"], ""))
        unsaid = old is None or (old["triage"] == "new" and old["note"] is None)
        _carry_triage(row, left if left is not None and unsaid else old, now_ns)
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


def _carry_triage(row: Row, old: Row | None, now_ns: int) -> None:
    """What people said stays; an acknowledgement ends with a new episode or a higher severity, and
    muting at the time that was said."""
    if old is None:
        return
    row.update({name: old[name] for name in ("triage", "muted_until_ns", "note")})
    worse = _RANK[row["severity"]] > _RANK[old["severity"]]
    if row["triage"] == "acknowledged" and (worse or new_episode(row["episodes"], old["episodes"])):
        row["triage"] = "new"
    if row["triage"] == "muted" and (row["muted_until_ns"] or now_ns + 1) <= now_ns:
        row["triage"], row["muted_until_ns"] = "new", None


def new_episode(now: str, before: str) -> bool:
    """Whether one of the episodes (JSON) is none of those before, grown or moved a little."""
    spans = [(e["from_ns"] - EPISODE_NS, e["to_ns"] + EPISODE_NS) for e in json.loads(before)]
    return any(
        all(e["to_ns"] < start or e["from_ns"] > end for start, end in spans)
        for e in json.loads(now)
    )


def _followed(session: Session, triaged: pa.Table) -> dict[str, str]:
    if not triaged.num_rows:
        return {}
    session.register("triaged", triaged)
    went: dict[str, list[tuple[int, str]]] = {}
    for row in session.rows(load("detect/moved")):
        went.setdefault(row["left_id"], []).append((row["messages"], finding_id(row)))
    followed: dict[str, tuple[int, str]] = {}
    for left, places in went.items():
        messages, place = max(places)
        stay = sum(count for count, where in places if where == left)
        if messages > stay:
            followed[place] = max(followed.get(place, (0, "")), (messages, left))
    return {place: left for place, (_, left) in followed.items()}


def _evidence(text: str | None) -> dict[str, Any]:
    return json.loads(text) if text else {}
