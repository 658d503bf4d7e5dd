"""What the history comes to."""

from __future__ import annotations

import pytest

from strayline_collector.detect.digest import Digest
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import ALIKE, Attempt, delivery_row, publish_row, put


@pytest.fixture
def store() -> DuckDBStore:
    return DuckDBStore.open(":memory:")


def test_ways_of_alike_names_are_kept_apart(store: DuckDBStore) -> None:
    put(
        store,
        {
            "publish_facts": [
                publish_row(n, routing_key=name) for n, name in enumerate(ALIKE, start=1)
            ],
            "delivery_facts": [
                {**delivery_row(n, Attempt(n, 1, n, 10, 20, queue=name)), "routing_key": name}
                for n, name in enumerate(ALIKE, start=1)
            ],
        },
    )
    with store.read() as session:
        assert session.rows("SELECT hash($a) = hash($b) AS same", dict(zip("ab", ALIKE, strict=True)))[0]["same"]  # fmt: skip
        digest = Digest()
        digest.register(session, 1)
        sent = session.rows("SELECT routing_key FROM sent_ways ORDER BY ALL")
        came = session.rows("SELECT queue FROM came_ways ORDER BY ALL")
    assert [row["routing_key"] for row in sent] == list(ALIKE)
    assert [row["queue"] for row in came] == list(ALIKE)
    assert digest.stirred(frozenset({"several"}))
