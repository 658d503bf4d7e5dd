"""What causality says of clocks that disagree: bounds, and the smallest correction within them.

A request is sent before it is served, a response before it is received, a message before it is
delivered. Each such pair across two clocks bounds the difference of what they read at one moment
(the offset, ``b - a``). Spans of one host share a clock; where no host is known, those of one
process do, else those of one service. Nothing is assumed of how long anything took.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from strayline_collector.trace.spans import CLIENT, CONSUMER, NONE, SERVER, Spans

MAX_CLOCKS: Final = 100
"""Corrected at most: closing the bounds of n clocks takes n³ steps."""
INFINITE: Final = 2**63


Ceilings = dict[tuple[str, str], int]
"""(a, b) → the most that clock b may be ahead of a: something was at a's reading s, and what came
later at b's reading r, so no more than r - s, the least of all that went from a to b."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What must have come before something else, by how surely.

    ``sends``: certain. ``responses``: the server's span ends before its client's, true unless it
    goes on after it has answered, as ``answered`` allows (it began before the client had ended).
    ``settled``: a consumer begins after its publish has ended, which a publish that waits for its
    confirm does not promise.
    """

    sends: Ceilings
    responses: Ceilings
    answered: Ceilings
    settled: Ceilings


@dataclass(frozen=True, slots=True)
class Bound:
    """How far clock ``b`` is ahead of ``a``, ``a`` < ``b``; None: nothing bounds it on that side.
    Not ``consistent``: the least exceeds the most, so a clock drifted or was set meanwhile."""

    a: str
    b: str
    least_ns: int | None
    most_ns: int | None
    consistent: bool


@dataclass(frozen=True, slots=True)
class Correction:
    """What to subtract from each clock's times, nanoseconds; the root's clock stays. ``possible``
    is False, and every offset 0, where no offsets keep the order of all that was sent, or there
    are more than ``MAX_CLOCKS``."""

    offsets: dict[str, int]
    possible: bool


def orders(spans: Spans) -> Orders:
    """What the spans show to have come before what, across clocks."""
    found = Orders({}, {}, {}, {})
    clock, kind, start_ns, end_ns = spans.clock, spans.kind, spans.start_ns, spans.end_ns
    for place, cause in _causes(spans):
        a, b = clock[cause], clock[place]
        if a == b or not a or not b:
            continue
        received_ns = spans.received_ns.get(place, start_ns[place])
        _lower(found.sends, (a, b), received_ns - start_ns[cause])
        if kind[place] == SERVER and kind[cause] == CLIENT:
            longer = end_ns[place] - start_ns[place] > end_ns[cause] - start_ns[cause]
            told_ns = start_ns[place] if longer else end_ns[place]
            _lower(found.answered, (b, a), end_ns[cause] - start_ns[place])
            _lower(found.responses, (b, a), end_ns[cause] - told_ns)
        elif kind[place] == CONSUMER and (
            received_ns < start_ns[cause] or start_ns[place] >= end_ns[cause]
        ):  # one that is within its publish as told may stay there, no other comes there
            _lower(found.settled, (a, b), start_ns[place] - end_ns[cause])
    return found


def _causes(spans: Spans) -> Iterator[tuple[int, int]]:
    """Of each span what has to have begun before it. A parent's context was made in its span; a
    consumer links what it was sent."""
    here = len(spans)
    for place, parent in enumerate(spans.parent):
        if NONE < parent < here:
            yield place, parent
    for place, links in spans.links.items():
        if spans.kind[place] == CONSUMER:
            yield from ((place, link) for link in links if link < here)


def bounds(found: Orders) -> list[Bound]:
    """One for each pair of clocks that anything went between, by name. Where responses contradict
    what was sent, a server that goes on after answering is likelier than a clock that drifts: then
    only its beginning counts."""
    told = _lowest(found.sends, found.responses)
    careful = _lowest(found.sends, found.answered)
    pairs = sorted({(min(pair), max(pair)) for pair in told})
    tight = [_bound(a, b, told) for a, b in pairs]
    return [bound if bound.consistent else _bound(bound.a, bound.b, careful) for bound in tight]


def correction(found: Orders, root: str) -> Correction:
    """The offsets relative to ``root`` that put everything in order, each the nearest to none:
    0 where that is possible, else the middle of its bounds, else the only bound."""
    sends, responses = found.sends, found.responses
    clocks = [root, *sorted({name for pair in sends for name in pair} - {root})]
    still = Correction(dict.fromkeys(clocks, 0), possible=True)
    if all(gap_ns >= 0 for gap_ns in (*sends.values(), *responses.values())):
        return still
    if len(clocks) <= MAX_CLOCKS:
        for tier in (
            (sends, responses, found.settled),
            (sends, responses),
            (sends, found.answered, found.settled),
            (sends, found.answered),
            (sends,),
        ):
            offsets = _nearest(clocks, _lowest(*tier))
            if offsets is not None:
                return Correction(offsets, possible=True)
    return Correction(still.offsets, possible=False)


def corrected(spans: Spans, offsets: Mapping[str, int]) -> Spans:
    """The spans as the root's clock would have told their times."""
    return spans.shifted([-offsets.get(clock or "", 0) for clock in spans.clock])


