"""A value that no resource holds is not looked for in the spans' resources; one that one holds is."""

from __future__ import annotations

from pathlib import Path

from strayline_collector.decode.otlp import decode
from strayline_collector.query.search import compile_search
from strayline_collector.query.traces import search_traces
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support import otlp
from tests.support.old_store import old_file

ALWAYS = {"start_ns": 0, "end_ns": 2**63 - 1}


def found(store: DuckDBStore, q: str) -> int:
    search = compile_search(q, range_ns=ALWAYS, service=None, sort=None)
    with store.read() as session:
        return len(search_traces(session, search, limit=50)["items"])


def left_out(store: DuckDBStore, q: str) -> bool:
    search = compile_search(q, range_ns=ALWAYS, service=None, sort=None)
    with store.read() as session:
        search_traces(session, search, limit=50)
    assert search.in_resources
    return bool(search.left_out)


def pods(first: int, count: int) -> bytes:
    """Spans of different resources."""
    requests = [otlp.request(number) for number in range(first, first + count)]
    for number, request in enumerate(requests, first):
        resource = request.resource_spans[0].resource
        resource.attributes.add(key="k8s.pod.name").value.string_value = f"pod-{number}-x"
    return b"".join(request.SerializeToString() for request in requests)


def test_few_resources_are_known_and_many_are_looked_for_in_spans() -> None:
    store = DuckDBStore.open(":memory:")
    store.append(decode([pods(1, 10)], 1), Position(1, 1), 1)
    assert found(store, "k8s.pod.name=pod-7-x") == 1
    assert not left_out(store, "k8s.pod.name=pod-7-x")
    assert found(store, "k8s.pod.name=pod-11-x") == 0
    assert left_out(store, "k8s.pod.name=pod-11-x")
    for load in range(4):
        body = pods(11 + load * 500, 500)
        store.append(decode([body], 1), Position(2, load), 1)
    assert found(store, "k8s.pod.name=pod-2005-x") == 1
    assert not left_out(store, "k8s.pod.name=nowhere-x")
    store.close()


def test_resources_of_an_older_file_are_known(tmp_path: Path) -> None:
    path = str(tmp_path / "old.duckdb")
    old_file(path, 6)
    store = DuckDBStore.open(path)
    with store.read() as session:
        (resource,) = session.rows("SELECT DISTINCT resource FROM spans")
        assert session.rows("SELECT resource FROM resources") == [resource]
    store.close()
