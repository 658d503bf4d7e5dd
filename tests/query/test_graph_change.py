"""The graph of a range beside another's."""

from __future__ import annotations

import itertools

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline_collector.decode.otlp import decode
from strayline_collector.query.graph import read_graph
from strayline_collector.query.graph_change import read_graph_beside
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.corpus import load_recording

SECOND = 1_000_000_000
BEFORE, NOW = 1_795_000_000 * SECOND, 1_795_003_600 * SECOND
HOUR = {"before": {"start_ns": BEFORE, "end_ns": NOW - 1}, "now": {"start_ns": NOW, "end_ns": NOW + 3600 * SECOND}}  # fmt: skip


def _calls(parts: list[tuple[int, str, int, int]]) -> bytes:
    """Calls of ``gateway`` to services: start, service, how many, milliseconds each."""
    request = ExportTraceServiceRequest()
    numbers = itertools.count(1)
    for start, service, count, ms in parts:
        for i in range(count):
            trace_id, client = next(numbers).to_bytes(16, "big"), next(numbers).to_bytes(8, "big")
            for kind, name, span_id, parent in (
                (3, "gateway", client, b""),
                (2, service, next(numbers).to_bytes(8, "big"), client),
            ):
                of = request.resource_spans.add()
                of.resource.attributes.add(key="service.name").value.string_value = name
                span = of.scope_spans.add().spans.add(
                    trace_id=trace_id, span_id=span_id, parent_span_id=parent, name="GET", kind=kind,
                    start_time_unix_nano=start + i * SECOND, end_time_unix_nano=start + i * SECOND + ms * 1_000_000,
                )  # fmt: skip
                span.attributes.add(key="http.request.method").value.string_value = "GET"
    return request.SerializeToString()


@pytest.mark.parametrize("level", ["service", "messaging"])
def test_new_gone_slower_faster_and_same_are_told_of_nodes_and_edges(level: str) -> None:
    store = DuckDBStore.open(":memory:")
    parts = [
        (BEFORE, "slow", 12, 10), (NOW, "slow", 12, 40), (BEFORE, "fast", 12, 40), (NOW, "fast", 12, 10), (BEFORE, "few", 9, 10),
        (NOW, "few", 9, 40), (BEFORE, "old", 3, 5), (NOW, "new", 4, 5), (BEFORE, "same", 20, 10), (NOW, "same", 25, 11),
    ]  # fmt: skip
    store.append(decode([_calls(parts)], 1), Position(1, 1), 1)
    with store.read() as session:
        graph = read_graph_beside(session, HOUR["now"], HOUR["before"], level)
        alone = read_graph(session, HOUR["now"], level)
    store.close()
    assert (graph["nodes"], graph["edges"]) == (alone["nodes"], alone["edges"])
    assert "compared" in graph
    wanted = {"slow": "slower", "fast": "faster", "few": "same", "old": "gone", "new": "new", "same": "same"}  # fmt: skip
    edges = {edge["target"].removeprefix("service:"): edge for edge in graph["compared"]["edges"]}
    assert {name: edge["change"] for name, edge in edges.items()} == wanted
    assert (edges["same"]["calls"], edges["same"]["before_calls"]) == (25, 20)
    assert (edges["old"]["calls"], edges["old"]["before_calls"], edges["old"]["p95_ms"]) == (0, 3, None)  # fmt: skip
    nodes = {node["name"]: node["change"] for node in graph["compared"]["nodes"]}
    assert nodes == {**wanted, "gateway": "same"}


@pytest.mark.parametrize("level", ["service", "messaging"])
def test_a_recording_beside_itself_is_the_same_and_beside_nothing_new(level: str) -> None:
    store = DuckDBStore.open(":memory:")
    load_recording(store, "b_misroute")
    everything = {"start_ns": 0, "end_ns": 2**63 - 1}
    with store.read() as session:
        same = read_graph_beside(session, everything, everything, level)
        new = read_graph_beside(session, everything, {"start_ns": 0, "end_ns": 1}, level)
        alone = read_graph(session, everything, level)
    store.close()
    for graph, change in ((same, "same"), (new, "new")):
        assert (graph["nodes"], graph["edges"]) == (alone["nodes"], alone["edges"])
        assert "compared" in graph
        parts = [*graph["compared"]["nodes"], *graph["compared"]["edges"]]
        assert {part["change"] for part in parts} == {change}
        assert len(parts) == len(alone["nodes"]) + len(alone["edges"])
