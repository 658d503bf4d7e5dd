"""Spans as the pure functions know them: one by one, or those of a story as columns.

By places in columns instead of by keys: of 100,000 spans each look-up of a key is a walk through
memory, and each object is one to make and to free.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import add
from typing import Final, NamedTuple, TypeVar

from strayline_collector.trace.stitch import SpanKey

INTERNAL: Final = 1
SERVER: Final = 2
CLIENT: Final = 3
PRODUCER: Final = 4
CONSUMER: Final = 5
NONE: Final = -1
"""Where a place is told: there is none. No parent is named; a root is below nothing."""


class TreeSpan(NamedTuple):
    """What the shape and the times of a trace need of a span, kinds as OTLP numbers them."""

    key: SpanKey
    parent: SpanKey | None
    links: tuple[SpanKey, ...]
    start_ns: int
    end_ns: int
    """Not before its start."""
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


@dataclass(frozen=True, slots=True)
class Spans:
    """A story's spans, each once, as columns: a span is its place in them, and of two the earlier has
    the lesser, of two that began at once the one whose key is less. What they name and is not here
    has a place behind all of theirs. What few have is told by their places."""

    trace_id: Sequence[str]
    span_id: Sequence[str]
    """Of the spans, then of what they only name."""
    row: Sequence[int]
    """Which it was of those that the columns were made of."""
    parent: Sequence[int]
    """``NONE``: none is named."""
    start_ns: Sequence[int]
    end_ns: Sequence[int]
    kind: Sequence[int]
    clock: Sequence[str | None]
    process: Sequence[str]
    links: Mapping[int, tuple[int, ...]]
    received_ns: Mapping[int, int]
    reply_to: Mapping[int, str]
    replies_to: Mapping[int, str]

    @classmethod
    def of(cls, spans: Iterable[TreeSpan]) -> Spans:
        """These in any order; of those that share a key the last counts."""
        rows = {span.key: (row, span) for row, span in enumerate(spans)}
        ordered = sorted(rows.values(), key=lambda one: (one[1].start_ns, one[1].key))
        place = {span.key: at for at, (_, span) in enumerate(ordered)}
        told = [span for _, span in ordered]
        links = {
            at: tuple(number(place, link) for link in s.links)
            for at, s in enumerate(told)
            if s.links
        }
        parent = [NONE if s.parent is None else number(place, s.parent) for s in told]
        return cls(
            trace_id=[key.trace_id for key in place],
            span_id=[key.span_id for key in place],
            row=[row for row, _ in ordered],
            parent=parent,
            start_ns=[span.start_ns for span in told],
            end_ns=[span.end_ns for span in told],
            kind=[span.kind for span in told],
            clock=[span.clock for span in told],
            process=[span.process for span in told],
            links=links,
            received_ns=_few(span.received_ns for span in told),
            reply_to=_few(span.reply_to for span in told),
            replies_to=_few(span.replies_to for span in told),
        )

    def __len__(self) -> int:
        return len(self.start_ns)

    def key(self, place: int) -> SpanKey:
        """The name of a span, or of what is only named."""
        return SpanKey(self.trace_id[place], self.span_id[place])

    def places(self, keys: Iterable[SpanKey]) -> dict[SpanKey, int]:
        """Where those of these spans are that are here."""
        wanted = set(keys)
        names = zip(self.trace_id, self.span_id, range(len(self)), strict=False)
        return {
            SpanKey(trace_id, span_id): place
            for trace_id, span_id, place in (names if wanted else ())
            if (trace_id, span_id) in wanted
        }

    def taken(self, places: Sequence[int]) -> Spans:
        """These alone; ``places`` are in the order that spans have."""
        place = {old: new for new, old in enumerate(places)}
        parent = [self.parent[old] for old in places]
        parent = [NONE if old == NONE else number(place, old) for old in parent]
        links = {
            new: tuple(number(place, old) for old in named)
            for new, named in _taken(self.links, places).items()
        }
        return Spans(
            trace_id=[self.trace_id[old] for old in place],
            span_id=[self.span_id[old] for old in place],
            row=[self.row[old] for old in places],
            parent=parent,
            start_ns=[self.start_ns[old] for old in places],
            end_ns=[self.end_ns[old] for old in places],
            kind=[self.kind[old] for old in places],
            clock=[self.clock[old] for old in places],
            process=[self.process[old] for old in places],
            links=links,
            received_ns=_taken(self.received_ns, places),
            reply_to=_taken(self.reply_to, places),
            replies_to=_taken(self.replies_to, places),
        )

    def shifted(self, by_ns: Sequence[int]) -> Spans:
        """The same spans, each later by so much, in the order of these times."""
        moved = replace(
            self,
            start_ns=list(map(add, self.start_ns, by_ns)),
            end_ns=list(map(add, self.end_ns, by_ns)),
            received_ns={place: at + by_ns[place] for place, at in self.received_ns.items()},
        )
        # what is only named stands behind the spans, and zip ends with the shortest
        order = list(zip(moved.start_ns, self.trace_id, self.span_id, strict=False))
        return moved.taken(sorted(range(len(self)), key=order.__getitem__))


Name = TypeVar("Name")
Value = TypeVar("Value")


def number(place: dict[Name, int], name: Name) -> int:
    """Its place; what has none yet is given one behind all others."""
    return place.setdefault(name, len(place))


def _few(told: Iterable[Value | None]) -> dict[int, Value]:
    return {place: value for place, value in enumerate(told) if value is not None}


def _taken(column: Mapping[int, Value], places: Sequence[int]) -> dict[int, Value]:
    return {new: column[old] for new, old in enumerate(places) if old in column}
