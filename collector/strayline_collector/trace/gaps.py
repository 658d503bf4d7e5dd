"""How much time lies between a call's two ends, learned from those whose context is whole and, round
by round, from those that are likely to belong together.

A call has two gaps, before its server's span and after it. What a message's wait should be, its
queue's other messages tell (``turns.py``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from strayline_collector.trace.clock import Bound, bounds, orders
from strayline_collector.trace.spans import Spans, TreeSpan

TICK_NS: Final = 1_000_000
"""Starts of whole milliseconds (JavaScript): how far two times of one clock may be out of order."""
UNKNOWN_NS: Final = 10_000_000
"""The same of two clocks that nothing bounds: machines that keep time by NTP agree so far."""
_FLOOR_NS: Final = 50_000
"""Shorter gaps are told apart by nothing but rounding."""
_OCTAVES: Final = 26
"""From the floor to almost an hour."""


class Clocks:
    """What is known of each pair of clocks from calls and messages that are whole."""

    def __init__(self, spans: Iterable[TreeSpan]) -> None:
        self._bounds: dict[tuple[str, str], Bound] = {
            (bound.a, bound.b): bound for bound in bounds(orders(Spans.of(spans)))
        }

    def ahead(self, a: str, b: str) -> tuple[int, int]:
        """How far clock ``b`` is ahead of ``a``, and how much more or less that may be; ns."""
        if a == b:
            return 0, TICK_NS
        bound = self._bounds.get((min(a, b), max(a, b)))
        if bound is None or not bound.consistent:
            return 0, UNKNOWN_NS
        least, most = bound.least_ns, bound.most_ns
        if least is not None and most is not None:
            at, room = (least + most) // 2, (most - least) // 2
            if least <= 0 <= most:  # as clocks are corrected: not at all where that is possible
                at, room = 0, max(-least, most)
        else:
            at = max(least or 0, 0) if most is None else min(most, 0)
            room = UNKNOWN_NS
        return (at if a < b else -at), min(room, UNKNOWN_NS) + TICK_NS


class Density:
    """A histogram of gaps by halves of an octave, as a probability for each nanosecond; what lies
    before 0, by rounding or by a clock that is ahead, in a half of its own. Before anything is
    learned every octave is as likely, and one gap in twenty lies before 0."""

    def __init__(self) -> None:
        self._after = [0.1] * (2 * _OCTAVES)
        self._before = [0.1 / 20] * (2 * _OCTAVES)
        self._sum = sum(self._after) + sum(self._before)

    def learn(self, gap_ns: float, weight: float = 1.0) -> None:
        """``weight``: how sure it is that this gap was one."""
        counts, at = self._at(gap_ns)
        counts[at] += weight / 2
        counts[max(0, at - 1)] += weight / 4
        counts[min(len(counts) - 1, at + 1)] += weight / 4
        self._sum += weight

    def of(self, gap_ns: float) -> float:
        """How likely such a gap is, for each ns."""
        counts, at = self._at(gap_ns)
        low = 0.0 if at == 0 else _FLOOR_NS * 2 ** (at / 2)
        high = _FLOOR_NS * 2 ** ((at + 1) / 2)
        return counts[at] / self._sum / (high - low)

    def _at(self, gap_ns: float) -> tuple[list[float], int]:
        counts = self._before if gap_ns < 0 else self._after
        size = abs(gap_ns)
        if size <= _FLOOR_NS:
            return counts, 0
        return counts, min(2 * _OCTAVES - 1, int(2 * math.log2(size / _FLOOR_NS)))
