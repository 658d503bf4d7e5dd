"""One trace as JSON (``wire.Trace``), a piece at a time.

A trace may have 100,000 spans. What the tree does not need of them is JSON text from the store to
the answer: parsing it and writing it again took four fifths of the time. Arrow puts the pieces
together: what a column of texts holds lies in memory as one text. Some thousand spans at once, in
memory that the piece before has used: the kernel had a quarter of all the time, to clear fresh pages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, cast

import pyarrow as pa
import pyarrow.compute

from strayline_collector.query.stored_spans import wait_ns
from strayline_collector.query.trace import Told, collecting_later, drawn, lines, tell, told_segment
from strayline_collector.query.wire import ClockMode, SpanEvent, SpanLink, Trace
from strayline_collector.store.ports import Session
from strayline_collector.trace.drawing import Drawing

compute: Final[Any] = pyarrow.compute  # makes its functions at run time, unknown to types

PIECE: Final = 2_000
"""Spans put together at once: some two megabytes."""


def read_trace(
    session: Session, trace_id: str, *, stitched: bool, clock: ClockMode = "raw"
) -> Trace:
    """As ``trace_text``, for who wants the object."""
    return json.loads(b"".join(trace_text(session, trace_id, stitched=stitched, clock=clock)))


def trace_text(
    session: Session,
    trace_id: str,
    *,
    stitched: bool,
    clock: ClockMode = "raw",
    inferring: bool = False,
) -> Iterator[memoryview]:
    """One trace, alone or stitched; the pieces need the session no more. Times are as they were told
    unless ``clock`` is ``corrected``; guesses of lost causes are added where ``inferring``. Raises
    ``NotFound``."""
    with (
        collecting_later()
    ):  # nothing of the story is left at its end, which would be looked through
        return _pieces(tell(session, trace_id, stitched=stitched, clock=clock, inferring=inferring))


def _pieces(told: Told) -> Iterator[memoryview]:
    beside = {
        "trace_id": told.trace_id,
        "stitched_trace_ids": told.stitched_trace_ids,
        "critical_path": [told_segment(told.spans, segment) for segment in told.path],
        **told.rest,
    }
    head = f'{json.dumps(beside)[:-1]}, "spans": ['.encode()
    names = told.story.columns.select(["trace_id", "span_id"])
    return _text(head, _drawn(told), names, told.story.stored)


def _text(
    head: bytes, spans: pa.RecordBatch, names: pa.RecordBatch, stored: pa.LargeStringArray
) -> Iterator[memoryview]:
    """Holds columns and nothing else while a slow client reads."""
    yield memoryview(head)
    for at in range(0, spans.num_rows, PIECE):
        piece = _piece(spans.slice(at, PIECE), names, stored)
        yield piece if at else piece[1:]
    yield memoryview(b"]}")


def _drawn(told: Told) -> pa.RecordBatch:
    """What each span is told with, in drawing order: ``text``, its place in ``stored``, and ``parent``,
    the place of what it is drawn under among the story's spans."""
    picture = drawn(told)
    spans = lines(told, picture.rows, "row", "start_ns", "end_ns")
    above = pa.array(picture.above, pa.int64())
    rooted = compute.if_else(compute.less(above, 0), None, above)
    bled = [place in told.bled for place in picture.places] if told.bled else None
    return pa.record_batch(
        {
            "text": spans["row"],
            "more": _more(told, picture),
            "start_ns": spans["start_ns"],
            "end_ns": spans["end_ns"],
            "own_ns": pa.array(picture.own_ns, pa.int64()),
            "parent": pa.array(picture.rows, pa.int64()).take(rooted),
            "bled": pa.repeat(False, len(above)) if bled is None else pa.array(bled, pa.bool_()),
        }
    )


def _piece(spans: pa.RecordBatch, names: pa.RecordBatch, stored: pa.LargeStringArray) -> memoryview:
    """JSON of these spans, a comma before each."""
    joined = _joined(
        ",{",
        stored.take(spans["text"]),
        spans["more"],
        '"start_unix_nano":',
        _number(spans["start_ns"]),
        ',"end_unix_nano":',
        _number(spans["end_ns"]),
        ',"self_ns":',
        _number(spans["own_ns"]),
        ',"display_parent":',
        _named(names.take(spans["parent"])),
        ',"context_bleed":',
        _yes_no(spans["bled"]),
        ',"ends_before_start":',
        _yes_no(compute.less(spans["end_ns"], spans["start_ns"])),
        "}",
    )
    _, offsets, data = joined.buffers()
    bounds_at = memoryview(offsets).cast("q")
    return memoryview(data)[bounds_at[joined.offset] : bounds_at[joined.offset + len(joined)]]


def _joined(*parts: Any) -> pa.LargeStringArray:
    """Texts of each row, one after another."""
    texts = [
        pa.scalar(part, pa.large_string()) if isinstance(part, str) else part for part in parts
    ]
    return compute.binary_join_element_wise(*texts, pa.scalar("", pa.large_string()))


def _number(values: pa.Int64Array) -> pa.LargeStringArray:
    return values.cast(pa.large_string())


def _yes_no(values: pa.BooleanArray) -> pa.LargeStringArray:
    return values.cast(pa.large_string())


def _named(names: pa.RecordBatch) -> pa.LargeStringArray:
    """JSON of the names of spans, null where there is none."""
    traces, spans = (names[name].cast(pa.large_string()) for name in ("trace_id", "span_id"))
    return compute.fill_null(_joined('"', traces, "-", spans, '"'), "null")


def _more(told: Told, picture: Drawing) -> pa.LargeStringArray:
    """What few spans have: a message, events, links, findings."""
    columns = told.story.columns
    deliveries = told.story.by_row(told.story.deliveries)
    findings = told.story.by_row(told.findings)
    said = compute.or_(columns["events"].is_valid(), columns["links"].is_valid())
    some = {*compute.indices_nonzero(said).to_pylist(), *deliveries, *findings}
    if not some:
        return pa.repeat(pa.scalar(_PLAIN, pa.large_string()), len(picture.rows))
    found = [_PLAIN] * len(picture.rows)
    for at, row in enumerate(picture.rows):
        if row not in some:
            continue
        events, links, clock = (columns[name][row].as_py() for name in ("events", "links", "clock"))
        delivery, ids = deliveries.get(row), findings.get(row, [])
        queue = None if delivery is None else delivery["queue"]
        waited_ns = None if delivery is None else wait_ns(delivery, told.offsets)
        found[at] = (
            f',"queue":{json.dumps(queue)},"queue_wait_ns":{json.dumps(waited_ns)},'
            f'"events":{_events(events, told.later_ns(clock))},"links":{_links(links)},'
            f'"findings":{json.dumps(sorted(ids))},'
        )
    return pa.array(found, pa.large_string())


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
