"""The order in which a trace is drawn: a forest, depth first, children by start."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

from strayline_collector.trace.stitch import SpanKey

INTERNAL: Final = 1
SERVER: Final = 2
CLIENT: Final = 3
PRODUCER: Final = 4
CONSUMER: Final = 5
MAX_LOCAL: Final = 100
"""Spans between a request's and one that it is thought to have caused, in its process."""


class TreeSpan(NamedTuple):
    """What the shape and the times of a trace need of a span, kinds as OTLP numbers them."""

    key: SpanKey
    parent: SpanKey | None
    links: tuple[SpanKey, ...]
    start_ns: int
    end_ns: int
    wait_ns: int | None = None
    """How long its message had waited in the queue."""
    kind: int = INTERNAL
    clock: str | None = None
    """Whose clock told the times; None: unknown."""
    process: str = ""
    """Where it ran: a process, else a service."""
    received_ns: int | None = None
    """When its message came, which may have waited in the process before it was handled."""
    reply_to: str | None = None
    """The address that a request over AMQP names for its reply."""
    replies_to: str | None = None
    """The address that a reply over AMQP goes to."""

    def shifted(self, by_ns: int) -> TreeSpan:
        """The same span later by ``by_ns``."""
        if not by_ns:
            return self
        received_ns = None if self.received_ns is None else self.received_ns + by_ns
        return self._replace(
            start_ns=self.start_ns + by_ns,
            end_ns=self.end_ns + by_ns,
            received_ns=received_ns,
        )


def bled_spans(by_key: Mapping[SpanKey, TreeSpan]) -> set[SpanKey]:
    """Spans whose parent did not cause them. A task keeps the context it was made in: a consumer
    or server started within a request has that request above everything it ever handles. What
    comes from outside has its cause outside; one that is below a request of its own process is
    told apart by a link that says better, or by the parent's having ended before."""
    found: set[SpanKey] = set()
    for key, span in by_key.items():
        if span.kind not in (SERVER, CONSUMER) or not span.process or span.parent is None:
            continue
        parent = entry = by_key.get(span.parent)
        hops = 0
        while entry is not None and entry.kind == INTERNAL and hops < MAX_LOCAL:
            above = by_key.get(entry.parent) if entry.parent is not None else None
            entry, hops = above if above and above.process == span.process else None, hops + 1
        if parent is None or entry is None or entry.kind != SERVER:
            continue
        if parent.process != span.process or entry.process != span.process:
            continue
        linked = span.kind == CONSUMER and any(link != span.parent for link in span.links)
        if linked or parent.end_ns < span.start_ns:
            found.add(key)
    return found


Spans = Mapping[SpanKey, TreeSpan] | Iterable[TreeSpan]


def by_key_of(spans: Spans) -> Mapping[SpanKey, TreeSpan]:
    """Spans by their keys, which is what they may be given as too."""
    if isinstance(spans, Mapping):
        return cast("Mapping[SpanKey, TreeSpan]", spans)
    return {span.key: span for span in spans}


def display_parents(
    spans: Spans, bled: set[SpanKey] | None = None
) -> dict[SpanKey, SpanKey | None]:
    """The span each is drawn under: its parent where that is here and caused it, else what it
    links to; a consumer's link before its parent, when that is the publish. A parent that leads
    round in a circle is dropped, at the circle's earliest span. ``bled``: of ``bled_spans``, where they
    are known already."""
    by_key = by_key_of(spans)
    if bled is None:
        bled = bled_spans(by_key)
    parents: dict[SpanKey, SpanKey | None] = {}
    late = False
    for key, span in by_key.items():
        above = span.parent
        if span.links or key in bled or above == key:
            above = _cause(span, by_key, bled)
        cause = None if above is None else by_key.get(above)
        parents[key] = None if cause is None else above
        late = late or (cause is not None and span.start_ns <= cause.start_ns)
    if not late:  # no circle without a child that does not begin after its parent
        return parents
    safe: set[SpanKey] = set()
    for key in sorted(by_key, key=lambda k: (by_key[k].start_ns, k)):
        path: list[SpanKey] = []
        on_path: set[SpanKey] = set()
        at: SpanKey | None = key
        while at is not None and at not in safe:
            if at in on_path:
                first = min(path[path.index(at) :], key=lambda k: (by_key[k].start_ns, k))
                parents[first] = None
                break
            path.append(at)
            on_path.add(at)
            at = parents[at]
        safe |= on_path
    return parents


