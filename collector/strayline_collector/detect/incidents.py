"""Verdicts → incidents: one broken promise with all the messages that broke it.

An incident may have a hundred thousand messages and get a few more each second. So its verdicts are
added up in parts of ten minutes of event time, of which those alone are added up again in which
something changed; an incident is what its parts come to. The parts are kept in memory, some hundred
bytes each, and found anew in the store by a new process, and when retention dropped something.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

PART_NS: Final = 10 * 60 * 1_000_000_000
"""Shorter than what parts episodes."""
EPISODE_NS: Final = 30 * 60 * 1_000_000_000
"""As long as nothing happened between two episodes, in event time."""

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
"""The columns that make a finding the same finding, in the order in which they are hashed. Of calls
(verdict ``call``) it is the ``consumer_service``, the peer, too."""
PROMISE: Final = (*IDENTITY, "peer")
_COUNT: Final = "SELECT count(*) AS rows FROM judgements"
_FORGET: Final = "DELETE FROM judgements WHERE rowid IN (SELECT place FROM gone)"

Promise = tuple[Any, ...]
Parts = Mapping[int, Row]
"""By the ten minutes that they are about."""


@dataclass(frozen=True, slots=True)
class _Added:
    """The parts of every incident, and what they come to."""

    rows: int = -1
    """How many judgements there were, context and all; none when nothing was added up."""
    parts: Mapping[Promise, Parts] = field(default_factory=dict[Promise, Parts])
    incidents: Mapping[Promise, Row] = field(default_factory=dict[Promise, Row])


class Incidents:
    """What all verdicts come to, kept up with what changes. Used within one write after another."""

    def __init__(self) -> None:
        self._kept = _Added()
        self._next = self._kept
        self._changed: list[pa.Table] = []
        self._whole = True

    def begin(self, session: Session) -> None:
        """Before judgements change in this write."""
        self._changed = []
        self._whole = session.rows(_COUNT)[0]["rows"] != self._kept.rows

    def forget(self, session: Session, which: str, detector: str) -> None:
        """Takes away the judgements that the query ``which`` finds, by their places. A DELETE that
        returned them would read them again one by one, 0.3 ms each where they are compressed."""
        gone = session.table(which, {"detector": detector})
        if gone.num_rows:
            session.register("gone", gone)
            session.execute(_FORGET)
            self._changed.append(gone.drop_columns("place"))

    def add(self, session: Session, detector: str) -> None:
        """Keeps what the detector said, ``judged``."""
        self._changed.append(session.table(load("detect/keep_judged"), {"detector": detector}))

    def read(self, session: Session, *, settled_batch: int, final_until_ns: int) -> list[Row]:
        """Every incident: the columns of ``IDENTITY``, ``consumer_service``,
        ``first_seen_ns``, ``last_seen_ns``, ``count``, ``final``, ``proven``, ``severity`` (1 to 3),
        ``worst_extent``, ``evidence`` (of its first message) and ``episodes`` (JSON). ``final``: one of
        its verdicts waits for no more telemetry."""
        self._next = self._add(session)
        return [
            {
                **incident,
                "final": incident["batch"] <= settled_batch
                or incident["facts_until_ns"] <= final_until_ns,
            }
            for incident in self._next.incidents.values()
        ]

    def keep(self) -> None:
        """The write is done."""
        self._kept = self._next

    def _add(self, session: Session) -> _Added:
        rows = int(session.rows(_COUNT)[0]["rows"])
        changed = pa.concat_tables(self._changed) if self._changed else None
        before = _Added() if self._whole else self._kept
        due: set[int] = set()
        if not self._whole:
            if changed is None or not changed.num_rows:
                return before
            session.register("changed", changed)
            table = session.table(load("detect/incidents_due"), {"part_ns": PART_NS})
            due = set(table["part"].to_pylist())
        session.register("due", pa.table({"part": pa.array(sorted(due), pa.int64())}))
        found = session.rows(
            load("detect/incident_parts"), {"whole": self._whole, "part_ns": PART_NS}
        )
        parts = {
            promise: {part: row for part, row in old.items() if part not in due}
            if due.intersection(old)
            else old
            for promise, old in before.parts.items()
        }
        fresh: dict[Promise, dict[int, Row]] = defaultdict(dict)
        for row in found:
            fresh[tuple(row[name] for name in PROMISE)][row["part"]] = row
        for promise, news in fresh.items():
            parts[promise] = {**parts.get(promise, {}), **news}
        incidents = {
            promise: before.incidents[promise]
            if before.parts.get(promise) is those
            else incident_of(those.values())
            for promise, those in parts.items()
            if those
        }
        return _Added(rows, {p: those for p, those in parts.items() if those}, incidents)


def incident_of(parts: Iterable[Row]) -> Row:
    """What the parts of one incident come to (see ``Incidents.read``; ``batch`` and ``facts_until_ns``
    instead of ``final``)."""
    ordered = sorted(parts, key=lambda part: part["from_ns"])
    episodes: list[list[Row]] = []
    for part in ordered:
        if not episodes or part["from_ns"] - episodes[-1][-1]["to_ns"] > EPISODE_NS:
            episodes.append([])
        episodes[-1].append(part)
    told = [
        {
            "from_ns": episode[0]["from_ns"],
            "to_ns": max(part["to_ns"] for part in episode),
            "count": max(
                sum(part["messages"] for part in episode),
                *(part["unseen"] or 0 for part in episode),
            ),
        }
        for episode in episodes
    ]
    consumers = {name for part in ordered for name in part["consumers"] or ()}
    extents = [part["worst_extent"] for part in ordered if part["worst_extent"] is not None]
    first = ordered[0]
    return {
        **{name: first[name] for name in IDENTITY},
        "consumer_service": consumers.pop() if len(consumers) == 1 else None,
        "first_seen_ns": first["from_ns"],
        "last_seen_ns": max(part["to_ns"] for part in ordered),
        "count": sum(episode["count"] for episode in told),
        "batch": min(part["batch"] for part in ordered),
        "facts_until_ns": min(part["facts_until_ns"] for part in ordered),
        "proven": any(part["proven"] for part in ordered),
        "severity": max(part["severity"] for part in ordered),
        "worst_extent": max(extents, default=None),
        "evidence": first["evidence"],
        "episodes": json.dumps(told, separators=(",", ":")),
    }
