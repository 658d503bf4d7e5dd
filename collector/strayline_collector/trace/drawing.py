"""What a drawing needs of every span: its place, what it is drawn under, its own time.

By places in a list instead of by keys: of 100,000 spans each look-up of a key is a walk through memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from strayline_collector.trace.critical_path import is_message
from strayline_collector.trace.stitch import SpanKey
from strayline_collector.trace.tree import CONSUMER, TreeSpan


@dataclass(frozen=True, slots=True)
class Drawing:
    """Of each span, depth first, children by start."""

    rows: list[int]
    """Its place in the spans that are drawn."""
    above: list[int]
    """The place, here, of what it is drawn under; -1 for a root."""
    own_ns: list[int]
    """Nanoseconds in which none of its children ran; consumers of what it published run elsewhere and do
    not count. Children at once count once."""


def drawing(
    spans: Sequence[TreeSpan],
    parents: Mapping[SpanKey, SpanKey | None],
    children: Mapping[SpanKey | None, list[SpanKey]],
) -> Drawing:
    """``parents`` of ``display_parents``, ``children`` of ``children_of``. A client and a server may share a
    key (Zipkin): they are drawn one after another, and the last of them counts."""
    row_of = dict(zip([span.key for span in spans], range(len(spans)), strict=True))
    twins: dict[int, list[int]] = defaultdict(list)
    if len(row_of) < len(spans):
        for row, span in enumerate(spans):
            twins[row_of[span.key]].append(row)
    below_of: list[list[int] | None] = [None] * len(spans)
    for key, several in children.items():
        if key is not None:
            below_of[row_of[key]] = [row_of[child] for child in several]
    own = _own_times(spans, parents, below_of)
    rows: list[int] = []
    above: list[int] = []
    stack = [row_of[key] for key in reversed(children[None])]
    ups = [-1] * len(stack)
    while stack:
        row, up = stack.pop(), ups.pop()
        below = below_of[row]
        if below is not None:
            stack += below[::-1]
            ups += [len(rows)] * len(below)
        if twins:
            several = twins[row]
            rows += several
            above += [up] * len(several)
            for twin in several:
                own[twin] = own[row]
        else:
            rows.append(row)
            above.append(up)
    return Drawing(rows, above, [own[row] for row in rows])


def _own_times(
    spans: Sequence[TreeSpan],
    parents: Mapping[SpanKey, SpanKey | None],
    below_of: Sequence[list[int] | None],
) -> list[int]:
    starts = [span.start_ns for span in spans]
    ends = [span.end_ns for span in spans]
    apart = {
        row
        for row, span in enumerate(spans)
        if span.kind == CONSUMER or (span.links and is_message(span, parents))
    }
    own = [end - start for start, end in zip(starts, ends, strict=True)]
    for row, below in enumerate(below_of):
        if below is None:
            continue
        reached_ns, end_ns, covered_ns = starts[row], ends[row], 0
        for child in below:
            since_ns, until_ns = starts[child], ends[child]
            if since_ns < reached_ns:
                since_ns = reached_ns
            if until_ns > end_ns:
                until_ns = end_ns
            if until_ns > since_ns and child not in apart:
                covered_ns += until_ns - since_ns
                reached_ns = until_ns
        own[row] -= covered_ns
    return own
