"""Which span probably caused one that names no cause: where a proxy, a library or a task dropped the
context, its trace breaks in two.

A SERVER or CONSUMER span without parent and link is set against the CLIENT and PRODUCER spans that
nothing names. Those that may belong together say the same of the call (path, method, exchange,
key, message id), and lie in time as cause and effect do. How likely a pair is follows from its
gaps in time (``gaps.py``) and from attribute values that both have, by how rare they are. All
pairs are weighed at once, for a call is answered once and a message handled once in a queue, each
beside the possibility that there is no partner: a public entry, a peer that sends no spans.

What comes out is a guess with a probability. It is never mixed with what spans say themselves.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal, NamedTuple

from strayline_collector.trace.ends import (
    Edge,
    End,
    Pair,
    by_start,
    came_ns,
    edge_of,
    groups_of,
    lane_of,
    place_of,
)
from strayline_collector.trace.gaps import UNKNOWN_NS, Clocks, Density
from strayline_collector.trace.stitch import SpanKey
from strayline_collector.trace.turns import Overtaking, in_turn, worth

MAX_WAIT_NS: Final = 60_000_000_000
"""A message that waited longer is not looked for."""
MIN_PROBABILITY: Final = 0.2
_LATEST: Final = 24
"""Candidates for one span: the latest that fit, and for a message as many about the one that had
waited as long as its neighbours."""
_OPEN: Final = 512
"""Calls that began before a request came, of which some are still open."""
_RARE: Final = 12
"""So few that a value which they share leads to them from anywhere."""
_SHARED: Final = 3
"""Attribute values that count, the rarest first: what is said twice is not twice as sure."""
_LEAST_NS: Final = 1_000_000_000
"""The time that all is seen in is taken to be longer, so that one strange span is not a habit."""
_TIED: Final = 0.1
"""Messages of a queue whose publish is known or shares a rare value: so many tell whose turn it is."""
_DOUBT: Final = 0.2
"""Part of a wait by which the turn may be wrong where fewer do, besides what was lost."""
_ONE_SIDED: Final = 0.05
"""How rare it is that one end tells the message's id and the other does not."""
_ROUNDS: Final = 4
_BALANCING: Final = 30


class Evidence(NamedTuple):
    """One reason. ``time``: how the two lie in time; ``same``: what both say of the call;
    ``shared``: attribute values that few have; ``seen``: such calls are known between the two
    services; ``rivals``: who else it may have been."""

    kind: Literal["time", "same", "shared", "seen", "rivals"]
    text: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """``parent`` probably caused ``child``."""

    child: SpanKey
    parent: SpanKey
    probability: float
    evidence: tuple[Evidence, ...]


def infer(orphans: Iterable[End], causes: Iterable[End], known: Iterable[Pair]) -> list[Proposal]:
    """For each of ``orphans`` (nothing caused them, as far as spans say) the likeliest of
    ``causes``, at least ``MIN_PROBABILITY``, likeliest first. ``known``: of the same time, what
    delays are learned from, and which causes have their effect. Their order does not matter."""
    pairs = sorted(known, key=lambda pair: (pair.effect.span.start_ns, pair.effect.span.key))
    matching = _Matching(
        sorted(orphans, key=by_start),
        sorted(causes, key=by_start),
        pairs,
    )
    return matching.run()


@dataclass(slots=True)
class _Chance:
    """That ``cause`` and ``effect`` belong together."""

    cause: End
    effect: End
    gap_ns: int
    back_ns: int
    edge: Edge
    lane: str
    shared: tuple[str, ...] = ()
    rarity: float = 1.0
    """How much likelier such shared values are of a pair than of strangers."""
    weight: float = 0.0
    likely: float = 0.0


