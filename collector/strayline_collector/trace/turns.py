"""Whose turn it was in a queue: a broker gives out what came first, whatever the wait.

The publishes and the deliveries of a queue are laid beside one another in order, so that as few as
possible are left over and waits are short: a delivery that was lost shifts its followers only
until the queue is empty once. What that says of a message is where its wait is looked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

_STATES: Final = 96
"""Ways that are followed at once."""
_SKIPPED: Final = 3.0
"""What it costs to leave a publish out, as the logarithm of how rare that is (1 in 20)."""
_UNLED: Final = 6.0
"""The same of a delivery."""
_HASTE: Final = 0.1
"""What short waits are worth, as a power: enough to notice within ten messages of an idle queue that
one was lost, too little to make up losses where a queue is long."""
_LEAST_NS: Final = 1_000_000
"""Shorter waits are all the same."""
_USUAL_NS: Final = 2_000_000
_BEFOREHAND: Final = 20
"""How far messages may overtake one another is this until so many were seen."""


def in_turn(deliveries: Sequence[Mapping[int, float]]) -> list[int | None]:
    """For each delivery, in the order in which they came, the number of the publish whose turn it
    was. Each says which publishes, numbered by their start, may be its own, and how good each is
    (see ``worth``). None where it came out of turn, or its publish is not here."""
    best: dict[int, float] = {-1: 0.0}
    came_from: list[dict[int, int]] = []
    for delivery in deliveries:
        before = sorted(best.items())
        following: dict[int, float] = {}
        back: dict[int, int] = {}
        at, most, chosen = 0, -math.inf, -1
        for number, worth_ in sorted(delivery.items()):
            while at < len(before) and before[at][0] < number:
                value = before[at][1] + _SKIPPED * before[at][0]
                if value > most:
                    most, chosen = value, before[at][0]
                at += 1
            if most > -math.inf:
                following[number] = most - _SKIPPED * (number - 1) + worth_
                back[number] = chosen
        for number, value in before:
            if value - _UNLED > following.get(number, -math.inf):
                following[number] = value - _UNLED
                back[number] = number
        kept = sorted(following.items(), key=lambda one: (-one[1], one[0]))[:_STATES]
        best = dict(kept)
        came_from.append({number: back[number] for number, _ in kept})
    found: list[int | None] = []
    number = min(best, key=lambda one: (-best[one], one))
    for back in reversed(came_from):
        earlier = back[number]
        found.append(None if earlier == number else number)
        number = earlier
    return found[::-1]


def worth(wait_ns: float, rarity: float) -> float:
    """Of a message that waited so long and shares so much with its publish."""
    return math.log(rarity) - _HASTE * math.log(max(wait_ns, _LEAST_NS) / _LEAST_NS)


class Overtaking:
    """How far messages of a queue lie from their turn."""

    def __init__(self, seen: Iterable[tuple[float, float]], doubt: float = 0.0) -> None:
        """``seen``: by how much, ns, and how surely that was so. ``doubt``: by what part of a wait
        the turn itself may be wrong, for nobody knows which messages were lost."""
        off, sure = float(_BEFOREHAND * _USUAL_NS), float(_BEFOREHAND)
        for by_ns, weight in seen:
            off += min(abs(by_ns), 50 * _USUAL_NS) * weight
            sure += weight
        self._scale = off / sure
        self._doubt = doubt

    def of(self, by_ns: float, wait_ns: float) -> float:
        """How likely that is, for each ns, where its turn was ``wait_ns`` before."""
        scale = self._scale + self._doubt * max(wait_ns, 0.0)
        return math.exp(-abs(by_ns) / scale) / (2 * scale)
