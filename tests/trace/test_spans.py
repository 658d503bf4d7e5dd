"""Spans as columns say what they say one by one, however the columns were made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.query.stored_spans import stored_spans
from strayline_collector.trace.spans import NONE, Spans, TreeSpan
from strayline_collector.trace.stitch import SpanKey
from strayline_collector.trace.tree import following, missing_spans
from tests.support.tree import shifted

NAMES = st.builds(SpanKey, st.sampled_from("tu"), st.sampled_from("abcdefgh"))
FEW = st.none() | st.integers(0, 99)


@st.composite
def told(draw: Any) -> list[TreeSpan]:
    """Spans in the order of the store; some share a key, some name what is not here."""
    spans: list[TreeSpan] = []
    for key in draw(st.lists(NAMES, max_size=12)):
        start, parent = draw(st.integers(0, 20)), draw(st.none() | st.sampled_from("abcdefghij"))
        spans.append(
            TreeSpan(
                key,
                None if parent is None else SpanKey(key.trace_id, parent),
                tuple(draw(st.lists(NAMES, max_size=2))),
                start,
                start + draw(st.integers(0, 20)),
                draw(st.integers(0, 5)),
                draw(st.none() | st.sampled_from("xy")),
                draw(st.sampled_from("pq")),
            )
        )
    return sorted(spans, key=lambda s: (s.start_ns, s.key, s.kind))


def again(spans: Spans) -> list[TreeSpan]:
    """One by one, out of columns."""
    return [
        TreeSpan(
            spans.key(place),
            None if parent == NONE else spans.key(parent),
            tuple(spans.key(link) for link in spans.links.get(place, ())),
            spans.start_ns[place],
            spans.end_ns[place],
            spans.kind[place],
            spans.clock[place],
            spans.process[place],
            spans.received_ns.get(place),
            spans.reply_to.get(place),
            spans.replies_to.get(place),
        )
        for place, parent in enumerate(spans.parent)
    ]


def once(spans: Sequence[TreeSpan]) -> list[TreeSpan]:
    """Of those that share a key the last, by start and key."""
    return sorted({s.key: s for s in spans}.values(), key=lambda s: (s.start_ns, s.key))


def consistent(spans: Spans) -> bool:
    """Whether every name has one place, and the spans' own come first."""
    names = [spans.key(place) for place in range(len(spans.span_id))]
    return len({*names}) == len(names) and spans.places(names) == dict(
        zip(names[: len(spans)], range(len(spans)), strict=True)
    )


@settings(max_examples=100, deadline=None)
@given(told(), st.data())
def test_columns_say_what_was_told_of_each_span(spans: list[TreeSpan], data: Any) -> None:
    columns = Spans.of(spans)
    assert again(columns) == [spans[row] for row in columns.row] == once(spans)
    assert consistent(columns)
    chosen = sorted(data.draw(st.sets(st.sampled_from(range(len(columns))))) if columns else ())
    few = columns.taken(chosen)
    assert again(few) == [again(columns)[place] for place in chosen]
    assert consistent(few)
    by_ns = [data.draw(st.integers(-30, 30)) for _ in range(len(columns))]
    moved = columns.shifted(by_ns)
    assert again(moved) == once(list(map(shifted, again(columns), by_ns)))
    assert consistent(moved)


@settings(max_examples=100, deadline=None)
@given(told(), st.booleans(), st.data())
def test_columns_made_of_stored_rows_are_those_made_of_spans(
    spans: list[TreeSpan], alone: bool, data: Any
) -> None:
    """``deliveries`` and ``replies`` name spans that are here and others."""
    spans = [span for span in spans if not alone or span.key.trace_id == "t"]
    history = {
        key: {"received_ns": data.draw(FEW), "reply_to": "r", "replies_to": None}
        for key in data.draw(st.sets(NAMES, max_size=3))
    }
    rows = pa.RecordBatch.from_pylist(
        [
            {
                **span.key._asdict(),
                "parent_span_id": None if span.parent is None else span.parent.span_id,
                "kind": span.kind,
                "start_ns": span.start_ns,
                "end_ns": span.end_ns - (span.end_ns == span.start_ns),
                "clock": span.clock,
                "process": span.process,
            }
            for span in spans
        ],
        pa.schema(
            [
                *((name, pa.string()) for name in ("trace_id", "span_id", "parent_span_id")),
                *((name, pa.int64()) for name in ("kind", "start_ns", "end_ns")),
                *((name, pa.string()) for name in ("clock", "process")),
            ]
        ),
    )
    links = {row: span.links for row, span in enumerate(spans) if span.links}
    found = stored_spans(rows, links, history, history)
    expected = [
        span
        if (said := history.get(span.key)) is None
        else span._replace(
            received_ns=said["received_ns"],
            reply_to="r",
        )
        for span in once(spans)
    ]
    assert again(found) == expected
    assert [spans[row].key for row in found.row] == [span.key for span in expected]
    assert consistent(found)


@settings(max_examples=100, deadline=None)
@given(told())
def test_what_is_named_and_not_here_is_missing_once(spans: list[TreeSpan]) -> None:
    left = once(spans)
    here = {span.key for span in left}
    found = missing_spans(Spans.of(spans))
    assert {m.key: ({*m.children}, {*m.linked}) for m in found} == {
        name: ({s.key for s in left if s.parent == name}, {s.key for s in left if name in s.links})
        for span in left
        for name in (span.parent, *span.links)
        if name is not None and name not in here
    }
    assert len({m.key for m in found}) == len(found)


@settings(max_examples=100, deadline=None)
@given(told())
def test_what_follows_a_span_is_closed_and_in_order(spans: list[TreeSpan]) -> None:
    columns = Spans.of(span._replace(kind=1) for span in spans)  # no parent that did not cause it
    below = following(columns)
    for root in range(len(columns)):
        found = below(root)
        assert found == sorted({*found})
        assert root in found
        for place, parent in enumerate(columns.parent):
            causes = {parent, *columns.links.get(place, ())}
            assert place == root or (place in found) == bool(causes & {*found})
