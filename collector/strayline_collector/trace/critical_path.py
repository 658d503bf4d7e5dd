"""What the end waited for: a walk back from the last moment to the first, by cause.

In a span, the walk goes into whichever child returned last before the moment it stands at, and
charges the rest to the span. What had not returned by then was not waited for: overlapping
siblings, tasks left running, consumers. From a span's beginning it climbs to what caused it: a
consumer to its publish, across the wait in the queue; a child that began after its parent's end
across the gap. A child that outlasts its parent returns to whoever is still there above it, an RPC
over AMQP when its reply has come. Segments do not overlap; together they cover everything from the
root's beginning to the end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, NamedTuple

from strayline_collector.trace.spans import CLIENT, CONSUMER, NONE, SERVER, Spans
from strayline_collector.trace.stitch import SpanKey
from strayline_collector.trace.tree import ancestors, story_root

SegmentKind = Literal["self", "queue_wait", "network", "gap"]
Through = Literal["story", "response"]
COARSE_NS: Final = 1_000_000
"""JavaScript's starts are whole milliseconds, its durations exact: the end of what ended before
another began, or ended, is told up to this much too late."""
MAX_HOPS: Final = 100
"""How far above a reply its request is looked for, and above a child whoever waited for it."""
MAX_LIFTED: Final = 500_000
"""Of all that outlasted whoever called it: a chain of 100,000 such spans is looked up five levels each."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the critical path and the place of the span it is charged to. ``network``: in a
    client's span, outside its server's, or after a span's end until what it caused elsewhere.
    ``queue_wait``: before a consumer. ``gap``: after a span's end until what it caused in its own
    process."""

    place: int
    kind: SegmentKind
    start_ns: int
    end_ns: int


class _Return(NamedTuple):
    """At ``at_ns`` somebody had what he waited for: ``entry`` had ended then, and is followed back
    by its causes to ``until``, what he had called."""

    at_ns: int
    entry: int
    until: int


@dataclass(slots=True)
class _Frame:
    place: int
    floor_ns: int
    """The caller explains what is before this moment."""
    until: int
    """After this span, climb through its causes up to this one."""
    after_end: SegmentKind
    """What the time after the span's end is."""
    returns: list[_Return]
    """By their moments; the last is looked at next."""


def critical_path(
    spans: Spans,
    parents: Sequence[int],
    children: Mapping[int, Sequence[int]],
    root: int | None = None,
    through: Through = "story",
) -> list[Segment]:
    """The critical path below ``root`` (else the story's), oldest segment first: to the end of all
    that followed, or with ``response`` to the end of the root's span. ``parents`` of
    ``display_parents``, ``children`` of ``children_of``."""
    if not len(spans):
        return []
    first = story_root(spans, parents) if root is None else root
    return _Walk(spans, parents, children).run(first, through)


