"""What the broker gives back after a publish's span has ended is told by a span of its own."""

from __future__ import annotations

import itertools

import pytest

from strayline_collector.decode.otlp import decode
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.spans import otlp_span


def _publish(number: int) -> bytes:
    return otlp_span(
        number, 4, messaging__operation__type="send", strayline__exchange="events",
        strayline__outcome="unconfirmed",
    )  # fmt: skip


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_return_meets_its_publish_whichever_comes_first(
    store: DuckDBStore, order: tuple[int, ...]
) -> None:
    told = [[_publish(1)], [_publish(2)], [otlp_span(3, 3, 1, messaging__operation__name="return")]]
    for offset, step in enumerate(order, start=1):
        store.append(decode(told[step], 1), Position(1, offset), 1)
    with store.read() as session:
        rows = session.rows("SELECT span_id, outcome FROM publishes ORDER BY span_id")
    assert [row["outcome"] for row in rows] == ["returned", "unconfirmed"]


def test_the_handling_of_a_batch_is_no_delivery(store: DuckDBStore) -> None:
    batch = otlp_span(2, 5, 1, messaging__operation__type="process", strayline__batch=True)
    store.append(decode([_publish(1), batch], 1), Position(1, 1), 1)
    with store.read() as session:
        assert session.rows("SELECT * FROM deliveries") == []
