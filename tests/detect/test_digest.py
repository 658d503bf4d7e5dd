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


def test_ways_that_retention_dropped_are_forgotten(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strayline_collector.detect.digest.REMEMBERED", 8)
    digest = Digest()
    known: list[int] = []
    for number in range(1, 13):
        name = f"amq.gen-{number}"
        told = {"routing_key": name, "batch": number, "first_batch": number}
        came = delivery_row(number, Attempt(number, 1, number, 10, 20, queue=name))
        put(store, {"publish_facts": [publish_row(number, **told)], "delivery_facts": [{**came, **told}]}, number)  # fmt: skip
        with store.write() as session:
            for table in ("publish_facts", "delivery_facts"):
                session.execute(f"DELETE FROM {table} WHERE first_batch < {number - 1}")
        with store.read() as session:
            digest.register(session, number)
            known += [
                len(session.rows("SELECT 1 FROM sent_ways UNION ALL SELECT 1 FROM came_ways"))
            ]
            assert session.rows("SELECT 1 FROM came_ways WHERE queue = $name", {"name": name})
    assert max(known) <= 10
