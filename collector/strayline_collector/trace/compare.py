"""What two stories have in common: calls paired by who did what, in what order.

Two spans are the same call when their callers are, and service, kind and name are; of several
alike below one caller the first goes with the first. What has no partner was added or is missing,
with everything below it. Two calls are reordered when one had ended before the other began, and
now the other way round; calls at once have no order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from strayline_collector.trace.spans import NONE, Spans
from strayline_collector.trace.tree import bled_spans, children_of, display_parents

Change = Literal["same", "added", "missing", "reordered"]
MAX_SIBLINGS: Final = 1_000
"""Among which an order is looked for: each that moved is held against all others."""


class Signature(NamedTuple):
    """Who did what."""

    service: str
    kind: int
    name: str


@dataclass(frozen=True, slots=True)
class Story:
    """The spans of one trace, and who did what in each."""

    spans: Spans
    signatures: Sequence[Signature]


@dataclass(frozen=True, slots=True)
class Pair:
    """One call by its places in both stories; None: that story lacks it."""

    a: int | None
    b: int | None
    signature: Signature
    depth: int
    change: Change


def compare(a: Story, b: Story) -> list[Pair]:
    """All calls of both, depth first: in the order of ``b``, what is missing where it was."""
    return list(_Comparison(a, b).run())


class _Comparison:
    def __init__(self, a: Story, b: Story) -> None:
        self._a = _Side.of(a)
        self._b = _Side.of(b)

    def run(self) -> Iterator[Pair]:
        stack = self._below(NONE, NONE, 0)
        while stack:
            pair = stack.pop()
            yield pair
            stack.extend(
                self._alone(pair)
                if pair.a is None or pair.b is None
                else self._below(pair.a, pair.b, pair.depth + 1)
            )

    def _alone(self, pair: Pair) -> list[Pair]:
        depth, change = pair.depth + 1, pair.change
        found = [self._pair(a, None, depth, change) for a in self._a.below(pair.a)]
        found += [self._pair(None, b, depth, change) for b in self._b.below(pair.b)]
        return found[::-1]

    def _below(self, above_a: int, above_b: int, depth: int) -> list[Pair]:
        """Pairs of the children of a pair, the first last."""
        left, right = self._a.below(above_a), self._b.below(above_b)
        waiting: dict[Signature, list[int]] = defaultdict(list)
        for a in reversed(left):
            waiting[self._a.signatures[a]].append(a)
        partner: dict[int, int] = {}
        for b in right:
            alike = waiting[self._b.signatures[b]]
            if alike:
                partner[b] = alike.pop()
        moved = self._moved(left, right, partner)
        paired = set(partner.values())
        order = {a: index for index, a in enumerate(left)}
        gone = [a for a in left if a not in paired]
        found: list[Pair] = []
        for b in right:
            at = order.get(partner[b], -1) if b in partner else -1
            while gone and order[gone[0]] < at:
                found.append(self._pair(gone.pop(0), None, depth, "missing"))
            change: Change = "added" if b not in partner else "same"
            found.append(
                self._pair(partner.get(b), b, depth, "reordered" if b in moved else change)
            )
        found += [self._pair(a, None, depth, "missing") for a in gone]
        return found[::-1]

    def _pair(self, a: int | None, b: int | None, depth: int, change: Change) -> Pair:
        side, place = (self._a, a) if b is None else (self._b, b)
        assert place is not None
        return Pair(a, b, side.signatures[place], depth, change)

    def _moved(
        self, left: Sequence[int], right: Sequence[int], partner: Mapping[int, int]
    ) -> set[int]:
        """Of the paired children the fewest without which the rest are in order, those among them
        that truly changed places with another."""
        if len(right) > MAX_SIBLINGS:
            return set()
        order = {a: index for index, a in enumerate(left)}
        both = [b for b in right if b in partner]
        kept = _increasing([order[partner[b]] for b in both])
        candidates = [b for index, b in enumerate(both) if index not in kept]
        return {b for b in candidates if any(self._swapped(b, o, partner) for o in both)}

    def _swapped(self, one: int, two: int, partner: Mapping[int, int]) -> bool:
        one_a, two_a = partner[one], partner[two]
        return (self._a.before(one_a, two_a) and self._b.before(two, one)) or (
            self._a.before(two_a, one_a) and self._b.before(one, two)
        )


@dataclass(frozen=True, slots=True)
class _Side:
    spans: Spans
    signatures: Sequence[Signature]
    children: Mapping[int, Sequence[int]]

    @classmethod
    def of(cls, story: Story) -> _Side:
        parents = display_parents(story.spans, bled_spans(story.spans))
        return cls(story.spans, story.signatures, children_of(story.spans, parents))

    def below(self, place: int | None) -> Sequence[int]:
        return () if place is None else self.children.get(place, ())

    def before(self, one: int, two: int) -> bool:
        start_ns = self.spans.start_ns
        return self.spans.end_ns[one] <= start_ns[two] and start_ns[one] < start_ns[two]


def _increasing(values: Sequence[int]) -> set[int]:
    """Indexes of a longest increasing subsequence, the earliest such (patience sorting)."""
    tails: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for index, value in enumerate(values):
        pile = bisect_left(tails, value)
        before.append(last[pile - 1] if pile else -1)
        if pile == len(tails):
            tails.append(value)
            last.append(index)
        else:
            tails[pile], last[pile] = value, index
    found: set[int] = set()
    at = last[-1] if last else -1
    while at >= 0:
        found.add(at)
        at = before[at]
    return found
