"""The view ``topology``: until when a binding held that somebody ended, and what documents told."""

from __future__ import annotations

from typing import Any

import pytest

from strayline_collector.detect.topology_document import put_topology
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import binding, exchange, put, queue, rows_of

HEARD = 1000


def held(store: DuckDBStore, *told: dict[str, Any]) -> list[tuple[str, int, int | None]]:
    """Of each binding its arguments, and until when it surely and possibly held."""
    put(store, rows_of([], topology=list(told)))
    with store.write() as session:
        session.execute(f"INSERT INTO processes VALUES ('c', 'consumer', 'h', 1, {HEARD}, {HEARD})")
    with store.read() as session:
        rows = session.rows("SELECT arguments, surely_to, possibly_to FROM topology WHERE kind = 'binding' ORDER BY ALL")  # fmt: skip
    return [(row["arguments"], row["surely_to"], row["possibly_to"]) for row in rows]


def test_an_unbind_ends_the_binding_with_its_arguments_alone(store: DuckDBStore) -> None:
    """In whatever order they are told."""
    first, second = {"x-match": "all", "kind": "a"}, {"x-match": "all", "kind": "b"}
    bound = [{**binding("x", "work", ""), "arguments": told} for told in (first, second)]
    turned = dict(reversed(first.items()))
    gone = {**bound[0], "arguments": turned, "action": "unbind", "seen_ns": 40}
    found = held(store, exchange("x", "headers"), queue("work"), *bound, gone)
    assert [(surely, possibly) for _, surely, possibly in found] == [(40, 40), (HEARD, None)]


@pytest.mark.parametrize(
    ("gone", "ended"),
    [
        (queue("work"), True), (exchange("x", "topic"), True), (queue("x"), False), (exchange("work", "topic"), False),
    ],
    ids=["its queue", "its exchange", "a queue named as the exchange", "an exchange named as the queue"],
)  # fmt: skip
def test_a_binding_goes_with_either_end(
    store: DuckDBStore, gone: dict[str, Any], ended: bool
) -> None:
    deleted = {**gone, "action": "delete", "seen_ns": 40}
    found = held(store, exchange("x", "topic"), queue("work"), binding("x", "work", "k"), deleted)
    assert found == [("{}", 40, 40) if ended else ("{}", HEARD, None)]


def test_what_a_document_says_again_goes_on_and_what_it_left_out_held_twice(
    store: DuckDBStore,
) -> None:
    for at_ns, names in ((10, "a"), (20, "ab"), (30, "b"), (40, "ab")):
        document = {"queues": [{"name": name} for name in names]}
        put_topology(store, document, role="intended", vhost="shop", valid_from_ns=at_ns)
    with store.read() as session:
        rows = session.rows(
            "SELECT name, surely_from, possibly_to FROM topology ORDER BY name, surely_from"
        )
    assert [tuple(row.values()) for row in rows] == [
        ("a", 10, 29),
        ("a", 40, None),
        ("b", 20, None),
    ]