def _lower(most: Ceilings, pair: tuple[str, str], gap_ns: int) -> None:
    if gap_ns < most.get(pair, INFINITE):
        most[pair] = gap_ns


def _lowest(*several: Ceilings) -> Ceilings:
    most: Ceilings = {}
    for ceilings in several:
        for pair, gap_ns in ceilings.items():
            _lower(most, pair, gap_ns)
    return most


def _bound(a: str, b: str, ceilings: Ceilings) -> Bound:
    most, back = ceilings.get((a, b)), ceilings.get((b, a))
    least = None if back is None else -back
    return Bound(a, b, least, most, least is None or most is None or least <= most)


def _nearest(clocks: Sequence[str], ceilings: Ceilings) -> dict[str, int] | None:
    """Floyd and Warshall close the ceilings; then each clock in turn has an interval that never
    empties, whatever was chosen before. None where a circle of ceilings is negative."""
    most = {**ceilings, **{(clock, clock): 0 for clock in clocks}}
    for via in clocks:
        into = [(a, most[a, via]) for a in clocks if (a, via) in most]
        out = [(b, most[via, b]) for b in clocks if (via, b) in most]
        for a, first in into:
            for b, second in out:
                if first + second < most.get((a, b), first + second + 1):
                    most[a, b] = first + second
    if any(most[clock, clock] < 0 for clock in clocks):
        return None
    offsets = {clocks[0]: 0}
    lowest = {clock: -most[clock, clocks[0]] for clock in clocks if (clock, clocks[0]) in most}
    highest = {clock: most[clocks[0], clock] for clock in clocks if (clocks[0], clock) in most}

    def room(clock: str) -> tuple[float, str]:
        return highest.get(clock, math.inf) - lowest.get(clock, -math.inf), clock

    left = set(clocks[1:])
    while left:  # the most closely bounded first: what is vague yields to what is known
        clock = min(left, key=room)
        left.remove(clock)
        at = offsets[clock] = _chosen(lowest.get(clock), highest.get(clock))
        for other in left:
            if (clock, other) in most:
                highest[other] = min(highest.get(other, INFINITE), at + most[clock, other])
            if (other, clock) in most:
                lowest[other] = max(lowest.get(other, -INFINITE), at - most[other, clock])
    return offsets


def _chosen(floor: int | None, ceiling: int | None) -> int:
    if (floor is None or floor <= 0) and (ceiling is None or ceiling >= 0):
        return 0
    if floor is None or ceiling is None:
        return ceiling if floor is None and ceiling is not None else (floor or 0)
    return (floor + ceiling) // 2
