"""The order in which a trace is drawn: a forest, depth first, children by start."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from typing import Final

from strayline_collector.trace.spans import CONSUMER, INTERNAL, NONE, PRODUCER, SERVER, Spans
from strayline_collector.trace.stitch import SpanKey

MAX_LOCAL: Final = 100
"""Spans between a request's and one that it is thought to have caused, in its process."""


def bled_spans(spans: Spans) -> set[int]:
    """Spans whose parent did not cause them. A task keeps the context it was made in: a consumer
    or server started within a request has that request above everything it ever handles. What
    comes from outside has its cause outside; one that is below a request of its own process is
    told apart by a link that says better, or by the parent's having ended before."""
    found: set[int] = set()
    process, here = spans.process, len(spans)
    for place, (kind, parent) in enumerate(zip(spans.kind, spans.parent, strict=True)):
        if kind not in (SERVER, CONSUMER) or not NONE < parent < here:
            continue
        if process[parent] != process[place] or not process[place]:
            continue
        if spans.kind[_entry(spans, parent)] != SERVER:
            continue
        linked = kind == CONSUMER and any(link != parent for link in spans.links.get(place, ()))
        if linked or spans.end_ns[parent] < spans.start_ns[place]:
            found.add(place)
    return found


def _entry(spans: Spans, place: int) -> int:
    """The first span above, itself included, that is no work within a process, as far as that process
    and ``MAX_LOCAL`` reach."""
    for _ in range(MAX_LOCAL):
        above = spans.parent[place]
        if spans.kind[place] != INTERNAL or not NONE < above < len(spans):
            break
        if spans.process[above] != spans.process[place]:
            break
        place = above
    return place


def display_parents(spans: Spans, bled: set[int]) -> list[int]:
    """The place of the span each is drawn under, ``NONE`` for a root: its parent where that is here and
    caused it, else what it links to; a consumer's link before its parent, when that is the publish.
    A parent that leads round in a circle is dropped, at the circle's earliest span. ``bled``: of
    ``bled_spans``."""
    here = len(spans)
    parents = [parent if parent < here else NONE for parent in spans.parent]
    for place in bled | spans.links.keys():
        parents[place] = _cause(spans, place, bled)
    _open_circles(parents)
    return parents


def _cause(spans: Spans, place: int, bled: set[int]) -> int:
    linked = [link for link in spans.links.get(place, ()) if link < len(spans) and link != place]
    parent = spans.parent[place]
    if place in bled or not NONE < parent < len(spans) or parent == place:
        return linked[0] if linked else NONE
    if spans.kind[place] == CONSUMER and len(linked) == 1 and spans.kind[linked[0]] == PRODUCER:
        return linked[0]
    return parent


def _open_circles(parents: list[int]) -> None:
    """Each at its earliest span. In every circle something is below what is not earlier."""
    safe: set[int] = set()
    for late in [place for place, parent in enumerate(parents) if parent >= place]:
        path: dict[int, None] = {}
        at = late
        while at != NONE and at not in safe and at not in path:
            path[at] = None
            at = parents[at]
        if at in path:
            parents[min(dropwhile(lambda place, first=at: place != first, path))] = NONE
        safe |= path.keys()


def children_of(spans: Spans, parents: Sequence[int]) -> dict[int, list[int]]:
    """Children of each span by start; under ``NONE`` the roots, the story's own first. ``parents``: of
    ``display_parents``."""
    children: dict[int, list[int]] = defaultdict(list)
    for place, parent in enumerate(parents):
        children[parent].append(place)
    if len(children[NONE]) > 1:
        first = story_root(spans, parents)
        children[NONE].sort(key=lambda place: place != first)
    return dict(children)


@dataclass(frozen=True, slots=True)
class Missing:
    """A span that others name and nobody has seen: lost, not sampled, not here yet, or of a
    service that says nothing. ``children`` name it as their parent, ``linked`` by a link."""

    key: SpanKey
    children: tuple[SpanKey, ...]
    linked: tuple[SpanKey, ...]


def missing_spans(spans: Spans) -> list[Missing]:
    """One for each id that is named and not here, by the earliest that names it."""
    here = len(spans)
    if len(spans.span_id) == here:
        return []
    children: dict[int, list[SpanKey]] = defaultdict(list)
    linked: dict[int, list[SpanKey]] = defaultdict(list)
    named: dict[int, None] = {}
    for place, parent in enumerate(spans.parent):
        if parent >= here:
            children[parent].append(spans.key(place))
            named[parent] = None
        for link in dict.fromkeys(spans.links.get(place, ())):
            if link >= here:
                linked[link].append(spans.key(place))
                named[link] = None
    return [Missing(spans.key(at), tuple(children[at]), tuple(linked[at])) for at in named]


def ancestors(place: int, parents: Sequence[int]) -> Iterator[int]:
    """From the parent up to the root."""
    above = parents[place]
    while above != NONE:
        yield above
        above = parents[above]


def story_root(spans: Spans, parents: Sequence[int]) -> int:
    """Where it all began: the earliest span without a parent; an orphan, whose parent was never
    seen, only where there is no other."""
    roots = [place for place, parent in enumerate(parents) if parent == NONE]
    return next((place for place in roots if spans.parent[place] == NONE), roots[0])


def following(spans: Spans) -> Callable[[int], list[int]]:
    """A function from a span to all that follows it, in the order of spans: itself, children, and spans
    anywhere that link to one of them, whose other links are not followed."""
    bled = bled_spans(spans)
    after: dict[int, list[int]] = defaultdict(list)
    for place, parent in enumerate(spans.parent):
        above = NONE if place in bled else parent
        for cause in {above, *spans.links.get(place, ())}:
            after[cause].append(place)

    def below(root: int) -> list[int]:
        found = {root}
        wave = found
        while wave:
            wave = {place for above in wave for place in after.get(above, ())} - found
            found |= wave
        return sorted(found)

    return below
