"""What is said of one story beside its spans: its tree, clocks, critical path, findings."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from strayline_collector.query.infer import read_inferred
from strayline_collector.query.judged import findings_of_traces
from strayline_collector.query.story import Loaded, never_seen, read_story
from strayline_collector.query.wire import (
    ClockBound,
    ClockMode,
    CriticalSegment,
    MissingSpan,
)
from strayline_collector.store.ports import Session
from strayline_collector.trace.clock import Bound, Correction, bounds, corrected, correction, orders
from strayline_collector.trace.critical_path import critical_path
from strayline_collector.trace.drawing import Drawing, drawing
from strayline_collector.trace.stitch import SpanKey
from strayline_collector.trace.tree import (
    Missing,
    TreeSpan,
    bled_spans,
    children_of,
    display_parents,
    missing_spans,
    story_root,
)

MAX_MISSING: Final = 1_000
MAX_NAMED: Final = 100
"""Of those that name a missing span."""


@contextmanager
def collecting_later() -> Generator[None]:
    """No garbage is collected meanwhile: the collector would look at each of a million new objects,
    none of which is in a circle, dozens of times. They are freed by their counts."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


@dataclass(frozen=True, slots=True)
class Told:
    """A story with everything that is said of its spans."""

    story: Loaded
    tree: list[TreeSpan]
    """As in ``story``, at the times that the clock mode tells."""
    by_key: Mapping[SpanKey, TreeSpan]
    bled: set[SpanKey]
    """Of ``bled_spans``."""
    parents: Mapping[SpanKey, SpanKey | None]
    children: Mapping[SpanKey | None, list[SpanKey]]
    rest: dict[str, Any]
    """Of ``wire.Trace`` what stands beside the spans."""
    findings: Mapping[SpanKey, list[str]]


def tell(
    session: Session,
    trace_id: str,
    *,
    stitched: bool,
    spans: str = "query/trace_spans",
    clock: ClockMode = "raw",
    inferring: bool = False,
) -> Told:
    """A trace, alone or stitched, as ``read_story`` reads it, with times as they were told unless
    ``clock`` is ``corrected``, and guesses of lost causes where ``inferring``. Raises ``NotFound``."""
    story = read_story(session, trace_id, stitched=stitched, spans=spans)
    by_key = {span.key: span for span in story.tree}
    found = orders(by_key)
    bled = bled_spans(by_key)
    parents = display_parents(by_key, bled)
    root = by_key[story_root(by_key, parents)]
    change = correction(found, root.clock or "")
    offsets = change.offsets if clock == "corrected" else {}
    tree = story.tree
    if any(offsets.values()):
        tree = story.moved(corrected(tree, offsets), offsets)
        by_key = {span.key: span for span in tree}
        bled = bled_spans(by_key)
        parents = display_parents(by_key, bled)
    children = children_of(by_key, parents)
    path = critical_path(by_key, parents, children=children)
    missing = never_seen(session, missing_spans(by_key)[:MAX_MISSING])
    rest = {
        "trace_id": trace_id,
        "stitched_trace_ids": sorted({key.trace_id for key in by_key} - {trace_id}),
        "critical_path": [
            CriticalSegment(
                trace_id=segment.key.trace_id,
                span_id=segment.key.span_id,
                kind=segment.kind,
                start_unix_nano=segment.start_ns,
                end_unix_nano=segment.end_ns,
            )
            for segment in path
        ],
        "clock": [_clock_bound(bound, change) for bound in bounds(found)],
        "clock_mode": clock,
        "missing": [_missing(named) for named in missing],
        "inferred": read_inferred(session, story.tree) if inferring else [],
        "truncated": bool(story.cut),
        "truncated_by": sorted(story.cut),
    }
    findings = _findings(session, story.trace_ids)
    return Told(story, tree, by_key, bled, parents, children, rest, findings)


def _findings(session: Session, trace_ids: list[str]) -> dict[SpanKey, list[str]]:
    findings: dict[SpanKey, list[str]] = defaultdict(list)
    for row in findings_of_traces(session, trace_ids):
        findings[SpanKey(row["trace_id"], row["span_id"])].append(row["id"])
    return findings


def drawn(told: Told) -> Drawing:
    """The rows of its ``tree`` as they are drawn."""
    return drawing(told.tree, told.parents, told.children)


def _clock_bound(bound: Bound, change: Correction) -> ClockBound:
    offset_ns = change.offsets[bound.b] - change.offsets[bound.a] if change.possible else None
    return ClockBound(
        host_a=bound.a,
        host_b=bound.b,
        min_offset_ns=bound.least_ns,
        max_offset_ns=bound.most_ns,
        consistent=bound.consistent,
        correction_ns=offset_ns,
    )


def _missing(named: Missing) -> MissingSpan:
    def told(keys: tuple[SpanKey, ...]) -> list[str]:
        return [f"{key.trace_id}-{key.span_id}" for key in keys[:MAX_NAMED]]

    return MissingSpan(
        trace_id=named.key.trace_id,
        span_id=named.key.span_id,
        children=told(named.children),
        linked=told(named.linked),
        named=len(named.children) + len(named.linked),
    )
