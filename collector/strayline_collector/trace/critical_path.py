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
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, NamedTuple

from strayline_collector.trace.stitch import SpanKey
from strayline_collector.trace.tree import (
    CLIENT,
    CONSUMER,
    SERVER,
    Spans,
    TreeSpan,
    ancestors,
    by_key_of,
    children_of,
    story_root,
)

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
    """A stretch of the critical path and the span it is charged to. ``network``: in a client's
    span, outside its server's, or after a span's end until what it caused elsewhere. ``queue_wait``:
    before a consumer. ``gap``: after a span's end until what it caused in its own process."""

    key: SpanKey
    kind: SegmentKind
    start_ns: int
    end_ns: int


class _Return(NamedTuple):
    """At ``at_ns`` somebody had what he waited for: ``entry`` had ended then, and is followed back
    by its causes to ``until``, what he had called."""

    at_ns: int
    entry: SpanKey
    until: SpanKey


@dataclass(slots=True)
class _Frame:
    span: TreeSpan
    floor_ns: int
    """The caller explains what is before this moment."""
    until: SpanKey
    """After this span, climb through its causes up to this one."""
    after_end: SegmentKind
    """What the time after the span's end is."""
    returns: list[_Return]
    """By their moments; the last is looked at next."""


def critical_path(
    spans: Spans,
    parents: Mapping[SpanKey, SpanKey | None],
    root: SpanKey | None = None,
    through: Through = "story",
    children: Mapping[SpanKey | None, list[SpanKey]] | None = None,
) -> list[Segment]:
    """The critical path below ``root`` (else the first span without a parent), oldest segment
    first: to the end of all that followed, or with ``response`` to the end of the root's span.
    ``children``: of ``children_of``, where they are known already."""
    by_key = by_key_of(spans)
    if not by_key:
        return []
    return _Walk(by_key, parents, children or children_of(by_key, parents)).run(root, through)