class _Walk:
    def __init__(
        self, spans: Spans, parents: Sequence[int], children: Mapping[int, Sequence[int]]
    ) -> None:
        self._spans = spans
        self._parents = parents
        self._children = children
        self._answers = replies(spans, parents)
        self._lifted = self._all_lifted()
        self._found: list[Segment] = []
        self._at_ns = 0
        self._stack: list[_Frame] = []

    def run(self, first: int, through: Through) -> list[Segment]:
        last = first if through == "response" else self._last_below(first)
        self._at_ns = self._spans.end_ns[last]
        self._push(last, self._spans.start_ns[first], first)
        while self._stack:
            self._step(self._stack[-1])
        self._found.reverse()
        return self._found

    def _last_below(self, first: int) -> int:
        """What ended last, of several the nearest to the root."""
        end_ns = self._spans.end_ns
        last = first
        if end_ns[first] >= max(end_ns):
            return first  # as in most traces
        wave = [first]
        while wave:  # level by level; of one level the first drawn
            last = max(last, *wave, key=end_ns.__getitem__)
            wave = [child for place in wave for child in self._children.get(place, ())]
        return last

    def _returned(self, place: int, parent: int) -> _Return:
        end_ns, kind = self._spans.end_ns, self._spans.kind
        entry = self._answers.get(place, place)
        at_ns = max(end_ns[place], end_ns[entry])
        if kind[parent] == CLIENT and kind[place] == SERVER:
            at_ns = min(at_ns, end_ns[parent])  # what it does later nobody waits for
        return _Return(at_ns, entry, place)

    def _all_lifted(self) -> dict[int, list[_Return]]:
        """What outlasted whoever called it (a handler that left its promise behind) and returned
        further above."""
        found: dict[int, list[_Return]] = defaultdict(list)
        end_ns = self._spans.end_ns
        outlasting = [
            (parent, self._returned(place, parent))
            for place, parent in enumerate(self._parents)
            if parent != NONE
            and (end_ns[place] > end_ns[parent] or place in self._answers)
            and not self._is_message(place)
        ]
        hops = min(MAX_HOPS, max(5, MAX_LIFTED // max(1, len(outlasting))))
        for parent, back in outlasting:
            called = parent
            for caller in islice(ancestors(parent, self._parents), hops):
                if back.at_ns <= end_ns[called] or self._is_message(called):
                    break
                found[caller].append(back._replace(until=called))
                called = caller
        return found

    def _push(self, place: int, floor_ns: int, until: int, after_end: SegmentKind = "gap") -> None:
        below = self._children.get(place, ())
        returns = [self._returned(c, place) for c in below if not self._is_message(c)]
        returns += self._lifted.get(place, ())
        returns.sort(key=self._order)
        self._stack.append(_Frame(place, floor_ns, until, after_end, returns))

    def _order(self, back: _Return) -> tuple[int, SpanKey, SpanKey]:
        """Of several at one moment by name."""
        return back.at_ns, self._spans.key(back.entry), self._spans.key(back.until)

    def _step(self, here: _Frame) -> None:
        start_ns, at_ns = self._spans.start_ns, self._at_ns
        floor_ns = max(here.floor_ns, start_ns[here.place])
        while here.returns:
            returned_ns, entry, until = here.returns.pop()
            coarse = is_coarse(start_ns[here.place]) and is_coarse(start_ns[until])
            slack_ns = COARSE_NS - 1 if coarse else 0
            if returned_ns > at_ns + slack_ns or returned_ns <= floor_ns:
                continue  # not waited for by now, or explained by the caller
            back_ns = min(returned_ns, at_ns)
            if start_ns[until] >= back_ns or start_ns[entry] >= back_ns:
                continue  # took no time
            self._give(here, back_ns)
            self._push(entry, max(floor_ns, start_ns[until]), until)
            return
        self._give(here, floor_ns)
        self._stack.pop()
        if here.place != here.until:
            self._climb(here)

    def _climb(self, here: _Frame) -> None:
        spans, cause = self._spans, self._parents[here.place]
        if cause == NONE:
            return
        if self._is_message(here.place):
            sent_ns = spans.end_ns[cause]
            if sent_ns > self._at_ns:
                sent_ns = spans.start_ns[cause]
            self._charge(here.place, "queue_wait", max(here.floor_ns, sent_ns))
        same = spans.process[cause] == spans.process[here.place]
        self._push(cause, here.floor_ns, here.until, "gap" if same else "network")

    def _give(self, here: _Frame, since_ns: int) -> None:
        kind, place = self._spans.kind, here.place
        self._charge(place, here.after_end, max(since_ns, self._spans.end_ns[place]))
        own: SegmentKind = "self"
        if kind[place] == CLIENT and any(
            kind[child] == SERVER for child in self._children.get(place, ())
        ):
            own = "network"
        self._charge(place, own, since_ns)

    def _charge(self, place: int, kind: SegmentKind, since_ns: int) -> None:
        if since_ns < self._at_ns:
            self._found.append(Segment(place, kind, since_ns, self._at_ns))
            self._at_ns = since_ns

    def _is_message(self, place: int) -> bool:
        return is_message(self._spans, self._parents, place)


def is_coarse(start_ns: int) -> bool:
    """Whether a clock of whole milliseconds told a start."""
    return start_ns % COARSE_NS == 0 and start_ns > 0


def is_message(spans: Spans, parents: Sequence[int], place: int) -> bool:
    """Whether what caused it did not wait for it: a consumer, or a span that is only linked."""
    if spans.kind[place] == CONSUMER or place not in spans.links:
        return spans.kind[place] == CONSUMER
    return parents[place] not in (NONE, spans.parent[place])


def replies(spans: Spans, parents: Sequence[int]) -> dict[int, int]:
    """Requests over AMQP → the span at whose end the reply was there: its handling in the process
    that asked, else its publish. A reply goes to the nearest request above it that names its
    address, or names none."""
    if not spans.replies_to:
        return {}
    handled: dict[int, int] = {}
    for place, cause in enumerate(parents):
        if spans.kind[place] == CONSUMER:
            handled.setdefault(cause, place)
    found: dict[int, int] = {}
    by_end = sorted(spans.replies_to, key=lambda place: (spans.end_ns[place], spans.key(place)))
    for reply in by_end:
        for above in islice(ancestors(reply, parents), MAX_HOPS):
            request = parents[above]
            if spans.kind[above] != CONSUMER or request == NONE:
                continue
            if spans.reply_to.get(request) in (None, spans.replies_to[reply]):
                home = handled.get(reply, reply)
                back = spans.process[home] == spans.process[request]
                found.setdefault(request, home if back else reply)
                break
    return found
