"""One story from several traces: which spans belong to what happened in this one.

Backwards from the trace's roots along their links to the ancestors that caused them; forwards to
all descendants and to spans anywhere that link to a span of the story, without following those
spans' *other* links: a shared consumer, a batch or a reply does not pull another request in.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

MAX_SPANS: Final = 100_000
MAX_TRACES: Final = 1_000
MAX_LINKS: Final = 100_000
"""Into or out of the traces that are asked for at once; one span may be linked a million times."""

Cap = Literal["spans", "traces", "links"]


class SpanKey(NamedTuple):
    """Names one span across traces."""

    trace_id: str
    span_id: str


class Link(NamedTuple):
    """``source`` span links to ``target`` span."""

    source: SpanKey
    target: SpanKey


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored of some traces: their spans with parents, links out of and into them."""

    parents: dict[SpanKey, SpanKey | None]
    links: Sequence[Link]
    cut: frozenset[Cap] = frozenset()
    """Of what there was more than could be told."""


Lookup = Callable[[Sequence[str]], Known]
"""Trace ids → what is known of them. Called with ids not asked before."""


@dataclass(frozen=True, slots=True)
class Story:
    """The spans of a stitched trace, and which bounds cut it short."""

    spans: frozenset[SpanKey]
    cut: frozenset[Cap]


def stitch(trace_id: str, lookup: Lookup) -> Story:
    """The story of a trace. The result depends on what is stored, not on the order in which it
    arrived or is returned. Bounds: ``MAX_SPANS`` spans, ``MAX_TRACES`` traces, ``MAX_LINKS``."""
    return _Stitcher(lookup).run(trace_id)


class _Stitcher:
    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._parents: dict[SpanKey, SpanKey | None] = {}
        self._children: dict[SpanKey, list[SpanKey]] = defaultdict(list)
        self._out: dict[SpanKey, set[SpanKey]] = defaultdict(set)
        self._into: dict[SpanKey, set[SpanKey]] = defaultdict(set)
        self._asked: set[str] = set()
        self._cut: set[Cap] = set()

    def run(self, trace_id: str) -> Story:
        self._ask([trace_id])
        own = [key for key in self._parents if key.trace_id == trace_id]
        found = set(own)
        self._forward((key for target in own for key in self._into.get(target, ())), found)
        self._back([key for key in own if self._is_root(key)], found)
        return Story(frozenset(found), frozenset(self._cut))

    def _forward(self, seeds: Iterable[SpanKey], found: set[SpanKey]) -> None:
        wave = sorted(set(seeds) - found)
        while wave:
            self._ask(sorted({key.trace_id for key in wave}))
            following: set[SpanKey] = set()
            work = deque(wave)
            while work:
                key = work.popleft()
                if key in found or key not in self._parents:
                    continue
                if len(found) >= MAX_SPANS:
                    self._cut.add("spans")
                    return
                found.add(key)
                work.extend(self._children[key])
                following |= self._into.get(key, set())
            wave = sorted(following - found)

    def _back(self, roots: Iterable[SpanKey], found: set[SpanKey]) -> None:
        wave = sorted({target for root in roots for target in self._out[root]})
        while wave:
            self._ask(sorted({key.trace_id for key in wave}))
            following: set[SpanKey] = set()
            for start in wave:
                key: SpanKey | None = start
                while key is not None and key in self._parents and key not in found:
                    if len(found) >= MAX_SPANS:
                        self._cut.add("spans")
                        return
                    found.add(key)
                    if self._is_root(key):
                        following |= self._out[key]
                    key = self._parents[key]
            wave = sorted(following - found)

    def _is_root(self, key: SpanKey) -> bool:
        parent = self._parents[key]
        return parent is None or parent not in self._parents

    def _ask(self, trace_ids: Sequence[str]) -> None:
        fresh = [trace_id for trace_id in trace_ids if trace_id not in self._asked]
        room = MAX_TRACES - len(self._asked)
        if len(fresh) > room:
            self._cut.add("traces")
            fresh = fresh[:room]
        if not fresh:
            return
        self._asked.update(fresh)
        known = self._lookup(fresh)
        self._cut |= known.cut
        for key, parent in known.parents.items():
            self._parents[key] = parent
            if parent is not None:
                self._children[parent].append(key)
        for link in known.links:
            self._out[link.source].add(link.target)
            self._into[link.target].add(link.source)
