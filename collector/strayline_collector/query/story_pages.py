"""A story in pages: some of its spans in drawing order, some of its critical path.

A trace may have 100,000 spans. Whoever wants the first 200 is told those: attributes are not read,
and only a page is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from strayline_collector.query.outline import KINDS, STATUSES
from strayline_collector.query.story import Loaded
from strayline_collector.query.trace import Told, collecting_later, drawn, tell
from strayline_collector.query.wire import (
    CriticalSegment,
    NamedSegment,
    PathSegments,
    Protocol,
    StorySpan,
    StorySpans,
)
from strayline_collector.store.ports import Session
from strayline_collector.trace.drawing import Drawing

_PROTOCOLS: Final[tuple[Protocol | None, ...]] = (None, "http", "grpc", "amqp", "other")
"""By the places that ``trace_outline.sql`` gives them."""


def read_story_spans(
    session: Session, trace_id: str, *, stitched: bool, limit: int, offset: int
) -> StorySpans:
    """Raises ``NotFound``."""
    with collecting_later():
        told = _tell(session, trace_id, stitched)
        picture = drawn(told)
        order = picture.rows
        return StorySpans(
            trace_id=trace_id,
            stitched_trace_ids=told.rest["stitched_trace_ids"],
            start_unix_nano=min(span.start_ns for span in told.tree),
            span_count=len(order),
            truncated=told.rest["truncated"],
            items=_spans(told, picture, slice(offset, offset + limit)),
            next_cursor=str(offset + limit) if offset + limit < len(order) else None,
        )


def read_path_segments(
    session: Session, trace_id: str, *, stitched: bool, limit: int, offset: int
) -> PathSegments:
    """Raises ``NotFound``."""
    with collecting_later():
        told = _tell(session, trace_id, stitched)
        path: list[CriticalSegment] = told.rest["critical_path"]
        names = _signatures(told.story)
        return PathSegments(
            trace_id=trace_id,
            start_unix_nano=path[0]["start_unix_nano"] if path else 0,
            total_ns=sum(s["end_unix_nano"] - s["start_unix_nano"] for s in path),
            segment_count=len(path),
            items=[_named(segment, names) for segment in path[offset : offset + limit]],
            next_cursor=str(offset + limit) if offset + limit < len(path) else None,
        )


def _tell(session: Session, trace_id: str, stitched: bool) -> Told:
    return tell(session, trace_id, stitched=stitched, spans="query/trace_outline")


def _signatures(story: Loaded) -> dict[tuple[str, str], tuple[str, str]]:
    """Service and name by trace and span."""
    return {
        (span.key.trace_id, span.key.span_id): (service, name)
        for span, service, name in zip(story.tree, story.services, story.names, strict=True)
    }


def _named(
    segment: CriticalSegment, names: Mapping[tuple[str, str], tuple[str, str]]
) -> NamedSegment:
    service, name = names[segment["trace_id"], segment["span_id"]]
    return NamedSegment(**segment, service=service, name=name)


def _spans(told: Told, picture: Drawing, asked: slice) -> list[StorySpan]:
    story, page, own = told.story, picture.rows[asked], picture.own_ns[asked]
    said: list[list[int]] = [json.loads(text) for text in story.texts(page).to_pylist()]
    found: list[StorySpan] = []
    for row, self_ns, (status, protocol, events) in zip(page, own, said, strict=True):
        span = told.tree[row]
        above, delivery = told.parents[span.key], story.deliveries.get(span.key)
        found.append(
            StorySpan(
                trace_id=span.key.trace_id,
                span_id=span.key.span_id,
                display_parent=None if above is None else f"{above.trace_id}-{above.span_id}",
                service=story.services[row],
                name=story.names[row],
                kind=KINDS[span.kind],
                start_unix_nano=span.start_ns,
                end_unix_nano=story.ends_ns[row],
                self_ns=self_ns,
                status=STATUSES[status],
                protocol=_PROTOCOLS[protocol],
                events=events,
                queue=None if delivery is None else delivery["queue"],
                queue_wait_ns=None if delivery is None else span.wait_ns,
                findings=sorted(told.findings.get(span.key, ())),
            )
        )
    return found
