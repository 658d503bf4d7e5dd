"""One story from several traces, whatever order its spans came in."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.trace.critical_path import critical_path
from strayline_collector.trace.stitch import Known, Link, SpanKey, stitch
from strayline_collector.trace.tree import TreeSpan, display_parents, drawing_order


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


@st.composite
def forests(draw: Any) -> list[TreeSpan]:
    spans: list[TreeSpan] = []
    for index in range(draw(st.integers(1, 12))):
        parent = (
            SpanKey("t", str(draw(st.integers(0, index - 1))))
            if index and draw(st.booleans())
            else None
        )
        if index and parent is None:
            parent = SpanKey("t", "0")
        start = draw(st.integers(0, 1000))
        spans.append(
            TreeSpan(
                SpanKey("t", str(index)),
                parent,
                (),
                start,
                start + draw(st.integers(0, 400)),
                draw(st.none() | st.integers(0, 50)),
            )
        )
    return spans


@settings(max_examples=300, deadline=None)
@given(forests(), st.randoms(use_true_random=False))
def test_segments_cover_the_story_without_overlap_in_any_order_of_arrival(
    spans: list[TreeSpan], rng: Any
) -> None:
    parents = display_parents(spans)
    path = critical_path(spans, parents)
    shuffled = list(spans)
    rng.shuffle(shuffled)
    assert critical_path(shuffled, display_parents(shuffled)) == path
    assert drawing_order(shuffled, parents) == drawing_order(spans, parents)
    root = next(span for span in spans if span.key == drawing_order(spans, parents)[0])
    for before, after in zip(path, path[1:], strict=False):  # noqa: RUF007 - pairs
        assert before.end_ns == after.start_ns
    if path:
        assert path[0].start_ns == root.start_ns
        assert path[-1].end_ns == max(span.end_ns for span in spans if span.end_ns >= root.start_ns)
    assert all(segment.start_ns < segment.end_ns for segment in path)


def test_a_consumer_after_a_short_publish_is_on_the_path_with_its_wait() -> None:
    spans = [
        TreeSpan(SpanKey("t", "request"), None, (), 0, 100),
        TreeSpan(SpanKey("t", "publish"), SpanKey("t", "request"), (), 10, 12),
        TreeSpan(SpanKey("t", "process"), SpanKey("t", "publish"), (), 150, 200, 138),
    ]
    told = [
        (s.key.span_id, s.kind, s.start_ns, s.end_ns)
        for s in critical_path(spans, display_parents(spans))
    ]
    assert told == [
        ("request", "self", 0, 10),
        ("publish", "self", 10, 12),
        ("process", "queue_wait", 12, 150),
        ("process", "self", 150, 200),
    ]


def test_a_parent_that_was_never_seen_leaves_its_child_a_root_and_circles_are_broken() -> None:
    spans = [
        TreeSpan(SpanKey("t", "a"), SpanKey("t", "b"), (), 1, 2),
        TreeSpan(SpanKey("t", "b"), SpanKey("t", "a"), (), 2, 3),
        TreeSpan(SpanKey("t", "c"), SpanKey("t", "never"), (), 3, 4),
    ]
    parents = display_parents(spans)
    assert parents == {
        SpanKey("t", "a"): None,
        SpanKey("t", "b"): SpanKey("t", "a"),
        SpanKey("t", "c"): None,
    }
    assert len(drawing_order(spans, parents)) == 3
