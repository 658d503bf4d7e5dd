"""The spans of one trace, alone or stitched, with what the history says of their messages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import pyarrow as pa

from strayline_collector.errors import NotFound
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session
from strayline_collector.trace.stitch import (
    MAX_LINKS,
    MAX_SPANS,
    Cap,
    Known,
    Link,
    SpanKey,
    Story,
    stitch,
)
from strayline_collector.trace.tree import Missing, TreeSpan

MAX_ROWS: Final = 2 * MAX_SPANS
"""Read of all traces together: a story need not hold all of each."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A story as it is stored: ``rows`` and ``tree`` hold the same spans in the same order."""

    trace_ids: list[str]
    rows: list[Row]
    deliveries: dict[SpanKey, Row]
    tree: list[TreeSpan]
    cut: frozenset[Cap]

    def moved(self, tree: Sequence[TreeSpan], offsets: Mapping[str, int]) -> list[TreeSpan]:
        """``tree`` with the waits that are left when each clock is set back by its offset."""
        return [
            replace(span, wait_ns=wait_ns(self.deliveries[span.key], offsets))
            if span.key in self.deliveries
            else span
            for span in tree
        ]


def read_story(session: Session, trace_id: str, *, stitched: bool) -> Loaded:
    """Raises ``NotFound`` when nothing bears that trace id."""
    reader = _Reader(session)
    first = reader.lookup([trace_id])
    if not first.parents:
        raise NotFound(f"no trace {trace_id}: nothing stored bears that id")
    if stitched:
        story = stitch(trace_id, lambda ids: first if ids == [trace_id] else reader.lookup(ids))
    else:
        story = Story(frozenset(first.parents), first.cut & {"spans"})
    trace_ids = sorted({key.trace_id for key in story.spans} | {trace_id})
    rows = reader.spans(trace_ids)
    cut = set(story.cut)
    if len(rows) > MAX_ROWS:
        cut.add("spans")
    rows = [row for row in rows if SpanKey(row["trace_id"], row["span_id"]) in story.spans]
    deliveries = {
        SpanKey(row["trace_id"], row["span_id"]): row
        for row in session.rows(load("query/trace_waits"), reader.loads)
    }
    replies = {
        SpanKey(row["trace_id"], row["span_id"]): row
        for row in session.rows(load("query/trace_replies"), reader.loads)
    }
    tree = [tree_span(row, deliveries, replies, _links(row)) for row in rows]
    return Loaded(trace_ids, rows, deliveries, tree, frozenset(cut))


def never_seen(session: Session, named: Sequence[Missing]) -> list[Missing]:
    """Of what a story names and lacks, that which is stored nowhere: another message of a batch
    lies in another story."""
    if not named:
        return []
    loads = found_in(session, sorted({missing.key.trace_id for missing in named}))
    _want(session, [missing.key for missing in named])
    known = {
        SpanKey(row["trace_id"], row["span_id"])
        for row in session.rows(load("query/trace_known"), loads)
    }
    return [missing for missing in named if missing.key not in known]


def _want(session: Session, keys: Sequence[SpanKey]) -> None:
    trace_ids = pa.array([key.trace_id for key in keys], pa.string())
    span_ids = pa.array([key.span_id for key in keys], pa.string())
    session.register("wanted", pa.table({"trace_id": trace_ids, "span_id": span_ids}))


class _Reader:
    """Asks for traces, and for none twice running: most stories are one trace."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._asked: list[str] = []
        self._rows: list[Row] = []
        self.loads: dict[str, int] = {}
        """Between which loads the traces asked for last came; they are ``found``."""

    def lookup(self, trace_ids: Sequence[str]) -> Known:
        """Parents and links of these traces."""
        parents: dict[SpanKey, SpanKey | None] = {}
        for row in self._parents(list(trace_ids)):
            parent = row["parent_span_id"]
            parents.setdefault(
                SpanKey(row["trace_id"], row["span_id"]),
                SpanKey(row["trace_id"], parent) if parent else None,
            )
        links = [
            Link(
                SpanKey(row["trace_id"], row["span_id"]),
                SpanKey(row["to_trace_id"], row["to_span_id"]),
            )
            for row in self._session.rows(
                load("query/trace_links"), {**self.loads, "limit": MAX_LINKS + 1}
            )
        ]
        cut: set[Cap] = set()
        if len(parents) > MAX_SPANS:
            cut.add("spans")
            parents = dict(islice(parents.items(), MAX_SPANS))
        if len(links) > MAX_LINKS:
            cut.add("links")
        return Known(parents, links[:MAX_LINKS], frozenset(cut))

    def spans(self, trace_ids: list[str]) -> list[Row]:
        """Whole spans of these traces in order of their start, one more than ``MAX_ROWS`` at most."""
        if self._asked != trace_ids or not self._rows:
            self._ask(trace_ids)
            self._rows = self._session.rows(
                load("query/trace_spans"), {**self.loads, "limit": MAX_ROWS + 1}
            )
        return self._rows

    def _parents(self, trace_ids: list[str]) -> list[Row]:
        if len(trace_ids) == 1:
            return self.spans(trace_ids)
        self._ask(trace_ids)
        return self._session.rows(load("query/trace_parents"), self.loads)

    def _ask(self, trace_ids: list[str]) -> None:
        self._asked, self._rows = trace_ids, []
        self.loads = found_in(self._session, trace_ids)


def found_in(session: Session, trace_ids: Sequence[str]) -> dict[str, int]:
    """Between which loads these traces came; they are ``found`` from here on."""
    session.register("found", pa.table({"trace_id": pa.array(trace_ids, pa.string())}))
    loads = session.rows(load("query/trace_loads"))[0]
    return {name: -1 if batch is None else batch for name, batch in loads.items()}


def _links(row: Row) -> tuple[SpanKey, ...]:
    links = json.loads(row["links"]) if row["links"] else ()
    return tuple(SpanKey(link["trace_id"], link["span_id"]) for link in links)


def tree_span(
    row: Row,
    deliveries: Mapping[SpanKey, Row],
    replies: Mapping[SpanKey, Row],
    links: tuple[SpanKey, ...],
) -> TreeSpan:
    """A stored span as the pure functions know it."""
    key = SpanKey(row["trace_id"], row["span_id"])
    parent, delivery, reply = row["parent_span_id"], deliveries.get(key), replies.get(key)
    return TreeSpan(
        key,
        SpanKey(row["trace_id"], parent) if parent else None,
        links,
        row["start_ns"],
        max(row["start_ns"], row["end_ns"]),
        None if delivery is None else wait_ns(delivery, {}),
        kind=row["kind"],
        clock=row["host"] or row["process"] or row["service"],
        process=row["process"] or row["service"],
        received_ns=None if delivery is None else delivery["received_ns"],
        reply_to=None if reply is None else reply["reply_to"],
        replies_to=None if reply is None else reply["replies_to"],
    )


def wait_ns(delivery: Row, offsets: Mapping[str, int]) -> int | None:
    """From the end of the publish to the start of the handling; from its start where handling
    began before the broker's confirm. None unless both are known."""
    if delivery["sent_ns"] is None or delivery["handled_start_ns"] is None:
        return None
    shift_ns = offsets.get(delivery["publish_clock"], 0) - offsets.get(delivery["clock"], 0)
    handled_ns = delivery["handled_start_ns"] + shift_ns
    published_ns = delivery["published_ns"]
    sent_ns = published_ns if published_ns <= handled_ns else delivery["sent_ns"]
    return max(0, handled_ns - sent_ns)
