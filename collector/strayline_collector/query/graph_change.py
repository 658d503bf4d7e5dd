"""The graph of one range beside another's: what is new, gone, slower or faster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from strayline_collector.query.compare import changed
from strayline_collector.query.graph import read_graph
from strayline_collector.query.wire import (
    Edge,
    Graph,
    GraphChange,
    GraphEdgeChange,
    GraphNodeChange,
    Node,
    RangeChange,
)
from strayline_collector.store.ports import Session

V = TypeVar("V")


def read_graph_beside(
    session: Session, range_ns: Mapping[str, int], before_ns: Mapping[str, int], level: str
) -> Graph:
    """The graph of ``range_ns`` with ``compared``: how each node and edge was in ``before_ns``."""
    now, before = read_graph(session, range_ns, level), read_graph(session, before_ns, level)
    return Graph(nodes=now["nodes"], edges=now["edges"], compared=compared(now, before))


def compared(now: Graph, before: Graph) -> GraphChange:
    """Every node and edge of either graph, in the order of their ids."""
    nodes = _paired({n["id"]: n for n in now["nodes"]}, {n["id"]: n for n in before["nodes"]})
    edges = _paired({_key(e): e for e in now["edges"]}, {_key(e): e for e in before["edges"]})
    return GraphChange(
        nodes=[_node(*pair) for pair in nodes],
        edges=[_edge(*pair) for pair in edges],
    )


def _paired(now: Mapping[Any, V], before: Mapping[Any, V]) -> list[tuple[V | None, V | None]]:
    return [(now.get(key), before.get(key)) for key in sorted({*now, *before})]


def _key(edge: Edge) -> tuple[str, str, str]:
    return edge["source"], edge["target"], edge["protocol"]


def _node(now: Node | None, before: Node | None) -> GraphNodeChange:
    known = now or before
    assert known is not None
    return GraphNodeChange(
        id=known["id"],
        kind=known["kind"],
        name=known["name"],
        change=_change(now, before),
        calls=now["calls"] if now else 0,
        before_calls=before["calls"] if before else 0,
        errors=now["errors"] if now else 0,
        before_errors=before["errors"] if before else 0,
        p95_ms=now["p95_ms"] if now else None,
        before_p95_ms=before["p95_ms"] if before else None,
    )


def _edge(now: Edge | None, before: Edge | None) -> GraphEdgeChange:
    known = now or before
    assert known is not None
    return GraphEdgeChange(
        source=known["source"],
        target=known["target"],
        protocol=known["protocol"],
        change=_change(now, before),
        calls=now["calls"] if now else 0,
        before_calls=before["calls"] if before else 0,
        errors=now["errors"] if now else 0,
        before_errors=before["errors"] if before else 0,
        p95_ms=now["p95_ms"] if now else None,
        before_p95_ms=before["p95_ms"] if before else None,
        queue_wait_p95_ms=now["queue_wait_p95_ms"] if now else None,
        before_queue_wait_p95_ms=before["queue_wait_p95_ms"] if before else None,
    )


def _change(now: Node | Edge | None, before: Node | Edge | None) -> RangeChange:
    """By being there, not by calls: a service that only calls others has none."""
    if now is None or before is None:
        return "gone" if now is None else "new"
    figures: dict[str, Any] = {}
    for side, part in (("a", before), ("b", now)):
        figures |= {f"{side}_calls": max(1, part["calls"]), f"{side}_p95_ms": part["p95_ms"]}
    return changed(figures)
