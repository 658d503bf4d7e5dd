"""What a drawing needs of every span: its place, what it is drawn under, its own time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import sub

from strayline_collector.trace.critical_path import is_message
from strayline_collector.trace.spans import CONSUMER, NONE, Spans


@dataclass(frozen=True, slots=True)
class Drawing:
    """Of each line, depth first, children by start."""

    rows: list[int]
    """Which of the rows it is that the spans were made of."""
    places: list[int]
    """Which span it is."""
    above: list[int]
    """The line of what it is drawn under; ``NONE`` for a root."""
    own_ns: list[int]
    """Nanoseconds in which none of its children ran; consumers of what it published run elsewhere and do
    not count. Children at once count once."""


def drawing(
    spans: Spans,
    parents: Sequence[int],
    children: Mapping[int, Sequence[int]],
    twins: Mapping[int, Sequence[int]],
) -> Drawing:
    """``parents`` of ``display_parents``, ``children`` of ``children_of``. A client and a server may share a
    key (Zipkin): they are drawn one after another. ``twins``: all rows of such, by the one that counts."""
    places: list[int] = []
    above: list[int] = []
    line = [NONE] * (len(spans) + 1)  # of each span; the last is that of NONE
    stack = [*reversed(children.get(NONE, ()))]
    while stack:
        place = stack.pop()
        line[place] = len(places)
        above.append(line[parents[place]])
        places.append(place)
        below = children.get(place)
        if below is not None:
            stack += reversed(below)
    own = _own_times(spans, parents)
    rows = [spans.row[place] for place in places]
    picture = Drawing(rows, places, above, [own[place] for place in places])
    return _with_twins(picture, twins) if twins else picture


def _with_twins(picture: Drawing, twins: Mapping[int, Sequence[int]]) -> Drawing:
    """A line for each row of a span; what is below it is below the first."""
    several = [twins.get(row, (row,)) for row in picture.rows]
    first = [0, *accumulate(map(len, several))]
    lines = [at for at, rows in enumerate(several) for _ in rows]
    ups = [picture.above[at] for at in lines]
    return Drawing(
        rows=[row for rows in several for row in rows],
        places=[picture.places[at] for at in lines],
        above=[NONE if up == NONE else first[up] for up in ups],
        own_ns=[picture.own_ns[at] for at in lines],
    )


def _own_times(spans: Spans, parents: Sequence[int]) -> list[int]:
    starts, ends = spans.start_ns, spans.end_ns
    running = [
        NONE if kind == CONSUMER else parent
        for kind, parent in zip(spans.kind, parents, strict=True)
    ]
    for place in spans.links:
        if is_message(spans, parents, place):
            running[place] = NONE
    own = list(map(sub, ends, starts))
    reached = list(starts)
    # the order of spans is that of the children of each
    for parent, start_ns, end_ns in zip(running, starts, ends, strict=True):
        if parent == NONE:
            continue
        since_ns = start_ns if start_ns > reached[parent] else reached[parent]
        until_ns = end_ns if end_ns < ends[parent] else ends[parent]
        if until_ns > since_ns:
            own[parent] -= until_ns - since_ns
            reached[parent] = until_ns
    return own
