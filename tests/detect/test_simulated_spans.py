"""The simulated histories once more, told as spans: through the decoder and the history's SQL, what is
found is what happened where shims tell it, and nothing else where others do."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from strayline_collector.decode.otlp import decode
from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.detect.histories import emptied
from tests.detect.simulated_spans import (
    START_NS,
    Span,
    by_others,
    by_shims,
    kept,
    requests,
    sampled,
)
from tests.detect.simulator import History, Verdict, simulate

SEED = 3
SHARE = 0.5
Teller = Callable[[History, random.Random], Iterable[Span]]
UNSURE = ("unknown", "concurrent_handlers")
"""Causes that spans alone may give for what shims would tell more of."""


@pytest.fixture(scope="module")
def reused() -> Iterator[DuckDBStore]:
    found = DuckDBStore.open(":memory:")
    yield found
    found.close()


def found_of(
    store: DuckDBStore, histories: Iterable[History], tell: Teller, chance: random.Random
) -> dict[str, set[Verdict]]:
    """By vhost, what is said of each message."""
    emptied(store)
    spans = [span for history in histories for span in tell(history, chance)]
    for number, body in enumerate(requests(spans, chance), 1):
        store.append(decode([body], START_NS + number), Position(1, number), START_NS + number)
    runner = Runner(store)
    runner.settle()
    assert not runner.failures
    found: dict[str, set[Verdict]] = defaultdict(set)
    with store.read() as session:
        rows = session.rows("SELECT * FROM verdicts WHERE role NOT IN ('overtaker', 'original')")
    for row in rows:
        told = (row["kind"], row["verdict"] or "", row["cause"] or "", row["severity"])
        found[row["vhost"]].add((*told, int(row["trace_id"][8:], 16)))
    return found


def seen_of(history: History) -> History:
    """What a sampler leaves of it: nobody can tell a message that it took away from one never sent."""

    def seen(n: int) -> bool:
        return kept(f"{history.number:08x}{n:024x}", SHARE)

    publishes = {n: row for n, row in history.publishes.items() if seen(n)}
    return replace(
        history,
        attempts=[a for a in history.attempts if seen(a.n)],
        publishes=publishes,
        # a census that counts deliveries which nobody saw accuses no broker
        broken=history.broken and publishes.keys() == history.publishes.keys(),
    )


def differences(store: DuckDBStore, numbers: range, seed: int, told_by: str) -> dict[int, Any]:
    """Number of a history → (missed, not so). Of what others tell nothing counts as missed."""
    histories = [simulate(number, seed) for number in numbers]
    tell: Teller = by_others if told_by.startswith("others") else by_shims
    if told_by.endswith("sampled"):
        whole = tell
        tell = lambda history, chance: sampled(whole(history, chance), SHARE)  # noqa: E731
    found = found_of(store, histories, tell, random.Random(seed))
    assert sum(map(len, found.values())) > len(histories) / 4
    wrong: dict[int, Any] = {}
    for history in histories:
        said = found[history.vhost]
        truth = (seen_of(history) if told_by == "shims, sampled" else history).truth()
        if told_by.startswith("others"):
            missed, false = set[Verdict](), {v for v in said if not _so(v, truth)}
        else:
            missed, false = truth - said, said - truth
        if missed or false:
            wrong[history.number] = (missed, false)
    return wrong


def _so(said: Verdict, truth: set[Verdict]) -> bool:
    """Whether the message has this fault, by this cause unless spans alone could not tell it."""
    kind, verdict, cause, _, n = said
    causes = {t[2] for t in truth if (t[0], t[1], t[4]) == (kind, verdict, n)}
    return bool(causes) and (cause in causes or cause in UNSURE)


WORLDS = ("shims", "others", "shims, sampled", "others, sampled")


@pytest.mark.parametrize("told_by", WORLDS)
def test_histories_told_as_spans_are_judged_as_they_happened(
    reused: DuckDBStore, told_by: str
) -> None:
    assert differences(reused, range(1, 41), SEED, told_by) == {}


@pytest.mark.deep
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("told_by", WORLDS)
@pytest.mark.parametrize("part", range(10))
def test_thousands_of_histories_told_as_spans(reused: DuckDBStore, told_by: str, part: int) -> None:
    assert differences(reused, range(1 + 300 * part, 301 + 300 * part), SEED + 1, told_by) == {}
