"""What a query line offers at its cursor."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.errors import BadInput
from strayline_collector.query.complete import complete, place_of
from strayline_collector.query.search import compile_search
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.support.corpus import load_recording


@pytest.fixture(scope="module")
def store() -> Iterator[DuckDBStore]:
    made = DuckDBStore.open(":memory:")
    load_recording(made, "d_reorder_nack")
    yield made
    made.close()


def _offered(store: DuckDBStore, typed: str, limit: int = 20) -> tuple[list[str], Any]:
    """Completions at ``|`` of ``typed``, and the whole answer."""
    position = typed.index("|")
    with store.read() as session:
        answer = complete(session, typed.replace("|", ""), position, limit)
    return [item["text"] for item in answer["items"]], answer


@pytest.mark.parametrize(
    ("typed", "first", "replaced"),
    [
        ("|", ["service", "operation"], (0, 0)),
        ("ser|", ["service", "server.address"], (0, 3)),
        ("!dur|", ["duration"], (1, 4)),
        ("status=error messaging.conv|", ["messaging.conversation_id", "messaging.rabbitmq.message.conversation_id"][:1], (13, 27)),
        ("has:|", ["error", "finding", "link", "queue_wait"], (4, 4)),
        ("has:fin| x=1", ["finding"], (4, 7)),
        ("kind=c|", ["client", "consumer"], (5, 6)),
        ("service=bill|", ["billing"], (8, 12)),
        ("service=b|ill status=ok", ["billing"], (8, 12)),
        ('queue="billing|"', ["billing.orders"], (6, 15)),
        ("exchange=orders|", ["orders.events"], (9, 15)),
        ("routing_key=order.|", ["order.created"], (12, 18)),
        ("service=billing operation=billing.orders p|", None, None),
        ("service=billing operation=billing|", ["billing.orders process"], (26, 33)),
        ("http.method=P|", ["POST"], (12, 13)),
        ("duration>20|", ["20ms", "20s"], (9, 11)),
        ("trace_id=ab|", [], (9, 11)),
        ("none.such=|", [], (10, 10)),
    ],
)  # fmt: skip
def test_names_and_values_are_offered_at_the_cursor(
    store: DuckDBStore, typed: str, first: list[str] | None, replaced: tuple[int, int] | None
) -> None:
    offered, answer = _offered(store, typed)
    if first is not None:
        assert offered[: len(first)] == first
        assert (answer["replace_from"], answer["replace_to"]) == replaced


def test_what_is_offered_makes_a_line_that_is_understood(store: DuckDBStore) -> None:
    for typed in ("|", "s|", "m|", "service=|", "operation=|", "queue=|", "kind=|", "duration>5|", "has:|", "url.full=|"):  # fmt: skip
        _, answer = _offered(store, typed, 100)
        line = typed.replace("|", "")
        for item in answer["items"]:
            full = line[: answer["replace_from"]] + item["insert"] + line[answer["replace_to"] :]
            if item["kind"] in ("field", "attribute"):
                value = {"kind": "client", "status": "ok", "duration": "1s", "protocol": "http"}
                full += value.get(item["text"], "5")
            compile_search(full, range_ns={}, service=None, sort=None)


def test_a_bound_is_kept_and_an_answer_is_quick(store: DuckDBStore) -> None:
    offered, _ = _offered(store, "|", 3)
    assert len(offered) == 3
    started = time.process_time()
    for typed in ("|", "a|", "service=|", "http.route=|", "queue=|"):
        _offered(store, typed)
    assert time.process_time() - started < 2


@given(st.text(st.sampled_from('ab=!":<~ \x00é%'), max_size=12), st.integers(-1, 13))
@settings(max_examples=80, deadline=None)
def test_every_cursor_has_a_place_or_is_refused(q: str, position: int) -> None:
    if not 0 <= position <= len(q):
        with pytest.raises(BadInput, match="position="):
            place_of(q, position)
        return
    place = place_of(q, position)
    assert 0 <= place.start <= position <= place.end <= len(q)
    assert place.typed in q
