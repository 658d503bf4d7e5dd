"""What is judged of messages whose broker is learned later stands at that broker alone."""

from __future__ import annotations

from typing import Any

import pytest

from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.store.test_places import Told, load

PUBLISHED = Told("publish", by="both")
FAILED = [Told("delivery", by="silent", of=1, failed=True)] * 5


def judged(store: DuckDBStore, runner: Runner) -> tuple[set[Any], set[Any]]:
    """Brokers of the loop's verdicts, and of the findings that stand."""
    runner.settle()
    assert not runner.failures
    with store.read() as session:
        verdicts = session.rows("SELECT broker FROM verdicts WHERE kind = 'redelivery_loop'")
        findings = session.rows(
            "SELECT broker FROM findings WHERE kind = 'redelivery_loop' AND status <> 'retracted'"
        )
    return {row["broker"] for row in verdicts}, {row["broker"] for row in findings}


def test_a_verdict_moves_to_the_broker_that_its_queue_is_found_at_and_back(
    store: DuckDBStore,
) -> None:
    told = [PUBLISHED, *FAILED, Told("declare"), Told("declare", broker="rabbit@b")]
    runner = Runner(store)
    load(store, told, [range(1, 7)])
    assert judged(store, runner) == ({None}, {None})
    load(store, told, [(7,)])
    assert judged(store, runner) == ({"rabbit@a"}, {"rabbit@a"})
    load(store, told, [(8,)])  # another broker has a queue of that name too
    assert judged(store, runner) == ({None}, {None})


@pytest.mark.parametrize("again", [False, True], ids=["one process", "another process"])
def test_a_verdict_by_an_address_moves_to_the_name_that_is_learned(
    store: DuckDBStore, again: bool
) -> None:
    failed = [Told("delivery", by="address", of=1, failed=True)] * 5
    told = [Told("publish", by="address"), *failed, Told("delivery", by="both", queue="other")]
    runner = Runner(store)
    load(store, told, [range(1, 7)])
    assert judged(store, runner) == ({"a.mq:5672"}, {"a.mq:5672"})
    load(store, told, [(7,)])
    if again:
        runner = Runner(store)
    assert judged(store, runner) == ({"rabbit@a"}, {"rabbit@a"})
