"""A story in pages: some of its spans in drawing order, some of its critical path.

A trace may have 100,000 spans. Whoever wants the first 200 is told those: attributes are not read,
and only a page is written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from strayline_collector.query.outline import KINDS, STATUSES
from strayline_collector.query.stored_spans import wait_ns
from strayline_collector.query.trace import (
    Told,
    collecting_later,
    drawn,
    lines,
    tell,
    told_segment,
)
from strayline_collector.query.wire import (
    NamedSegment,
    PathSegments,
    Protocol,
    StorySpan,
    StorySpans,
)
from strayline_collector.store.ports import Session
from strayline_collector.trace.critical_path import Segment
from strayline_collector.trace.drawing import Drawing
from strayline_collector.trace.spans import NONE

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
            stitched_trace_ids=told.stitched_trace_ids,
            start_unix_nano=told.story.starts_ns[0],
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
        path = told.path
        return PathSegments(
            trace_id=trace_id,
            start_unix_nano=path[0].start_ns if path else 0,
            total_ns=sum(segment.end_ns - segment.start_ns for segment in path),
            segment_count=len(path),
            items=_segments(told, path[offset : offset + limit]),
            next_cursor=str(offset + limit) if offset + limit < len(path) else None,
        )


def _tell(session: Session, trace_id: str, stitched: bool) -> Told:
    return tell(session, trace_id, stitched=stitched, spans="query/trace_outline")


def _segments(told: Told, page: Sequence[Segment]) -> list[NamedSegment]:
    rows = [told.spans.row[segment.place] for segment in page]
    names = lines(told, rows, "service", "name").to_pylist()
    return [
        NamedSegment(
            **told_segment(told.spans, segment), service=said["service"], name=said["name"]
        )
        for segment, said in zip(page, names, strict=True)
    ]


def _spans(told: Told, picture: Drawing, asked: slice) -> list[StorySpan]:
    spans, page = told.spans, picture.rows[asked]
    rows = lines(told, page, "service", "name", "kind", "start_ns", "end_ns").to_pylist()
    texts = told.story.texts(page).to_pylist()
    found: list[StorySpan] = []
    for place, self_ns, row, text in zip(
        picture.places[asked], picture.own_ns[asked], rows, texts, strict=True
    ):
        key, above = spans.key(place), told.parents[place]
        delivery = told.story.deliveries.get(key)
        status, protocol, events = json.loads(text)
        found.append(
            StorySpan(
                trace_id=key.trace_id,
                span_id=key.span_id,
                display_parent=None if above == NONE else "-".join(spans.key(above)),
                service=row["service"],
                name=row["name"],
                kind=KINDS[row["kind"]],
                start_unix_nano=row["start_ns"],
                end_unix_nano=row["end_ns"],
                self_ns=self_ns,
                status=STATUSES[status],
                protocol=_PROTOCOLS[protocol],
                events=events,
                queue=None if delivery is None else delivery["queue"],
                queue_wait_ns=None if delivery is None else wait_ns(delivery, told.offsets),
                findings=sorted(told.findings.get(key, ())),
            )
        )
    return found
