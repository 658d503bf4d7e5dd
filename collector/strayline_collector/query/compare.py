"""Two traces beside one another, or two ranges of time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import Any, Final

import pyarrow as pa

from strayline_collector.query.graph import read_graph
from strayline_collector.query.stored_spans import wait_ns
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
        calls=[_call(left, right, pair) for pair in pairs],
        operations=_operations(left, right, pairs),
        queues=_queues(left, right),
        truncated=bool(left.cut or right.cut),
    )


def _story(loaded: Loaded) -> Story:
    columns = loaded.columns.take(pa.array(loaded.spans.row, pa.int64()))
    told = (columns[name].to_pylist() for name in ("service", "kind", "name"))
    return Story(loaded.spans, list(map(Signature, *told)))


def _side(trace_id: str, loaded: Loaded) -> ComparedSide:
    start_ns, latest_ns = loaded.starts_ns
    end_ns = max(latest_ns, *loaded.columns["end_ns"].to_pylist())
    told = map(wait_ns, loaded.by_row(loaded.deliveries).values(), repeat({}))
    waits = [waited_ns for waited_ns in told if waited_ns is not None]
    return ComparedSide(
        trace_id=trace_id,
        start_unix_nano=start_ns,
        duration_ms=(end_ns - start_ns) / 1e6,
        spans=loaded.columns.num_rows,
        errors=sum(loaded.columns["failed"].to_pylist()),
        messages=len(loaded.deliveries),
        queue_wait_ms=max(waits) / 1e6 if waits else None,
    )


def _call(left: Loaded, right: Loaded, pair: Pair) -> ComparedCall:
    a_ms, b_ms = _ms(left, pair.a), _ms(right, pair.b)
    return ComparedCall(
        change=pair.change,
        service=pair.signature.service,
        operation=pair.signature.name,
        kind=KINDS[pair.signature.kind],
        depth=pair.depth,
        a=_name(left, pair.a),
        b=_name(right, pair.b),
        a_ms=a_ms,
        b_ms=b_ms,
        delta_ms=b_ms - a_ms if a_ms is not None and b_ms is not None else None,
        a_queue_wait_ms=_wait_ms(left, pair.a),
        b_queue_wait_ms=_wait_ms(right, pair.b),
    )


def _name(story: Loaded, place: int | None) -> str | None:
    return None if place is None else "-".join(story.spans.key(place))


def _ms(story: Loaded, place: int | None) -> float | None:
    if place is None:
        return None
    return (story.spans.end_ns[place] - story.spans.start_ns[place]) / 1e6


def _wait_ms(story: Loaded, place: int | None) -> float | None:
    delivery = None if place is None else story.deliveries.get(story.spans.key(place))
    waited_ns = None if delivery is None else wait_ns(delivery, {})
    return None if waited_ns is None else waited_ns / 1e6


def _operations(left: Loaded, right: Loaded, pairs: Iterable[Pair]) -> list[ComparedOperation]:
    durations: dict[Signature, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for pair in pairs:
        for side, took_ms in enumerate((_ms(left, pair.a), _ms(right, pair.b))):
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
