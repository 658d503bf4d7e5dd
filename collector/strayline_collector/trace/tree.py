"""The order in which a trace is drawn: a forest, depth first, children by start."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from strayline_collector.trace.stitch import SpanKey

INTERNAL: Final = 1
SERVER: Final = 2
CLIENT: Final = 3
PRODUCER: Final = 4
CONSUMER: Final = 5


@dataclass(frozen=True, slots=True)
class TreeSpan:
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
        return replace(
            self,
            start_ns=self.start_ns + by_ns,
            end_ns=self.end_ns + by_ns,
            received_ns=received_ns,
        )


def display_parents(spans: Iterable[TreeSpan]) -> dict[SpanKey, SpanKey | None]:
    """The span each is drawn under: its parent where that is here, else what it links to. A
    parent that leads round in a circle is dropped, at the circle's earliest span."""
    by_key = {span.key: span for span in spans}
    parents: dict[SpanKey, SpanKey | None] = {}
    for key, span in by_key.items():
        here = [p for p in (span.parent, *span.links) if p in by_key and p != key]
        parents[key] = here[0] if here else None
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


def children_of(
    spans: Mapping[SpanKey, TreeSpan], parents: Mapping[SpanKey, SpanKey | None]
) -> dict[SpanKey | None, list[SpanKey]]:
    """Children of each span by start; under None the roots."""
    children: dict[SpanKey | None, list[SpanKey]] = defaultdict(list)
    for key in sorted(spans, key=lambda k: (spans[k].start_ns, k)):
        children[parents[key]].append(key)
    return children


def drawing_order(
    children: Mapping[SpanKey | None, list[SpanKey]],
    roots: Sequence[SpanKey] | None = None,
) -> list[SpanKey]:
    """Every span once, depth first; or those at and below ``roots``."""
    order: list[SpanKey] = []
    stack = list(reversed(children[None] if roots is None else roots))
    while stack:
        key = stack.pop()
        order.append(key)
        stack.extend(reversed(children.get(key, [])))
    return order


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
    after: dict[SpanKey, list[SpanKey]] = defaultdict(list)
    for span in spans:
        for cause in dict.fromkeys((span.parent, *span.links)):
            if cause is not None:
                after[cause].append(span.key)

    def below(root: SpanKey) -> list[SpanKey]:
        found = {root: None}
        wave = [root]
        while wave:
            fresh = dict.fromkeys(key for above in wave for key in after.get(above, ()))
            wave = [key for key in fresh if key not in found]
            found.update(dict.fromkeys(wave))
        return list(found)

    return below
