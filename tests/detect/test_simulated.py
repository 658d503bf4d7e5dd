"""Long random histories of a simulated broker: what is found is exactly what happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import emptied, put
from tests.detect.simulator import Verdict, simulate

SEED = 1


@pytest.fixture(scope="module")
def reused() -> Iterator[DuckDBStore]:
    found = DuckDBStore.open(":memory:")
    yield found
    found.close()


def differences(store: DuckDBStore, numbers: range, seed: int) -> dict[int, Any]:
    """Number of a history → (missed, not so), where what was found differs from the truth."""
    histories = [simulate(number, seed) for number in numbers]
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for history in histories:
        for table, lines in history.rows().items():
            rows[table] += lines
    put(emptied(store), rows)
    runner = Runner(store)
    runner.settle()
    assert not runner.failures
    found: dict[str, set[Verdict]] = defaultdict(set)
    with store.read() as session:
        for row in session.rows(
            "SELECT kind, verdict, cause, severity, vhost, message FROM verdicts WHERE role NOT IN ('overtaker', 'original')"
        ):
            n = int(row["message"].rsplit(".", 1)[1])
            told = (row["kind"], row["verdict"] or "", row["cause"] or "", row["severity"], n)
            found[row["vhost"]].add(told)
    assert sum(len(history.truth()) for history in histories) > len(histories) / 2
    return {
        history.number: (history.truth() - found[history.vhost], found[history.vhost] - history.truth())
        for history in histories
        if history.truth() != found[history.vhost]
    }  # fmt: skip


def test_three_hundred_histories_are_judged_as_they_happened(reused: DuckDBStore) -> None:
    assert differences(reused, range(1, 301), SEED) == {}


@pytest.mark.deep
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(20))
def test_ten_thousand_histories_are_judged_as_they_happened(reused: DuckDBStore, part: int) -> None:
    assert differences(reused, range(1 + 500 * part, 501 + 500 * part), SEED + 1) == {}