class _Matching:
    """Pairs weighed together, as a balance: of all ways to pair the ends, each as likely as the
    product of its pairs' densities and of what is left alone, how likely is each pair? Rows and
    columns are scaled in turn until they add up to one, alone included (Sinkhorn's way)."""

    def __init__(
        self, orphans: Sequence[End], causes: Sequence[End], known: Sequence[Pair]
    ) -> None:
        spans = {end.span.key: end.span for pair in known for end in pair}
        self._clocks = Clocks(spans.values())
        self._edges = {edge_of(*pair) for pair in known}
        self._taken = {place_of(*pair) for pair in known}
        self._holders: dict[str, list[End]] = defaultdict(list)
        self._of_protocol: dict[str, int] = defaultdict(int)
        for cause in causes:
            self._of_protocol[cause.protocol] += 1
            for value in cause.shared:
                self._holders[value].append(cause)
        self._weighed = False
        times = [end.span.start_ns for end in (*orphans, *causes, *(p.effect for p in known))]
        self._whole_ns = max(times, default=0) - min(times, default=0) + _LEAST_NS
        self._chances = self._candidates(orphans, causes)
        self._known = [self._paired(*pair) for pair in known]
        self._turns: dict[SpanKey, int] = {}
        self._doubts: dict[str, float] = {}
        self._take_turns()
        self._rows: dict[SpanKey, list[_Chance]] = defaultdict(list)
        self._columns: dict[tuple[SpanKey, str], list[_Chance]] = defaultdict(list)
        for chance in self._chances:
            self._rows[chance.effect.span.key].append(chance)
            self._columns[place_of(chance.cause, chance.effect)].append(chance)

    def run(self) -> list[Proposal]:
        """Weighs, learns from what is likely, and weighs again."""
        for _ in range(_ROUNDS):
            self._weigh()
            self._balance()
            self._weighed = True
        return self._chosen()

    # who may belong together

    def _candidates(self, orphans: Sequence[End], causes: Sequence[End]) -> list[_Chance]:
        groups: dict[tuple[str, ...], list[End]] = defaultdict(list)
        for cause in causes:
            for group in groups_of(cause):
                groups[group].append(cause)
        lanes: dict[tuple[tuple[str, ...], str], list[End]] = defaultdict(list)
        for effect in orphans:
            lanes[groups_of(effect)[-1], lane_of(effect)].append(effect)
        found: list[_Chance] = []
        for (group, lane), effects in sorted(lanes.items()):
            ends = groups.get(group, [])
            if lane:
                ends = [end for end in ends if (end.span.key, lane) not in self._taken]
            pairs = _queued(effects, ends) if lane else _called(effects, ends)
            for effect, near in pairs:
                holders = (self._holders.get(value, []) for value in effect.shared)
                few = (cause for ends in holders if len(ends) <= _RARE for cause in ends)
                once = {cause.span.key: cause for cause in chain(near, few)}
                chances = (self._chance(once[key], effect) for key in sorted(once))
                found += [chance for chance in chances if chance is not None]
        return found

    def _chance(self, cause: End, effect: End) -> _Chance | None:
        """None where the two cannot belong together."""
        if cause.protocol != effect.protocol or cause.span.key.trace_id == effect.span.key.trace_id:
            return None
        if place_of(cause, effect) in self._taken:
            return None
        seen = edge_of(cause, effect) in self._edges
        for name in cause.facts.keys() & effect.facts.keys():
            if cause.facts[name] != effect.facts[name] and not (name == "address" and seen):
                return None
        shared = sorted(cause.shared & effect.shared, key=lambda v: (len(self._holders[v]), v))
        if not seen and not shared and len(groups_of(effect)) == 1:
            return None
        chance = self._paired(cause, effect)
        _, slack_ns = self._clocks.ahead(cause.span.clock or "", effect.span.clock or "")
        if chance.gap_ns < -slack_ns or chance.gap_ns > MAX_WAIT_NS:
            return None
        left_ns = chance.back_ns + effect.span.end_ns - effect.span.start_ns
        if not chance.lane and left_ns < -slack_ns:  # one that goes on after it has answered may be
            return None
        chance.shared = tuple(shared[:_SHARED])
        for value in chance.shared:
            chance.rarity *= max(1.0, self._of_protocol[cause.protocol] / len(self._holders[value]))
        for name in ("message_id", "correlation_id"):
            if (name in cause.facts) != (name in effect.facts):
                chance.rarity *= _ONE_SIDED
        return chance

    def _paired(self, cause: End, effect: End) -> _Chance:
        ahead_ns, _ = self._clocks.ahead(cause.span.clock or "", effect.span.clock or "")
        return _Chance(
            cause,
            effect,
            gap_ns=came_ns(effect) - ahead_ns - cause.span.start_ns,
            back_ns=cause.span.end_ns - (effect.span.end_ns - ahead_ns),
            edge=edge_of(cause, effect),
            lane=lane_of(effect),
        )

    # how likely that is

    def _weigh(self) -> None:
        """Each pair's density: what its gaps are worth by what is known, and by all that was likely
        in the round before."""
        sent: dict[Edge, Density] = defaultdict(Density)
        answered: dict[Edge, Density] = defaultdict(Density)
        off: dict[str, list[tuple[float, float]]] = defaultdict(list)
        seen = ((chance, 1.0) for chance in self._known)
        likely = ((chance, chance.likely) for chance in self._chances if chance.likely > 0.01)
        for chance, sure in chain(seen, likely):
            if chance.lane:
                if not self._doubts[chance.lane]:  # else what is guessed would confirm itself
                    off[chance.lane].append((self._off_ns(chance), sure))
            else:
                sent[chance.edge].learn(chance.gap_ns, sure)
                answered[chance.edge].learn(chance.back_ns, sure)
        overtaking = {lane: Overtaking(off[lane], doubt) for lane, doubt in self._doubts.items()}
        unlike = Density()
        for chance in self._chances:
            if chance.lane:
                turn_ns = chance.gap_ns + self._off_ns(chance)
                near = overtaking[chance.lane].of(self._off_ns(chance), turn_ns)
                density = 0.98 * near + 0.02 * unlike.of(chance.gap_ns)
            else:
                density = sent[chance.edge].of(chance.gap_ns)
                density *= answered[chance.edge].of(chance.back_ns)
            chance.weight = density * chance.rarity

    def _off_ns(self, chance: _Chance) -> float:
        """How long after or before the publish whose turn it was this one began."""
        return chance.cause.span.start_ns - self._turns[chance.effect.span.key]

    def _take_turns(self) -> None:
        """When the publish began whose turn it was, for each delivery; and how much that is worth
        where nothing ties the two ends of a queue together but their order."""
        lanes: dict[str, list[_Chance]] = defaultdict(list)
        for chance in (*self._chances, *self._known):
            if chance.lane:
                lanes[chance.lane].append(chance)
        tied = {id(chance) for chance in self._known}
        for lane, chances in lanes.items():
            begun = sorted({(c.cause.span.start_ns, c.cause.span.key) for c in chances})
            numbers = {key: number for number, (_, key) in enumerate(begun)}
            rows: dict[tuple[int, SpanKey], list[_Chance]] = defaultdict(list)
            for c in chances:
                rows[came_ns(c.effect), c.effect.span.key].append(c)
            order = sorted(rows)
            turns = in_turn(
                [
                    {numbers[c.cause.span.key]: worth(c.gap_ns, c.rarity) for c in rows[place]}
                    for place in order
                ]
            )
            last = begun[0][0]
            for (_, effect), number in zip(order, turns, strict=True):
                last = last if number is None else begun[number][0]
                self._turns[effect] = last
            sure = sum(any(id(c) in tied or c.shared for c in row) for row in rows.values())
            left = 1 - sum(number is not None for number in turns) / len(begun)
            self._doubts[lane] = 0.0 if sure > _TIED * len(order) else left + _DOUBT

    def _balance(self) -> None:
        alone = self._alone()
        causes = dict.fromkeys(self._columns, 1.0)
        effects = dict.fromkeys(self._rows, 1.0)
        left = self._left()
        for _ in range(_BALANCING):
            for key, row in self._rows.items():
                total = sum(c.weight * causes[place_of(c.cause, c.effect)] for c in row)
                effects[key] = 1.0 / (total + alone[key])
            for place, column in self._columns.items():
                total = sum(c.weight * effects[c.effect.span.key] for c in column)
                causes[place] = 1.0 / (total + left[place])
        for row in self._rows.values():
            for c in row:
                share = c.weight * causes[place_of(c.cause, c.effect)] * effects[c.effect.span.key]
                c.likely = min(share, 1.0)
            total = sum(c.likely for c in row)
            if total > 1.0:
                for c in row:
                    c.likely /= total

    def _alone(self) -> dict[SpanKey, float]:
        """How likely each effect is to have no cause here: what comes so at any moment, at the rate
        that the round before left over, times how usual such a call's length is."""
        lengths: dict[tuple[str, ...], Density] = defaultdict(Density)
        over: dict[tuple[str, ...], float] = defaultdict(float)
        for row in self._rows.values():
            effect = row[0].effect
            kind = (effect.service, effect.protocol, effect.lane)
            lengths[kind].learn(effect.span.end_ns - effect.span.start_ns)
            over[kind] += max(0.0, 1.0 - sum(c.likely for c in row)) if self._weighed else 0.5
        found: dict[SpanKey, float] = {}
        for key, row in self._rows.items():
            effect = row[0].effect
            kind = (effect.service, effect.protocol, effect.lane)
            found[key] = (over[kind] + 0.5) / self._whole_ns
            if not lane_of(effect):
                found[key] *= lengths[kind].of(effect.span.end_ns - effect.span.start_ns)
        return found

    def _left(self) -> dict[tuple[SpanKey, str], float]:
        """How likely each cause is to have no effect here, as odds."""
        over: dict[tuple[str, ...], float] = defaultdict(float)
        count: dict[tuple[str, ...], int] = defaultdict(int)
        for (_, lane), column in self._columns.items():
            kind = (column[0].cause.service, column[0].cause.protocol, lane)
            over[kind] += max(0.0, 1.0 - sum(c.likely for c in column)) if self._weighed else 0.5
            count[kind] += 1
        found: dict[tuple[SpanKey, str], float] = {}
        for place, column in self._columns.items():
            kind = (column[0].cause.service, column[0].cause.protocol, place[1])
            share = (over[kind] + 0.5) / (count[kind] + 1)
            found[place] = share / (1.0 - share)
        return found

    # what is said

    def _chosen(self) -> list[Proposal]:
        effects: set[SpanKey] = set()
        causes: set[tuple[SpanKey, str]] = set()
        found: list[Proposal] = []
        for chance in sorted(self._chances, key=_likeliest):
            effect, place = chance.effect.span.key, place_of(chance.cause, chance.effect)
            if chance.likely < MIN_PROBABILITY or effect in effects or place in causes:
                continue
            effects.add(effect)
            causes.add(place)
            evidence = tuple(self._evidence(chance))
            found.append(Proposal(effect, chance.cause.span.key, chance.likely, evidence))
        return found

    def _evidence(self, chance: _Chance) -> Iterable[Evidence]:
        cause, effect = chance.cause, chance.effect
        if lane_of(effect):
            yield Evidence("time", f"handled {_ms(chance.gap_ns)} after the publish began")
        else:
            told = (
                f"begins {_ms(chance.gap_ns)} after the call, ends {_ms(chance.back_ns)} before it"
            )
            yield Evidence("time", told)
        for name in sorted(cause.facts.keys() & effect.facts.keys()):
            if cause.facts[name] == effect.facts[name] and cause.facts[name]:
                yield Evidence("same", f"{name} {cause.facts[name]}")
        for value in chance.shared:
            holders = len(self._holders[value])
            yield Evidence(
                "shared", f"{value}, in {holders} of {self._of_protocol[cause.protocol]}"
            )
        if edge_of(cause, effect) in self._edges:
            yield Evidence("seen", f"{cause.service} calls {effect.service}")
        rivals = [c for c in self._rows[effect.span.key] if c is not chance and c.likely >= 0.01]
        if rivals:
            best = max(c.likely for c in rivals)
            yield Evidence("rivals", f"{len(rivals)} others, the likeliest at {best:.2f}")


