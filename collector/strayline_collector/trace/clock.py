"""What causality says of clocks that disagree: bounds, and the smallest correction within them.

A request is sent before it is served, a response before it is received, a message before it is
delivered. Each such pair across two clocks bounds the difference of what they read at one moment
(the offset, ``b - a``). Spans of one host share a clock; where no host is known, those of one
process do, else those of one service. Nothing is assumed of how long anything took.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from strayline_collector.trace.stitch import SpanKey
from strayline_collector.trace.tree import CLIENT, CONSUMER, SERVER, TreeSpan

MAX_CLOCKS: Final = 100
"""Corrected at most: closing the bounds of n clocks takes n³ steps."""
INFINITE: Final = 2**63


class Order(NamedTuple):
    """What clock ``sender`` read ``sent_ns`` at was no later than ``receiver`` at ``received_ns``."""

    sender: str
    receiver: str
    sent_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True)
class Orders:
    """All that must have come before something else, by how surely.

    ``sends``: certain. ``responses``: the server's span ends before its client's, true unless it
    goes on after it has answered, as ``answered`` allows (it began before the client had ended).
    ``settled``: a consumer begins after its publish has ended, which a publish that waits for its
    confirm does not promise.
    """

    sends: list[Order]
    responses: list[Order]
    answered: list[Order]
    settled: list[Order]


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


def orders(spans: Iterable[TreeSpan]) -> Orders:
    """What the spans show to have come before what, across clocks."""
    by_key = {span.key: span for span in spans}
    found = Orders([], [], [], [])
    for span in by_key.values():
        for key in _causes(span):
            cause = by_key.get(key)
            if cause is None or cause.clock == span.clock or not (cause.clock and span.clock):
                continue
            received_ns = span.start_ns if span.received_ns is None else span.received_ns
            found.sends.append(Order(cause.clock, span.clock, cause.start_ns, received_ns))
            if span.kind == SERVER and cause.kind == CLIENT:
                found.answered.append(Order(span.clock, cause.clock, span.start_ns, cause.end_ns))
                longer = span.end_ns - span.start_ns > cause.end_ns - cause.start_ns
                told_ns = span.start_ns if longer else span.end_ns
                found.responses.append(Order(span.clock, cause.clock, told_ns, cause.end_ns))
            elif span.kind == CONSUMER and received_ns < cause.start_ns:
                found.settled.append(Order(cause.clock, span.clock, cause.end_ns, span.start_ns))
    return found


def bounds(found: Orders) -> list[Bound]:
    """One for each pair of clocks that anything went between, by name. Where responses contradict
    what was sent, a server that goes on after answering is likelier than a clock that drifts: then
    only its beginning counts."""
    told = _ceilings(found.sends + found.responses)
    careful = _ceilings(found.sends + found.answered)
    pairs = sorted({(min(pair), max(pair)) for pair in told})
    tight = [_bound(a, b, told) for a, b in pairs]
    return [bound if bound.consistent else _bound(bound.a, bound.b, careful) for bound in tight]


def correction(found: Orders, root: str) -> Correction:
    """The offsets relative to ``root`` that put everything in order, each the nearest to none:
    0 where that is possible, else the middle of its bounds, else the only bound."""
    sends, responses = found.sends, found.responses
    names = {name for order in sends for name in (order.sender, order.receiver)}
    clocks = [root, *sorted(names - {root})]
    still = Correction(dict.fromkeys(clocks, 0), possible=True)
    if all(order.sent_ns <= order.received_ns for order in sends + responses):
        return still
    if len(clocks) <= MAX_CLOCKS:
        for tier in (
            sends + responses + found.settled,
            sends + responses,
            sends + found.answered + found.settled,
            sends + found.answered,
            sends,
        ):
            offsets = _nearest(clocks, _ceilings(tier))
            if offsets is not None:
                return Correction(offsets, possible=True)
    return Correction(still.offsets, possible=False)


def corrected(spans: Sequence[TreeSpan], offsets: Mapping[str, int]) -> list[TreeSpan]:
    """The spans as the root's clock would have told their times."""
    return [span.shifted(-offsets.get(span.clock or "", 0)) for span in spans]


def _causes(span: TreeSpan) -> set[SpanKey]:
    """A parent's context was made in its span; a consumer links what it was sent."""
    linked = span.links if span.kind == CONSUMER else ()
    return {key for key in (span.parent, *linked) if key is not None}


Ceilings = dict[tuple[str, str], int]
"""(a, b) → the most that b may be ahead of a."""


def _ceilings(found: Iterable[Order]) -> Ceilings:
    most: Ceilings = {}
    for order in found:
        pair, gap = (order.sender, order.receiver), order.received_ns - order.sent_ns
        most[pair] = min(gap, most.get(pair, gap))
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