class _Walk:
    def __init__(
        self,
        spans: Mapping[SpanKey, TreeSpan],
        parents: Mapping[SpanKey, SpanKey | None],
        children: Mapping[SpanKey | None, list[SpanKey]],
    ) -> None:
        self._spans = spans
        self._parents = parents
        self._children = children
        self._answers = replies(spans, parents)
        self._lifted = self._all_lifted()
        self._found: list[Segment] = []
        self._at_ns = 0
        self._stack: list[_Frame] = []

    def run(self, root: SpanKey | None, through: Through) -> list[Segment]:
        first = self._spans[root or story_root(self._spans, self._parents)]
        last = first if through == "response" else self._last_below(first)
        self._at_ns = last.end_ns
        self._push(last, first.start_ns, first.key)
        while self._stack:
            self._step(self._stack[-1])
        self._found.reverse()
        return self._found

    def _last_below(self, first: TreeSpan) -> TreeSpan:
        """What ended last, of several the nearest to the root."""
        last = first
        if first.end_ns >= max(span.end_ns for span in self._spans.values()):
            return first  # as in most traces
        wave = [first.key]
        while wave:  # level by level; of one level the first drawn
            below: list[SpanKey] = []
            for key in wave:
                span = self._spans[key]
                if span.end_ns > last.end_ns:
                    last = span
                if key in self._children:
                    below += self._children[key]
            wave = below
        return last

    def _returned(self, span: TreeSpan, parent: TreeSpan) -> _Return:
        entry = self._answers.get(span.key, span.key)
        at_ns = max(span.end_ns, self._spans[entry].end_ns)
        if parent.kind == CLIENT and span.kind == SERVER:
            at_ns = min(at_ns, parent.end_ns)  # what it does later nobody waits for
        return _Return(at_ns, entry, span.key)

    def _all_lifted(self) -> dict[SpanKey, list[_Return]]:
        """What outlasted whoever called it (a handler that left its promise behind) and returned
        further above."""
        found: dict[SpanKey, list[_Return]] = defaultdict(list)
        outlasting: list[tuple[SpanKey, _Return]] = []
        for key, above in self._parents.items():
            if above is None:
                continue
            span, parent = self._spans[key], self._spans[above]
            if span.end_ns <= parent.end_ns and key not in self._answers:
                continue
            if not is_message(span, self._parents):
                outlasting.append((above, self._returned(span, parent)))
        hops = min(MAX_HOPS, max(5, MAX_LIFTED // max(1, len(outlasting))))
        for above, back in outlasting:
            called = above
            for caller in islice(ancestors(above, self._parents), hops):
                called_span = self._spans[called]
                if back.at_ns <= called_span.end_ns or is_message(called_span, self._parents):
                    break
                found[caller].append(back._replace(until=called))
                called = caller
        return found

    def _push(
        self, span: TreeSpan, floor_ns: int, until: SpanKey, after_end: SegmentKind = "gap"
    ) -> None:
        below = (self._spans[key] for key in self._children.get(span.key, ()))
        returns = [self._returned(c, span) for c in below if not is_message(c, self._parents)]
        returns += self._lifted.get(span.key, ())
        self._stack.append(_Frame(span, floor_ns, until, after_end, sorted(returns)))

    def _step(self, here: _Frame) -> None:
        span, at_ns = here.span, self._at_ns
        floor_ns = max(here.floor_ns, span.start_ns)
        while here.returns:
            returned_ns, entry, until = here.returns.pop()
            called = self._spans[until]
            slack_ns = COARSE_NS - 1 if is_coarse(span) and is_coarse(called) else 0
            if returned_ns > at_ns + slack_ns or returned_ns <= floor_ns:
                continue  # not waited for by now, or explained by the caller
            back_ns = min(returned_ns, at_ns)
            if called.start_ns >= back_ns or self._spans[entry].start_ns >= back_ns:
                continue  # took no time
            self._give(here, back_ns)
            self._push(self._spans[entry], max(floor_ns, called.start_ns), until)
            return
        self._give(here, floor_ns)
        self._stack.pop()
        if span.key != here.until:
            self._climb(span, here)

    def _climb(self, span: TreeSpan, here: _Frame) -> None:
        key = self._parents[span.key]
        if key is None:
            return
        cause = self._spans[key]
        if is_message(span, self._parents):
            sent_ns = cause.end_ns if cause.end_ns <= self._at_ns else cause.start_ns
            self._charge(span, "queue_wait", max(here.floor_ns, sent_ns))
        same = cause.process == span.process
        self._push(cause, here.floor_ns, here.until, "gap" if same else "network")

    def _give(self, here: _Frame, since_ns: int) -> None:
        span = here.span
        self._charge(span, here.after_end, max(since_ns, span.end_ns))
        own: SegmentKind = "self"
        if span.kind == CLIENT and any(
            self._spans[child].kind == SERVER for child in self._children.get(span.key, ())
        ):
            own = "network"
        self._charge(span, own, since_ns)

    def _charge(self, span: TreeSpan, kind: SegmentKind, since_ns: int) -> None:
        if since_ns < self._at_ns:
            self._found.append(Segment(span.key, kind, since_ns, self._at_ns))
            self._at_ns = since_ns


def is_coarse(span: TreeSpan) -> bool:
    """Whether a clock of whole milliseconds told its start."""
    return span.start_ns % COARSE_NS == 0 and span.start_ns > 0


def is_message(span: TreeSpan, parents: Mapping[SpanKey, SpanKey | None]) -> bool:
    """Whether what caused it did not wait for it: a consumer, or a span that is only linked."""
    if span.kind == CONSUMER or not span.links:
        return span.kind == CONSUMER
    cause = parents[span.key]
    return cause is not None and cause != span.parent


def replies(
    spans: Mapping[SpanKey, TreeSpan], parents: Mapping[SpanKey, SpanKey | None]
) -> dict[SpanKey, SpanKey]:
    """Requests over AMQP → the span at whose end the reply was there: its handling in the process
    that asked, else its publish. A reply goes to the nearest request above it that names its
    address, or names none."""
    handled: dict[SpanKey, TreeSpan] = {}
    told = [span for span in spans.values() if span.replies_to is not None]
    if not told:
        return {}
    for span in spans.values():
        cause = parents[span.key]
        if cause is not None and span.kind == CONSUMER:
            earlier = handled.get(cause)
            if earlier is None or (span.start_ns, span.key) < (earlier.start_ns, earlier.key):
                handled[cause] = span
    found: dict[SpanKey, SpanKey] = {}
    for reply in sorted(told, key=lambda s: (s.end_ns, s.key)):
        for above in islice(ancestors(reply.key, parents), MAX_HOPS):
            request = parents[above]
            if spans[above].kind != CONSUMER or request is None:
                continue
            if spans[request].reply_to in (None, reply.replies_to):
                home = handled.get(reply.key)
                back = home is not None and home.process == spans[request].process
                found.setdefault(request, home.key if back and home else reply.key)
                break
    return found
