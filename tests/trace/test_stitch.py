"""One story from several traces, whatever order its spans came in."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.trace.drawing import drawing
from strayline_collector.trace.spans import CLIENT, NONE, SERVER, Spans, TreeSpan
from strayline_collector.trace.stitch import Known, Link, SpanKey, stitch
from strayline_collector.trace.tree import bled_spans, children_of, display_parents


def stored(parents: dict[str, str | None], links: list[tuple[str, str]], seed: int = 0) -> Any:
    """A lookup over spans written as ``trace.span``."""

    def key(text: str) -> SpanKey:
        return SpanKey(*text.split("."))

    def lookup(trace_ids: Sequence[str]) -> Known:
        items = [
            (key(s), key(p) if p else None)
            for s, p in parents.items()
            if s.split(".")[0] in trace_ids
        ]
        found = [
            Link(key(a), key(b))
            for a, b in links
            if a.split(".")[0] in trace_ids or b.split(".")[0] in trace_ids
        ]
        random.Random(seed).shuffle(items)
        random.Random(seed).shuffle(found)
        return Known(dict(items), found)

    return lookup


def names(trace_id: str, *args: Any) -> set[str]:
    return {".".join(key) for key in stitch(trace_id, stored(*args)).spans}


SHOP = (
    {"A.1": None, "A.2": "A.1", "B.1": None, "B.2": "B.1", "C.1": None, "C.2": "C.1", "D.1": None},
    [("B.1", "A.2"), ("D.1", "B.2"), ("D.1", "C.2")],
)
"""A publishes to B; D is a batch of one message of B and one of C."""


def test_forward_follows_links_and_not_a_batchs_other_links() -> None:
    assert names("A", *SHOP) == {"A.1", "A.2", "B.1", "B.2", "D.1"}


def test_back_goes_to_ancestors_only() -> None:
    assert names("B", *SHOP) == {"A.1", "A.2", "B.1", "B.2", "D.1"}
    assert names("D", *SHOP) == {"D.1", "B.1", "B.2", "A.1", "A.2", "C.1", "C.2"}


def test_circles_of_links_end() -> None:
    assert names("A", {"A.1": None, "B.1": None}, [("A.1", "B.1"), ("B.1", "A.1")]) == {
        "A.1",
        "B.1",
    }


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_the_story_does_not_depend_on_arrival(seed: int) -> None:
    assert names("A", *SHOP, seed) == names("A", *SHOP)


def test_a_parent_that_was_never_seen_leaves_its_child_a_root_and_circles_are_broken() -> None:
    spans = Spans.of(
        [
            TreeSpan(SpanKey("t", "a"), SpanKey("t", "b"), (), 1, 2),
            TreeSpan(SpanKey("t", "b"), SpanKey("t", "a"), (), 2, 3),
            TreeSpan(SpanKey("t", "c"), SpanKey("t", "never"), (), 3, 4),
        ]
    )
    parents = display_parents(spans, bled_spans(spans))
    assert parents == [NONE, 0, NONE]
    drawn = drawing(spans, parents, children_of(spans, parents), twins={})
    assert (drawn.rows, drawn.above) == ([0, 1, 2], [-1, 0, -1])


def test_spans_that_share_a_key_are_drawn_one_after_another_and_the_last_counts() -> None:
    spans = Spans.of(
        [
            TreeSpan(SpanKey("t", "root"), None, (), 0, 9),
            TreeSpan(SpanKey("t", "both"), SpanKey("t", "root"), (), 1, 8, CLIENT),
            TreeSpan(SpanKey("t", "both"), SpanKey("t", "root"), (), 2, 7, SERVER),
            TreeSpan(SpanKey("t", "below"), SpanKey("t", "both"), (), 3, 6),
        ]
    )
    parents = display_parents(spans, bled_spans(spans))
    drawn = drawing(spans, parents, children_of(spans, parents), twins={2: [1, 2]})
    assert drawn.rows == [0, 1, 2, 3]
    assert drawn.places == [0, 1, 1, 2]
    assert drawn.above == [NONE, 0, 0, 1]
    assert drawn.own_ns == [4, 2, 2, 3]
