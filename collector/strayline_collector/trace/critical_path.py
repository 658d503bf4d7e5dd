"""What the end of a trace waited for: a walk back from the last moment to the first.

From the latest end of the root's subtree, the walk follows whichever child ended last before the
moment it stands at, and gives each stretch to the span that was running then. A consumer is
preceded by its message's wait in the queue, a segment of its own; what no span covers is
``network``. Segments do not overlap; together they cover the whole story.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from strayline_collector.trace.stitch import SpanKey
from strayline_collector.trace.tree import TreeSpan, children_of

SegmentKind = Literal["self", "queue_wait", "network"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the critical path and the span it is charged to."""

    key: SpanKey
    kind: SegmentKind
    start_ns: int
    end_ns: int


@dataclass(slots=True)
class _Frame:
    span: TreeSpan
    at_ns: int
    """The walk has explained everything after this moment."""
    floor_ns: int
    """The caller explains what is before this moment."""
    children: list[SpanKey]
    """By end of their subtree; the last is looked at next."""


def critical_path(
    spans: Sequence[TreeSpan], parents: Mapping[SpanKey, SpanKey | None]
) -> list[Segment]:
    """The critical path below the earliest root, oldest segment first."""
    if not spans:
        return []
    by_key = {span.key: span for span in spans}
    children = children_of(by_key, parents)
    ends = _subtree_ends(by_key, children)

    def frame(key: SpanKey, at_ns: int, floor_ns: int) -> _Frame:
        below = sorted(children.get(key, []), key=lambda child: (ends[child], child))
        return _Frame(by_key[key], at_ns, floor_ns, below)

    root = children[None][0]
    found: list[Segment] = []
    stack = [frame(root, ends[root], by_key[root].start_ns)]
    while stack:
        here = stack[-1]
        while here.children:
            key = here.children.pop()
            child = by_key[key]
            if child.start_ns >= here.at_ns or ends[key] <= here.floor_ns:
                continue  # it had not begun, or all of it lies before this span's part
            reached = min(ends[key], here.at_ns)
            _give(found, here.span, max(reached, here.floor_ns), here.at_ns)
            here.at_ns = max(here.floor_ns, child.start_ns - (child.wait_ns or 0))
            stack.append(frame(key, reached, here.at_ns))
            break
        else:
            _give(found, here.span, max(here.floor_ns, here.span.start_ns), here.at_ns)
            _wait(found, here)
            stack.pop()
    found.reverse()
    return found


def _give(found: list[Segment], span: TreeSpan, start_ns: int, end_ns: int) -> None:
    """Charges start..end to ``span``: as its own while it ran, as network after it had ended."""
    running = max(start_ns, min(end_ns, span.end_ns))
    if end_ns > running:
        found.append(Segment(span.key, "network", running, end_ns))
    if running > start_ns:
        found.append(Segment(span.key, "self", start_ns, running))


def _wait(found: list[Segment], here: _Frame) -> None:
    if here.floor_ns < min(here.span.start_ns, here.at_ns):
        end_ns = min(here.span.start_ns, here.at_ns)
        kind: SegmentKind = "queue_wait" if here.span.wait_ns else "network"
        found.append(Segment(here.span.key, kind, here.floor_ns, end_ns))


def _subtree_ends(
    spans: Mapping[SpanKey, TreeSpan], children: Mapping[SpanKey | None, list[SpanKey]]
) -> dict[SpanKey, int]:
    """The latest end at or below each span."""
    ends: dict[SpanKey, int] = {}
    stack = [(root, False) for root in children.get(None, [])]
    while stack:
        key, done = stack.pop()
        below = children.get(key, [])
        if done or not below:
            ends[key] = max([spans[key].end_ns, *(ends[child] for child in below)])
        else:
            stack.append((key, True))
            stack.extend((child, False) for child in below)
    return ends
