"""The numbers in the verdicts' definitions, set by a user."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from strayline_collector.detect.runner import Runner
from strayline_collector.detect.thresholds import DEFAULTS, Thresholds, parse_thresholds
from strayline_collector.errors import UsageError
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import Attempt, write
from tests.support.collector import collector_command


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ("loop_trys=3", "loop_tries"),
        ("loop_tries", "loop_tries=5"),
        ("loop_tries=many", "a whole number from 2"),
        ("loop_tries=2.5", "a whole number from 2"),
        ("outlier_share=1.1", "a number from 0.5 to 1"),
        ("outlier_share=nan", "a number from 0.5 to 1"),
    ],
)
def test_a_threshold_that_cannot_be_is_refused_and_the_remedy_named(told: str, named: str) -> None:
    with pytest.raises(UsageError, match="--threshold") as error:
        parse_thresholds([told])
    assert named in str(error.value)


def test_of_one_name_told_twice_the_last_holds() -> None:
    assert parse_thresholds([]) == DEFAULTS
    assert parse_thresholds(["loop_tries=7", "loop_tries = 9"]).loop_tries == 9


def strays(store: DuckDBStore, thresholds: Thresholds) -> int:
    """How many are misrouted as outliers, after a run that judges what is new."""
    runner = Runner(store, thresholds=thresholds)
    runner.settle()
    assert not runner.failures
    with store.read() as session:
        rows = session.rows("SELECT count(*) AS n FROM verdicts WHERE verdict = 'outlier'")
    return rows[0]["n"]


def test_what_is_stored_is_judged_again_when_a_threshold_changes(store: DuckDBStore) -> None:
    usual = {n: {"type": "paid", "routing_key": "order.paid"} for n in range(1, 12)}
    odd = {12: {"type": "paid", "routing_key": "order.created"}}
    others = {
        n: {"type": "created", "routing_key": "order.created", "service": "orders"}
        for n in range(13, 40)
    }
    messages = usual | odd | others
    write(store, [Attempt(n, 1, n, 10 * n, 10 * n + 5) for n in messages], {}, messages)
    small = parse_thresholds(["outlier_kind_size=12"])
    assert [strays(store, t) for t in (DEFAULTS, small, small, DEFAULTS)] == [0, 1, 1, 0]


def test_every_threshold_is_documented_with_its_default() -> None:
    text = (Path(__file__).parents[2] / "docs/messages.md").read_text()
    for threshold in fields(Thresholds):
        assert f"| `{threshold.name}` | {threshold.default:g} |" in text


def test_the_option_is_repeatable_and_reads_its_variable() -> None:
    with collector_command(
        "--threshold", "loop_tries=7", "--threshold", "stalled_after_s=60"
    ) as collector:
        assert collector.get("/api/v1/status")["spans"] == 0
    done = subprocess.run(
        [sys.executable, "-m", "strayline_collector", "collector", "--db", ":memory:"],
        env={**os.environ, "STRAYLINE_THRESHOLD": "loop_tries=7:loops=1"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--threshold loops: no such threshold" in done.stderr
