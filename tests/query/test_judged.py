"""Findings of messages and of traces are the same whether messages are named one by one or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from strayline_collector.query import judged
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.said import Judge, verdict

CONTRACT = {"kind": "misrouted", "verdict": "contract", "role": "strayed", "cause": None}
OUTLIER = {"kind": "misrouted", "verdict": "outlier", "role": "strayed", "cause": None}


@pytest.fixture
def store() -> Iterator[DuckDBStore]:
    store = DuckDBStore.open(":memory:")
    Judge(store)(
        *(verdict(f"m{n}", n, trace_id=f"{n % 4:032x}", queue=f"q{n % 2}") for n in range(8)),
        # of two kinds of one message both stand, of two verdicts of one kind the stronger
        verdict("m1", 1, trace_id=f"{1:032x}", queue="q1", **CONTRACT),
        verdict("m1", 1, trace_id=f"{1:032x}", queue="q1", **OUTLIER),
        verdict("m2", 1, trace_id=f"{2:032x}", queue="q0", role="overtaker"),
    )
    yield store
    store.close()


def told(store: DuckDBStore) -> list[Any]:
    with store.read() as session:
        return [
            *(judged.findings_of_messages(session, [f"m{n}", f"m{n + 1}"]) for n in range(9)),
            *(
                sorted(map(str, judged.findings_of_traces(session, [f"{n:032x}"])))
                for n in range(5)
            ),
        ]


def test_how_they_are_asked_for_changes_nothing(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = told(store)
    monkeypatch.setattr(judged, "_NAMED", 0)
    assert told(store) == named
    assert [len(rows) for rows in named] == [3, 4, 3, 2, 2, 2, 2, 1, 0, 1, 2, 1, 1, 0]
