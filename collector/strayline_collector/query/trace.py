"""One trace with everything drawn about it.

A trace may have 100,000 spans. What the tree does not need of them is JSON text from the store to
the answer: parsing it and writing it again took four fifths of the time.
"""

from __future__ import annotations

import gc
import json
from collections import defaultdict
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

from strayline_collector.query.infer import read_inferred
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
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session
from strayline_collector.trace.clock import Bound, Correction, bounds, corrected, correction, orders
from strayline_collector.trace.critical_path import critical_path, self_times
from strayline_collector.trace.stitch import SpanKey
from strayline_collector.trace.tree import (
    Missing,
    TreeSpan,
    bled_spans,
    children_of,
    display_parents,
    drawing_order,
    missing_spans,
    story_root,
)

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
    parents = display_parents(by_key)
    root = by_key[story_root(by_key, parents)]
    change = correction(found, root.clock or "")
    offsets = change.offsets if clock == "corrected" else {}
    tree = story.tree
    if any(offsets.values()):
        tree = story.moved(corrected(tree, offsets), offsets)
        by_key = {span.key: span for span in tree}
        parents = display_parents(by_key)
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
    return Told(story, tree, by_key, parents, children, rest, findings)


def _text(told: Told) -> bytes:
    return f'{json.dumps(told.rest)[:-1]}, "spans": [{",".join(_spans(told))}]}}'.encode()


def _findings(session: Session, trace_ids: list[str]) -> dict[SpanKey, list[str]]:
    findings: dict[SpanKey, list[str]] = defaultdict(list)
    if session.rows("SELECT 1 AS one FROM findings WHERE status <> 'retracted' LIMIT 1"):
        for row in session.rows(load("query/trace_findings"), {"trace_ids": trace_ids}):
            findings[SpanKey(row["trace_id"], row["span_id"])].append(row["id"])
    return findings


def _spans(told: Told) -> list[str]:
    """Each span's JSON, in drawing order."""
    story, findings = told.story, told.findings
    own = self_times(told.by_key, told.parents, told.children)
    bled = bled_spans(told.by_key)
    texts: dict[SpanKey, str] = {}
    for index, (span, text) in enumerate(zip(told.tree, story.texts, strict=True)):
        key = span.key
        above = told.parents[key]
        under = "null" if above is None else f'"{above[0]}-{above[1]}"'
        more = _ALONE
        if key in story.deliveries:
            more = _delivered(story, span)
        later_ns = span.start_ns - story.tree[index].start_ns
        end_ns = story.ends_ns[index] + later_ns
        if story.events[index] or story.links[index]:
            more += f'"events":{_events(story.events[index], later_ns)},"links":{_links(story.links[index])},'
        else:
            more += _PLAIN
        if key in findings:
            more += f'"findings":{json.dumps(sorted(findings[key]))},'
        else:
            more += _SOUND
        one = (
            f'{{{text},{more}"start_unix_nano":{span.start_ns},"end_unix_nano":{end_ns},"self_ns":{own[key]},'
            f'"display_parent":{under},"context_bleed":{"true" if key in bled else "false"}}}'
        )
        # a client and a server may share an id (Zipkin)
        texts[key] = f"{texts[key]},{one}" if key in texts else one
    return [texts[key] for key in drawing_order(told.children)]


_ALONE: Final = '"queue":null,"queue_wait_ns":null,'
_PLAIN: Final = '"events":[],"links":[],'
_SOUND: Final = '"findings":[],'


def _delivered(story: Loaded, span: TreeSpan) -> str:
    queue = json.dumps(story.deliveries[span.key]["queue"])
    return f'"queue":{queue},"queue_wait_ns":{json.dumps(span.wait_ns)},'


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