def _cause(
    span: TreeSpan, by_key: Mapping[SpanKey, TreeSpan], bled: set[SpanKey]
) -> SpanKey | None:
    linked = [key for key in span.links if key in by_key and key != span.key]
    above = span.parent if span.parent in by_key and span.parent != span.key else None
    if above is None or span.key in bled:
        return linked[0] if linked else None
    if span.kind == CONSUMER and len(linked) == 1 and by_key[linked[0]].kind == PRODUCER:
        return linked[0]
    return above


def children_of(
    spans: Mapping[SpanKey, TreeSpan], parents: Mapping[SpanKey, SpanKey | None]
) -> dict[SpanKey | None, list[SpanKey]]:
    """Children of each span by start; under None the roots, the story's own first."""
    children: dict[SpanKey | None, list[SpanKey]] = defaultdict(list)
    for _, key in sorted([(span.start_ns, key) for key, span in spans.items()]):
        children[parents[key]].append(key)
    if len(children[None]) > 1:
        first = story_root(spans, parents)
        children[None].sort(key=lambda key: key != first)
    return children


@dataclass(frozen=True, slots=True)
class Missing:
    """A span that others name and nobody has seen: lost, not sampled, not here yet, or of a
    service that says nothing. ``children`` name it as their parent, ``linked`` by a link."""

    key: SpanKey
    children: tuple[SpanKey, ...]
    linked: tuple[SpanKey, ...]


def missing_spans(spans: Spans) -> list[Missing]:
    """One for each id that is named and not here, by the earliest that names it."""
    by_key = by_key_of(spans)
    children: dict[SpanKey, list[SpanKey]] = defaultdict(list)
    linked: dict[SpanKey, list[SpanKey]] = defaultdict(list)
    named: dict[SpanKey, None] = {}
    naming = [
        span
        for span in by_key.values()
        if (span.parent is not None and span.parent not in by_key) or span.links
    ]
    for span in sorted(naming, key=lambda s: (s.start_ns, s.key)):
        if span.parent is not None and span.parent not in by_key:
            children[span.parent].append(span.key)
            named[span.parent] = None
        for link in dict.fromkeys(span.links):
            if link not in by_key:
                linked[link].append(span.key)
                named[link] = None
    return [Missing(key, tuple(children[key]), tuple(linked[key])) for key in named]


def ancestors(key: SpanKey, parents: Mapping[SpanKey, SpanKey | None]) -> Iterator[SpanKey]:
    """From the parent up to the root."""
    above = parents[key]
    while above is not None:
        yield above
        above = parents[above]


def story_root(
    spans: Mapping[SpanKey, TreeSpan], parents: Mapping[SpanKey, SpanKey | None]
) -> SpanKey:
    """Where it all began: the earliest span without a parent; an orphan, whose parent was never
    seen, only where there is no other."""
    roots = (key for key, parent in parents.items() if parent is None)
    return min(roots, key=lambda k: (spans[k].parent is not None, spans[k].start_ns, k))


def following(spans: Iterable[TreeSpan]) -> Callable[[SpanKey], list[SpanKey]]:
    """A function from a span to all that follows it, itself first: children, and spans anywhere
    that link to one of them, whose other links are not followed."""
    by_key = {span.key: span for span in spans}
    bled = bled_spans(by_key)
    after: dict[SpanKey, list[SpanKey]] = defaultdict(list)
    for key, span in by_key.items():
        parent = None if key in bled else span.parent
        for cause in dict.fromkeys((parent, *span.links)):
            if cause is not None:
                after[cause].append(key)

    def below(root: SpanKey) -> list[SpanKey]:
        found = {root: None}
        wave = [root]
        while wave:
            fresh = dict.fromkeys(key for above in wave for key in after.get(above, ()))
            wave = [key for key in fresh if key not in found]
            found.update(dict.fromkeys(wave))
        return list(found)

    return below
