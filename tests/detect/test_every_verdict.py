"""The table of verdicts is complete: what the code can say, what the definition allows, what is shown.
That every line of it is shown, live or by a written history, says ``tests/scenarios``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from strayline_collector.detect.explain import CAUSES, WORDS, explain
from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import Attempt, binding, exchange, queue, write
from tests.support.verdicts import ALLOWED, marked

DOCS = Path(__file__).parents[2] / "docs"


def test_what_there_are_words_for_is_what_there_can_be() -> None:
    said = {
        (kind, verdict or "", cause)
        for kind, verdict in WORDS
        for cause in CAUSES.get((kind, verdict), ("",))
    }
    assert said == {shown[:3] for shown in ALLOWED}


def test_of_one_message_nothing_is_said_as_of_several() -> None:
    names = ("queue", "exchange", "routing_key", "producer_service", "consumer_service")
    one = {**dict.fromkeys(names, "a"), "count": 1, "worst_extent": 1, "proven": True}
    several = re.compile(
        r"\b(they|them|their|message (were|wait|rest)|the (worst|first \d|longest))\b",
        re.IGNORECASE,
    )
    for kind, verdict in WORDS:
        for cause in CAUSES.get((kind, verdict), ("",)):
            for evidence in (
                {},
                {"rests_in": "b", "ended_ns": 1, "outcome": "returned"},
                {"usual_exchange": "b"},
            ):
                said = explain({**one, "kind": kind, "verdict": verdict, "cause": cause}, evidence)
                said = said.explanation.replace("until somebody removes them", "")  # bindings
                assert several.search(said) is None, said


def test_each_is_defined_and_has_a_page() -> None:
    text = (DOCS / "messages.md").read_text()
    for kind, verdict, cause, severity in ALLOWED:
        assert f"`{kind}: {verdict}`" in text if verdict else f"`{kind}`" in text
        assert not cause or f"`{cause}`" in text
        pages = (DOCS / "detectors" / f"{name}.md" for name in (kind, verdict or kind))
        assert any(f"{severity}" in page.read_text() for page in pages if page.exists()), severity


def test_what_tests_say_that_they_show_can_be() -> None:
    assert set(marked()) <= ALLOWED


SINGLE = {"x-single-active-consumer": True}
IN_ORDER = [Attempt(n, 1, n, 10 * n, 10 * n + 5) for n in range(1, 5)]
TRIED = {1: {"outcome": "unknown", "body_hash": "b"}, 4: {"message_id": "m1", "body_hash": "b"}}
BACK = Attempt(1, 1, 5, 90, 95)
DIED = ("retry|expired|1||retry", "work|rejected|1|x|k")


def _shows(cause: str, attempts: list[Attempt], **more: Any) -> Any:
    return pytest.param(attempts, more, id=cause, marks=SHOWN[cause])


SHOWN = {
    "dead_letter_retry": pytest.mark.shows("reordered", "", "dead_letter_retry", "error"),
    "republished": pytest.mark.shows("reordered", "", "republished", "error"),
    "requeue": pytest.mark.shows("reordered", "", "requeue", "error"),
    "publish_retry": pytest.mark.shows("reordered", "", "publish_retry", "error"),
    "priority": pytest.mark.shows("reordered", "", "priority", "error"),
    "unknown": pytest.mark.shows("reordered", "", "unknown", "error"),
}


@pytest.mark.parametrize(
    ("attempts", "more"),
    [
        _shows("dead_letter_retry", [IN_ORDER[0].but(settlement="reject_drop"), *IN_ORDER[1:], BACK.but(death=DIED)]),
        _shows("republished", [*IN_ORDER, BACK]),
        _shows("requeue", [IN_ORDER[0].but(settlement="nack_requeue"), *IN_ORDER[1:], BACK.but(redelivered=True)]),
        _shows("publish_retry", IN_ORDER[1:], publishes=TRIED),
        _shows("priority", [Attempt(1, 1, 2, 20, 25, priority=0), Attempt(2, 1, 1, 10, 15, priority=5)], arguments={"x-max-priority": 9}),
        _shows("unknown", [Attempt(1, 1, 2, 20, 25, redelivered=True), Attempt(2, 1, 1, 10, 15)]),
    ],
)  # fmt: skip
def test_where_order_was_asked_for_it_is_an_error(
    store: DuckDBStore, attempts: list[Attempt], more: Mapping[str, Any]
) -> None:
    arguments = {**SINGLE, **more.get("arguments", {})}
    write(store, attempts, arguments, more.get("publishes"))
    assert {severity for _, _, severity in judged(store, "reordered")} == {"error"}


@pytest.mark.shows("misrouted", "stale_binding", "", "error")
def test_a_complete_reference_that_lacks_the_binding_makes_an_error(store: DuckDBStore) -> None:
    said = {"source": "document", "role": "intended", "complete": True, "seen_ns": 1}
    reference = [exchange("x", "topic"), queue("work"), binding("x", "work", "paid")]
    write(store, [Attempt(1, 1, 1, 10, 20)], {}, topology=[{**fact, **said} for fact in reference])
    assert judged(store, "misrouted") == [("stale_binding", None, "error")]


def judged(store: DuckDBStore, kind: str) -> list[tuple[str | None, str | None, str]]:
    runner = Runner(store)
    runner.settle()
    assert not runner.failures
    with store.read() as session:
        rows = session.rows(
            "SELECT verdict, cause, severity FROM verdicts WHERE kind = $kind AND role NOT IN ('overtaker', 'original')",
            {"kind": kind},
        )
    return [(row["verdict"], row["cause"], row["severity"]) for row in rows]
