"""What is said of one story beside its spans: its tree, clocks, critical path, findings."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute

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
from strayline_collector.trace.critical_path import Segment, critical_path
from strayline_collector.trace.drawing import Drawing, drawing
from strayline_collector.trace.spans import Spans
from strayline_collector.trace.stitch import SpanKey
from strayline_collector.trace.tree import (
    Missing,
    bled_spans,
    children_of,
    display_parents,
    missing_spans,
    story_root,
)

compute: Final[Any] = pyarrow.compute  # makes its functions at run time, unknown to types

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
    trace_id: str
    stitched_trace_ids: list[str]
    """The others in the story."""
    spans: Spans
    """As in ``story``, at the times that the clock mode tells."""
    offsets: Mapping[str, int]
    """By how much each clock was set back; none where nothing was."""
    bled: set[int]
    """Of ``bled_spans``."""
    parents: Sequence[int]
    children: Mapping[int, Sequence[int]]
    path: list[Segment]
    """The critical path."""
    rest: dict[str, Any]
    """What ``wire.Trace`` and ``wire.Outline`` say besides."""
    findings: Mapping[SpanKey, list[str]]

    def later_ns(self, clock: str | None) -> int:
        """By how much times are told later than that clock told them."""
        return -self.offsets.get(clock or "", 0)


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
    tree = story.spans
    found = orders(tree)
    bled = bled_spans(tree)
    parents = display_parents(tree, bled)
    root = story_root(tree, parents)
    change = correction(found, tree.clock[root] or "")
    offsets = change.offsets if clock == "corrected" and any(change.offsets.values()) else {}
    if offsets:
        tree = corrected(tree, offsets)
        bled = bled_spans(tree)
        parents = display_parents(tree, bled)
    children = children_of(tree, parents)
    missing = never_seen(session, missing_spans(tree)[:MAX_MISSING])
    rest = {
        "clock": [_clock_bound(bound, change) for bound in bounds(found)],
        "clock_mode": clock,
        "missing": [_missing(named) for named in missing],
        "inferred": read_inferred(session, story) if inferring else [],
        "truncated": bool(story.cut),
        "truncated_by": sorted(story.cut),
    }
    return Told(
        story=story,
        trace_id=trace_id,
        stitched_trace_ids=sorted({*tree.trace_id[: len(tree)]} - {trace_id}),
        spans=tree,
        offsets=offsets,
        bled=bled,
        parents=parents,
        children=children,
        path=critical_path(tree, parents, children),
        rest=rest,
        findings=_findings(session, story.trace_ids),
    )


def _findings(session: Session, trace_ids: list[str]) -> dict[SpanKey, list[str]]:
    findings: dict[SpanKey, list[str]] = defaultdict(list)
    for row in findings_of_traces(session, trace_ids):
        findings[SpanKey(row["trace_id"], row["span_id"])].append(row["id"])
    return findings


def drawn(told: Told) -> Drawing:
    """How its rows are drawn."""
    return drawing(told.spans, told.parents, told.children, told.story.twins())


def lines(told: Told, rows: Sequence[int], *names: str) -> pa.RecordBatch:
    """Columns of the story of these rows, at the times that are told."""
    found = told.story.columns.select([*names]).take(pa.array(rows, pa.int64()))
    if told.offsets:
        clocks = told.story.columns["clock"].take(pa.array(rows, pa.int64())).to_pylist()
        later_ns = pa.array(map(told.later_ns, clocks), pa.int64())
        for name in {"start_ns", "end_ns"} & {*names}:
            at = names.index(name)
            found = found.set_column(at, name, compute.add_checked(found[name], later_ns))
    return found


def told_segment(spans: Spans, segment: Segment) -> CriticalSegment:
    """As the API tells it."""
    return CriticalSegment(
        trace_id=spans.trace_id[segment.place],
        span_id=spans.span_id[segment.place],
        kind=segment.kind,
        start_unix_nano=segment.start_ns,
        end_unix_nano=segment.end_ns,
    )


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
