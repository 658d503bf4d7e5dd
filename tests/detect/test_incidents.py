"""Incidents added up part by part are those that the whole of the verdicts come to, whatever came and went."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from strayline_collector.detect.incidents import PART_NS, Incidents
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Session

ORACLE = (Path(__file__).parent / "incidents_oracle.sql").read_text()
DETECTORS = ("stale_binding", "outlier", "refused", "hops", "calls")
KINDS = {
    "stale_binding": ("misrouted", "stale_binding"),
    "outlier": ("misrouted", "outlier"),
    "refused": ("misrouted", "refused"),
    "hops": ("uninstrumented", None),
    "calls": ("uninstrumented", "call"),
}


def _judged(chance: random.Random, detector: str, keys: list[str]) -> list[dict[str, Any]]:
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for key in keys:
        for _ in range(chance.randrange(4)):
            kind, verdict = KINDS[detector]
            message = f"m{chance.randrange(12)}"
            evidence: dict[str, Any] = {"extent": chance.choice([None, 1, 5, 9]), "of": message}
            if detector == "hops":
                evidence["unseen"] = chance.randrange(30)
            rows[key, message] = {
                "key": key,
                "kind": kind,
                "verdict": verdict,
                "cause": chance.choice([None, "binding"]),
                "severity": chance.choice(["info", "warning", "error"]),
                "confidence": chance.choice(["proven", "inferred"]),
                "role": "hop" if detector == "hops" else chance.choice(["strayed", "overtaker"]),
                "message": message,
                "trace_id": None,
                "producer_span_id": None,
                "message_id": None,
                "environment": chance.choice([None, "test"]),
                "broker": None,
                "vhost": "/",
                "queue": chance.choice(["a", "b", None]),
                "exchange": "x",
                "routing_key": chance.choice(["k", "l"]),
                "producer_service": "shop",
                "consumer_service": chance.choice([None, "one", "two"]),
                "evidence": json.dumps(evidence),
                # no two at one time: which is first would be left open
                "event_ns": chance.randrange(40) * PART_NS // 3 + chance.randrange(10**6),
                "facts_until_ns": chance.randrange(40) * PART_NS // 3,
                "batch": chance.randrange(1, 9),
            }
    return list(rows.values())


def _told(rows: list[dict[str, Any]]) -> list[str]:
    named = [
        {
            name: json.loads(value) if name in ("episodes", "evidence") else value
            for name, value in row.items()
            if name not in ("batch", "facts_until_ns")
        }
        for row in rows
    ]
    return sorted(json.dumps(row, sort_keys=True) for row in named)


def _change(session: Session, incidents: Incidents, chance: random.Random) -> None:
    for detector in chance.sample(DETECTORS, chance.randrange(1, 4)):
        keys = chance.sample(["p", "q", "r"], chance.randrange(1, 4))
        session.register("touched", pa.table({"key": keys}))
        if chance.random() < 0.1:
            incidents.forget(session, load("detect/gone_all"), detector)
        else:
            incidents.forget(session, load("detect/gone_touched"), detector)
        rows = _judged(chance, detector, keys)
        if rows:
            session.register("judged", pa.Table.from_pylist(rows))
            incidents.add(session, detector)


@pytest.mark.parametrize("seed", range(12))
def test_incidents_are_what_all_verdicts_come_to(seed: int) -> None:
    chance = random.Random(seed)
    store = DuckDBStore.open(":memory:")
    incidents = Incidents()
    for step in range(10):
        bounds = {
            "settled_batch": chance.randrange(9),
            "final_until_ns": chance.randrange(40) * PART_NS // 3,
        }
        with store.write() as session:
            incidents.begin(session)
            _change(session, incidents, chance)
            found = incidents.read(session, **bounds)
            exact = session.rows(ORACLE, bounds)
        if chance.random() < 0.2:
            incidents = Incidents()  # another process
        else:
            incidents.keep()
        assert _told(found) == _told(exact), step
        if chance.random() < 0.2:  # retention
            with store.write() as session:
                session.execute("DELETE FROM judgements WHERE batch <= 2")
    store.close()
