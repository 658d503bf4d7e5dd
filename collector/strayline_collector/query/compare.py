"""Two traces beside one another, or two ranges of time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from strayline_collector.query.graph import read_graph
from strayline_collector.query.story import Loaded, read_story
from strayline_collector.query.traces import KINDS
from strayline_collector.query.wire import (
    ComparedCall,
    ComparedEdge,
    ComparedFigures,
    ComparedOperation,
    ComparedQueue,
    ComparedSide,
    Edge,
    RangeChange,
    RangeComparison,
    TraceComparison,
)
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session
from strayline_collector.trace.compare import Pair, Signature, Story, compare
from strayline_collector.trace.tree import TreeSpan

FEWEST_CALLS: Final = 10
"""On both sides before a p95 is called slower or faster."""
SLOWER: Final = 1.5
LEAST_MS: Final = 1.0


def compare_traces(session: Session, a: str, b: str, *, stitched: bool) -> TraceComparison:
    """Structure, durations, counts and messages. Raises ``NotFound``."""
    left = read_story(session, a, stitched=stitched)
    right = read_story(session, b, stitched=stitched)
    pairs = compare(_story(left), _story(right))
    return TraceComparison(
        a=_side(a, left),
        b=_side(b, right),
        added=sum(pair.change == "added" for pair in pairs),
        missing=sum(pair.change == "missing" for pair in pairs),
        reordered=sum(pair.change == "reordered" for pair in pairs),
        calls=[_call(pair) for pair in pairs],
        operations=_operations(pairs),
        queues=_queues(left, right),
        truncated=bool(left.cut or right.cut),
    )


def _story(loaded: Loaded) -> Story:
    told = zip(loaded.tree, loaded.services, loaded.names, strict=True)
    return Story(
        loaded.tree, {s.key: Signature(service, s.kind, name) for s, service, name in told}
    )


def _side(trace_id: str, loaded: Loaded) -> ComparedSide:
    start_ns = min(span.start_ns for span in loaded.tree)
    waits = [span.wait_ns for span in loaded.tree if span.wait_ns is not None]
    return ComparedSide(
        trace_id=trace_id,
        start_unix_nano=start_ns,
        duration_ms=(max(span.end_ns for span in loaded.tree) - start_ns) / 1e6,
        spans=len(loaded.tree),
        errors=sum(loaded.failed),
        messages=len(loaded.deliveries),
        queue_wait_ms=max(waits) / 1e6 if waits else None,
    )


def _call(pair: Pair) -> ComparedCall:
    a_ms, b_ms = _ms(pair.a), _ms(pair.b)
    return ComparedCall(
        change=pair.change,
        service=pair.signature.service,
        operation=pair.signature.name,
        kind=KINDS[pair.signature.kind],
        depth=pair.depth,
        a=_name(pair.a),
        b=_name(pair.b),
        a_ms=a_ms,
        b_ms=b_ms,
        delta_ms=b_ms - a_ms if a_ms is not None and b_ms is not None else None,
        a_queue_wait_ms=_wait_ms(pair.a),
        b_queue_wait_ms=_wait_ms(pair.b),
    )


def _name(span: TreeSpan | None) -> str | None:
    return None if span is None else f"{span.key.trace_id}-{span.key.span_id}"


def _ms(span: TreeSpan | None) -> float | None:
    return None if span is None else (span.end_ns - span.start_ns) / 1e6


def _wait_ms(span: TreeSpan | None) -> float | None:
    return None if span is None or span.wait_ns is None else span.wait_ns / 1e6


def _operations(pairs: Iterable[Pair]) -> list[ComparedOperation]:
    durations: dict[Signature, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for pair in pairs:
        for side, span in enumerate((pair.a, pair.b)):
            took_ms = _ms(span)
            if took_ms is not None:
                durations[pair.signature][side].append(took_ms)
    found = [
        ComparedOperation(
            service=signature.service,
            operation=signature.name,
            kind=KINDS[signature.kind],
            a_calls=len(a),
            b_calls=len(b),
            a_total_ms=sum(a),
            b_total_ms=sum(b),
        )
        for signature, (a, b) in durations.items()
    ]
    return sorted(found, key=lambda o: (-abs(o["b_total_ms"] - o["a_total_ms"]), o["service"], o["operation"], o["kind"]))  # fmt: skip


def _queues(left: Loaded, right: Loaded) -> list[ComparedQueue]:
    a = Counter(row["queue"] for row in left.deliveries.values() if row["queue"])
    b = Counter(row["queue"] for row in right.deliveries.values() if row["queue"])
    return [
        ComparedQueue(queue=queue, a_deliveries=a[queue], b_deliveries=b[queue])
        for queue in sorted({*a, *b})
    ]


def compare_ranges(
    session: Session, a: Mapping[str, int], b: Mapping[str, int], *, service: str | None
) -> RangeComparison:
    """What every operation, call and queue was in two ranges, and what changed."""
    bounds = {"start_a": a["start_ns"], "end_a": a["end_ns"], "start_b": b["start_ns"], "end_b": b["end_ns"]}  # fmt: skip
    rows = session.rows(load("query/compare_operations"), {**bounds, "service": service})
    edges: dict[tuple[str, str, str], dict[str, Edge]] = defaultdict(dict)
    for side, range_ns in (("a", a), ("b", b)):
        for edge in read_graph(session, range_ns, "messaging")["edges"]:
            if service is None or f"service:{service}" in (edge["source"], edge["target"]):
                edges[edge["source"], edge["target"], edge["protocol"]][side] = edge
    return RangeComparison(
        operations=[
            ComparedFigures(
                service=row["service"],
                operation=row["name"],
                kind=KINDS[row["kind"]],
                a_calls=row["a_calls"],
                b_calls=row["b_calls"],
                a_errors=row["a_errors"],
                b_errors=row["b_errors"],
                a_p50_ms=row["a_p50_ms"],
                b_p50_ms=row["b_p50_ms"],
                a_p95_ms=row["a_p95_ms"],
                b_p95_ms=row["b_p95_ms"],
                change=changed(row),
            )
            for row in rows
        ],
        edges=[_edge(names, sides) for names, sides in sorted(edges.items())],
    )


def _edge(names: tuple[str, str, str], sides: Mapping[str, Edge]) -> ComparedEdge:
    a, b = sides.get("a"), sides.get("b")
    known = b if b is not None else sides["a"]
    found = ComparedEdge(
        source=names[0],
        target=names[1],
        protocol=known["protocol"],
        a_calls=a["calls"] if a else 0,
        b_calls=b["calls"] if b else 0,
        a_errors=a["errors"] if a else 0,
        b_errors=b["errors"] if b else 0,
        a_p95_ms=a["p95_ms"] if a else None,
        b_p95_ms=b["p95_ms"] if b else None,
        a_queue_wait_p95_ms=a["queue_wait_p95_ms"] if a else None,
        b_queue_wait_p95_ms=b["queue_wait_p95_ms"] if b else None,
        change="same",
    )
    found["change"] = changed(found)
    return found


def changed(figures: Mapping[str, Any]) -> RangeChange:
    """New or gone, else slower or faster by half at p95, at least a millisecond, of at least ten
    calls on each side."""
    if not figures["a_calls"]:
        return "new"
    if not figures["b_calls"]:
        return "gone"
    a_ms, b_ms = figures["a_p95_ms"], figures["b_p95_ms"]
    few = min(figures["a_calls"], figures["b_calls"]) < FEWEST_CALLS
    if few or a_ms is None or b_ms is None or abs(b_ms - a_ms) < LEAST_MS:
        return "same"
    if b_ms >= SLOWER * a_ms:
        return "slower"
    return "faster" if a_ms >= SLOWER * b_ms else "same"
