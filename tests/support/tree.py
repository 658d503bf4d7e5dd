"""What the pure functions tell of spans by places in columns, by the names that tests give them."""

from __future__ import annotations

from collections.abc import Iterable

from strayline_collector.trace.critical_path import Segment, Through, critical_path
from strayline_collector.trace.spans import NONE, Spans, TreeSpan
from strayline_collector.trace.stitch import SpanKey
from strayline_collector.trace.tree import bled_spans, children_of, display_parents


def drawn_under(spans: Spans) -> dict[SpanKey, SpanKey | None]:
    """What each is drawn under."""
    parents = display_parents(spans, bled_spans(spans))
    return {
        spans.key(place): None if above == NONE else spans.key(above)
        for place, above in enumerate(parents)
    }


def path_of(spans: Iterable[TreeSpan], through: Through = "story") -> list[tuple[SpanKey, Segment]]:
    """The critical path, and the span of each segment."""
    tree = Spans.of(spans)
    parents = display_parents(tree, bled_spans(tree))
    found = critical_path(tree, parents, children_of(tree, parents), through=through)
    return [(tree.key(segment.place), segment) for segment in found]


def shifted(span: TreeSpan, by_ns: int) -> TreeSpan:
    """The same span later by ``by_ns``."""
    received_ns = None if span.received_ns is None else span.received_ns + by_ns
    return span._replace(
        start_ns=span.start_ns + by_ns, end_ns=span.end_ns + by_ns, received_ns=received_ns
    )
