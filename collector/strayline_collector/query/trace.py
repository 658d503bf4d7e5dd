"""One trace with everything drawn about it.

A trace may have 100,000 spans. What the tree does not need of them is JSON text from the store to
the answer: parsing it and writing it again took four fifths of the time.
"""

from __future__ import annotations

import gc
import json
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import add, sub
from typing import Any, Final, cast

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
    SpanEvent,
    SpanLink,
    Trace,
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

compute: Final[Any] = pyarrow.compute  # makes its functions at run time, unknown to types

MAX_MISSING: Final = 1_000
MAX_NAMED: Final = 100
"""Of those that name a missing span."""


def read_trace(
    session: Session, trace_id: str, *, stitched: bool, clock: ClockMode = "raw"
) -> Trace:
    """As ``trace_text``, for who wants the object."""
    return json.loads(trace_text(session, trace_id, stitched=stitched, clock=clock))


def trace_text(
    session: Session,
    trace_id: str,
    *,
    stitched: bool,
    clock: ClockMode = "raw",
    inferring: bool = False,
) -> bytes:
    """One trace, alone or stitched, as JSON (``wire.Trace``). Times are as they were told unless
    ``clock`` is ``corrected``; guesses of lost causes are added where ``inferring``. Raises
    ``NotFound``."""
    with collecting_later():
        story = read_story(session, trace_id, stitched=stitched)
        return _text(tell(session, trace_id, story, clock, inferring=inferring))


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
    session: Session, trace_id: str, story: Loaded, clock: ClockMode, *, inferring: bool = False
) -> Told:
    """What is said of a story, with times as they were told unless ``clock`` is ``corrected``, and
    guesses of lost causes where ``inferring``."""
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


def _text(told: Told) -> bytes:
    head = f'{json.dumps(told.rest)[:-1]}, "spans": ['.encode()
    return b"".join((head, _spans(told)[1:], b"]}"))


def _findings(session: Session, trace_ids: list[str]) -> dict[SpanKey, list[str]]:
    findings: dict[SpanKey, list[str]] = defaultdict(list)
    for row in findings_of_traces(session, trace_ids):
        findings[SpanKey(row["trace_id"], row["span_id"])].append(row["id"])
    return findings


def _spans(told: Told) -> memoryview:
    """Each span's JSON in drawing order, a comma before each. Put together by Arrow: what a column
    of texts holds lies in memory as one text."""
    picture = drawn(told)
    order = picture.rows
    spans = [told.tree[row] for row in order]
    starts = [span.start_ns for span in spans]
    ends = [told.story.ends_ns[row] for row in order]
    later = [0] * len(order)
    if told.tree is not told.story.tree:
        was = [told.story.tree[row].start_ns for row in order]
        later = list(map(sub, starts, was))
        ends = list(map(add, ends, later))
    backwards = [end < start for start, end in zip(starts, ends, strict=True)]
    pieces = _joined(
        ",{",
        told.story.texts(order),
        _texts(_more(told, spans, order, later)),
        '"start_unix_nano":',
        _numbers(starts),
        ',"end_unix_nano":',
        _numbers(ends),
        ',"self_ns":',
        _numbers(picture.own_ns),
        ',"display_parent":',
        _named(told.story.names(order), picture.above),
        ',"context_bleed":',
        _yes_no([span.key in told.bled for span in spans]) if told.bled else "false",
        ',"ends_before_start":',
        _yes_no(backwards) if any(backwards) else "false",
        "}",
    )
    _, offsets, data = pieces.buffers()
    bounds_at = memoryview(offsets).cast("q")
    return memoryview(data)[bounds_at[pieces.offset] : bounds_at[pieces.offset + len(pieces)]]


def drawn(told: Told) -> Drawing:
    """The rows of its ``tree`` as they are drawn."""
    return drawing(told.tree, told.parents, told.children)


def _joined(*parts: Any) -> pa.LargeStringArray:
    """Texts of each row, one after another."""
    texts = [
        pa.scalar(part, pa.large_string()) if isinstance(part, str) else part for part in parts
    ]
    return compute.binary_join_element_wise(*texts, pa.scalar("", pa.large_string()))


def _texts(values: list[str]) -> pa.LargeStringArray:
    return pa.array(values, pa.large_string())


def _numbers(values: list[int]) -> pa.LargeStringArray:
    return pa.array(values, pa.int64()).cast(pa.large_string())


def _yes_no(values: list[bool]) -> pa.LargeStringArray:
    return _texts(["true" if value else "false" for value in values])


def _named(names: pa.Table, places: list[int]) -> pa.LargeStringArray:
    """JSON of the names of the spans at ``places``, null where there is none (-1)."""
    rows = compute.if_else(compute.less(at := pa.array(places, pa.int64()), 0), None, at)
    traces, spans = (names[name].cast(pa.large_string()) for name in ("trace_id", "span_id"))
    quoted = _joined('"', traces.combine_chunks(), "-", spans.combine_chunks(), '"')
    return compute.fill_null(quoted.take(rows), "null")


def _more(told: Told, spans: list[TreeSpan], order: list[int], later: list[int]) -> list[str]:
    """What few spans have: a message, events, links, findings."""
    story, findings = told.story, told.findings
    found = [_PLAIN] * len(spans)
    if story.deliveries or findings:
        wanted: Iterable[int] = range(len(spans))
    else:
        says = [
            bool(events or links) for events, links in zip(story.events, story.links, strict=True)
        ]
        wanted = [at for at, row in enumerate(order) if says[row]] if any(says) else ()
    for at in wanted:
        span, row = spans[at], order[at]
        events, links = story.events[row], story.links[row]
        delivery, ids = story.deliveries.get(span.key), findings.get(span.key)
        if not (events or links or delivery or ids):
            continue
        queue = None if delivery is None else delivery["queue"]
        found[at] = (
            f',"queue":{json.dumps(queue)},"queue_wait_ns":{json.dumps(span.wait_ns if delivery else None)},'
            f'"events":{_events(events, later[at])},"links":{_links(links)},"findings":{json.dumps(sorted(ids or ()))},'
        )
    return found


_PLAIN: Final = ',"queue":null,"queue_wait_ns":null,"events":[],"links":[],"findings":[],'


def _events(text: str | None, later_ns: int) -> str:
    if text is None:
        return "[]"
    events = cast("list[dict[str, Any]]", json.loads(text))
    return json.dumps(
        [
            SpanEvent(
                name=event["name"],
                time_unix_nano=event["time_unix_nano"] + later_ns,
                attributes=event["attributes"],
            )
            for event in events
        ]
    )


def _links(text: str | None) -> str:
    if text is None:
        return "[]"
    links = cast("list[dict[str, Any]]", json.loads(text))
    return json.dumps(
        [
            SpanLink(
                trace_id=link["trace_id"], span_id=link["span_id"], attributes=link["attributes"]
            )
            for link in links
        ]
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