def _called(effects: Sequence[End], ends: Sequence[End]) -> Iterable[tuple[End, list[End]]]:
    """The calls that were open when each request came."""
    starts = [end.span.start_ns for end in ends]
    for effect in effects:
        came_ns = effect.span.start_ns
        at = bisect_right(starts, came_ns + UNKNOWN_NS)
        near = ends[max(0, at - _OPEN) : at]
        yield effect, [e for e in near if e.span.end_ns >= came_ns - UNKNOWN_NS][-2 * _LATEST :]


def _queued(effects: Sequence[End], ends: Sequence[End]) -> Iterable[tuple[End, list[End]]]:
    """The latest publishes before each delivery, and those whose turn it was if none was lost."""
    starts = [end.span.start_ns for end in ends]
    turn = 0
    for effect in sorted(effects, key=lambda e: (came_ns(e), e.span.key)):
        came = came_ns(effect)
        at = bisect_right(starts, came + UNKNOWN_NS)
        turn = max(turn, bisect_left(starts, came - MAX_WAIT_NS))
        near = ends[max(0, turn - _LATEST) : min(at, turn + _LATEST)]
        yield effect, [*near, *ends[max(0, at - _LATEST) : at]]
        turn += turn < at


def _likeliest(chance: _Chance) -> tuple[float, SpanKey, SpanKey]:
    return -chance.likely, chance.effect.span.key, chance.cause.span.key


def _ms(ns: int) -> str:
    return f"{ns / 1e6:.1f} ms"
