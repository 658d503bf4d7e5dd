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

from strayline_collector.trace.stitch import SpanKey
from strayline_collector.trace.tree import TreeSpan, children_of, display_parents

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

    spans: Sequence[TreeSpan]
    signatures: Mapping[SpanKey, Signature]


@dataclass(frozen=True, slots=True)
class Pair:
    """One call as both stories have it; None: that story lacks it."""

    a: TreeSpan | None
    b: TreeSpan | None
    signature: Signature
    depth: int
    change: Change


def compare(a: Story, b: Story) -> list[Pair]:
    """All calls of both, depth first: in the order of ``b``, what is missing where it was."""
    return list(_Comparison(a, b).run())


class _Comparison:
    def __init__(self, a: Story, b: Story) -> None:
        self._signatures = {**a.signatures, **b.signatures}
        self._a = _Side.of(a)
        self._b = _Side.of(b)

    def run(self) -> Iterator[Pair]:
        stack = self._below(None, None, 0)
        while stack:
            pair = stack.pop()
            yield pair
            stack.extend(
                self._below(pair.a and pair.a.key, pair.b and pair.b.key, pair.depth + 1)
                if pair.a and pair.b
                else self._alone(pair)
            )

    def _alone(self, pair: Pair) -> list[Pair]:
        side, span = (self._a, pair.a) if pair.a is not None else (self._b, pair.b)
        below = side.children.get(span.key, []) if span is not None else []
        found = [self._pair(key if pair.a else None, key if pair.b else None, pair.depth + 1, pair.change) for key in below]  # fmt: skip
        return found[::-1]

    def _below(self, above_a: SpanKey | None, above_b: SpanKey | None, depth: int) -> list[Pair]:
        """Pairs of the children of a pair, the first last."""
        left, right = self._a.children.get(above_a, []), self._b.children.get(above_b, [])
        waiting: dict[Signature, list[SpanKey]] = defaultdict(list)
        for key in reversed(left):
            waiting[self._signatures[key]].append(key)
        partner: dict[SpanKey, SpanKey] = {}
        for key in right:
            alike = waiting[self._signatures[key]]
            if alike:
                partner[key] = alike.pop()
        moved = self._moved(left, right, partner)
        paired = set(partner.values())
        place = {key: index for index, key in enumerate(left)}
        gone = [key for key in left if key not in paired]
        found: list[Pair] = []
        for key in right:
            at = place.get(partner[key], -1) if key in partner else -1
            while gone and place[gone[0]] < at:
                found.append(self._pair(gone.pop(0), None, depth, "missing"))
            change: Change = "added" if key not in partner else "same"
            found.append(
                self._pair(partner.get(key), key, depth, "reordered" if key in moved else change)
            )
        found += [self._pair(key, None, depth, "missing") for key in gone]
        return found[::-1]

    def _pair(self, a: SpanKey | None, b: SpanKey | None, depth: int, change: Change) -> Pair:
        key = b if a is None else a
        assert key is not None
        return Pair(
            None if a is None else self._a.spans[a],
            None if b is None else self._b.spans[b],
            self._signatures[key],
            depth,
            change,
        )

    def _moved(
        self, left: Sequence[SpanKey], right: Sequence[SpanKey], partner: Mapping[SpanKey, SpanKey]
    ) -> set[SpanKey]:
        """Of the paired children the fewest without which the rest are in order, those among them
        that truly changed places with another."""
        if len(right) > MAX_SIBLINGS:
            return set()
        place = {key: index for index, key in enumerate(left)}
        both = [key for key in right if key in partner]
        kept = _increasing([place[partner[key]] for key in both])
        candidates = [key for index, key in enumerate(both) if index not in kept]
        return {key for key in candidates if any(self._swapped(key, o, partner) for o in both)}

    def _swapped(self, one: SpanKey, two: SpanKey, partner: Mapping[SpanKey, SpanKey]) -> bool:
        one_b, two_b = self._b.spans[one], self._b.spans[two]
        one_a, two_a = self._a.spans[partner[one]], self._a.spans[partner[two]]
        return (_before(one_a, two_a) and _before(two_b, one_b)) or (
            _before(two_a, one_a) and _before(one_b, two_b)
        )


def _before(one: TreeSpan, two: TreeSpan) -> bool:
    return one.end_ns <= two.start_ns and one.start_ns < two.start_ns


@dataclass(frozen=True, slots=True)
class _Side:
    spans: dict[SpanKey, TreeSpan]
    children: dict[SpanKey | None, list[SpanKey]]

    @classmethod
    def of(cls, story: Story) -> _Side:
        spans = {span.key: span for span in story.spans}
        return cls(spans, children_of(spans, display_parents(story.spans)))


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
