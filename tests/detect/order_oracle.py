"""Which messages came late, and why: docs/messages.md, section 3, message by message, slow and
obvious; and histories to ask it about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.detect.histories import Attempt

REQUEUE = ("nack_requeue", "reject_requeue")
FINAL = ("ack", "nack_drop", "reject_drop", "auto")


@dataclass(frozen=True, slots=True)
class Queue:
    """What was declared of the queue; ``known`` when anything was."""

    known: bool = False
    single_active: bool = False
    max_priority: int | None = None

    @property
    def arguments(self) -> dict[str, Any] | None:
        if not self.known:
            return None
        found: dict[str, Any] = {}
        if self.single_active:
            found["x-single-active-consumer"] = True
        if self.max_priority is not None:
            found["x-max-priority"] = self.max_priority
        return found

    def priority(self, a: Attempt) -> int:
        if self.max_priority is not None:
            return min(a.priority or 0, self.max_priority)
        return 0 if self.known else a.priority or 0


Late = tuple[str, frozenset[str], str]


def oracle(
    attempts: list[Attempt],
    queue: Queue | None = None,
    publishes: Mapping[int, Mapping[str, Any]] | None = None,
) -> dict[int, Late]:
    """n → cause, bases, severity. One host, one queue, one producing channel."""
    queue, publishes = queue or Queue(), publishes or {}
    tries: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in sorted(attempts, key=lambda a: a.received):
        tries[attempt.n].append(attempt)
    tries = {n: mine for n, mine in tries.items() if any(a.fits for a in mine)}
    copies = {n: _copies(mine) for n, mine in tries.items()}
    finals = {n: _final(mine, copies[n]) for n, mine in tries.items()}
    finals = {n: a for n, a in finals.items() if a.settlement in FINAL}
    first_try = _first_tries(tries, publishes)
    found: dict[int, Late] = {}
    for n, mine in finals.items():
        later = [f for m, f in finals.items() if m > n]
        ahead = [f for f in later if f.received < mine.received]
        done_ahead = [f for f in later if f.settled < mine.settled]
        own = [a for a in tries[n] if not a.death and a not in copies[n]]
        acked = max((a.settled if a.settlement != "auto" else a.received for a in own if a.settlement in FINAL), default=None)  # fmt: skip
        began = min(
            (
                (a.started, a.lane) for m, others in tries.items() for a in others
                if mine.key and a.key == mine.key and (a.k or 0) > (mine.k or 0) and m != n
            ),
            default=None,
        )  # fmt: skip
        broken = began is not None and acked is not None and began[0] < acked
        retry_of = first_try.get(n)
        late_retry = retry_of is not None and any(
            f.received < mine.received
            for m, f in finals.items()
            if m > retry_of and first_try.get(m, m) != retry_of
        )
        bases = frozenset(
            name
            for name, holds in (
                ("delivery", ahead or late_retry),
                ("completion", done_ahead),
                ("ordering_key", broken),
            )
            if holds
        )
        if not bases:
            continue
        cause = _cause(
            mine, tries[n], copies[n], ahead, done_ahead, broken, late_retry, began, attempts, queue
        )
        if cause is None:
            continue
        asked = broken or queue.single_active or any(f.key == mine.key for f in ahead if mine.key)
        if asked:
            severity = "warning" if cause in ("channel_closed", "failover") else "error"
        else:
            severity = "warning" if cause in ("requeue", "publish_retry") else "info"
        found[n] = (cause, bases, severity)
    return found


def _cause(
    mine: Attempt, tries: list[Attempt], copies: list[Attempt], ahead: list[Attempt], done_ahead: list[Attempt],
    broken: bool, late_retry: bool, began: tuple[int, int] | None, attempts: list[Attempt], queue: Queue,
) -> str | None:  # fmt: skip
    requeued = any(a.settlement in REQUEUE for a in tries if not a.death and a not in copies)
    late = bool(ahead or done_ahead)
    if mine.death and late:
        return "dead_letter_retry"
    if mine in copies and late:
        return "republished"
    if requeued and (ahead or broken):
        return "requeue"
    if mine.redelivered and not requeued and (ahead or broken):
        lanes = {a.lane for a in attempts} - {mine.lane}
        taken = {
            lane: [a.received for a in attempts if a.lane == lane] for lane in {*lanes, mine.lane}
        }
        fresh = any(not a.redelivered and not a.death for a in tries)
        before = [
            lane
            for lane in lanes
            if any(a.lane == lane for a in tries)
            or (not fresh and max(taken[lane]) <= mine.received)
        ]
        apart = all(
            max(taken[lane]) <= min(taken[mine.lane]) or min(taken[lane]) >= max(taken[mine.lane])
            for lane in lanes
        )
        if before:
            return "failover" if queue.single_active and apart else "channel_closed"
    if late_retry:
        return "publish_retry"
    if ahead:
        differences = [queue.priority(f) - queue.priority(mine) for f in ahead]
        if min(differences) > 0 and queue.max_priority is not None:
            return "priority"
        if not queue.known and all(differences):
            return None
        same_lane = [f for f in ahead if f.lane == mine.lane]
        return "unknown" if same_lane else "competing_consumers"
    if done_ahead:
        same_lane = [f for f in done_ahead if f.lane == mine.lane]
        return "concurrent_handlers" if same_lane else "competing_consumers"
    assert began is not None
    return "concurrent_handlers" if began[1] == mine.lane else "competing_consumers"


def _copies(mine: list[Attempt]) -> list[Attempt]:
    """Fresh again with nothing new in x-death; or by another exchange and key than it was sent by."""
    seen: set[tuple[str, ...]] = set()
    found: list[Attempt] = []
    for a in mine:
        if not a.fits:
            found.append(a)
        elif not a.redelivered:
            if a.death in seen:
                found.append(a)
            seen.add(a.death)
    return found


def _final(mine: list[Attempt], copies: list[Attempt]) -> Attempt:
    return max(mine, key=lambda a: (len(a.death), a in copies, a.redelivered, a.received))


def _first_tries(
    tries: Mapping[int, list[Attempt]], publishes: Mapping[int, Mapping[str, Any]]
) -> dict[int, int]:
    """Retries are told by their message id, the first try's outcome being unknown."""
    found: dict[int, int] = {}
    everyone = sorted({*tries, *publishes})
    for n in everyone:
        name = publishes.get(n, {}).get("message_id", f"m{n}")
        for m in reversed([m for m in everyone if m < n]):
            mine = publishes.get(m, {})
            if mine.get("message_id", f"m{m}") == name and mine.get("outcome") == "unknown":
                found[n] = found.get(m, m)
                break
    return found


@st.composite
def histories(draw: Any) -> tuple[list[Attempt], Queue, dict[int, dict[str, Any]]]:
    """Messages on two consuming channels: requeued, lost to a closed channel, dead-lettered and back,
    copied, published again, keyed, with priorities. All times differ, tags count up by time."""
    queue = draw(
        st.sampled_from(
            [Queue(), Queue(True), Queue(True, single_active=True), Queue(True, max_priority=9)]
        )
    )
    count = draw(st.integers(1, 8))
    publishes: dict[int, dict[str, Any]] = {}
    plan: list[Attempt] = []
    counted: dict[str, int] = defaultdict(int)
    for n in range(1, count + 1):
        key = draw(st.sampled_from([None, None, "aaaaaaaa", "bbbbbbbb"]))
        if key is not None:
            counted[key] += 1
        base = Attempt(
            n, 1, 0, 0, 0, key=key, k=counted[key] if key else None,
            priority=draw(st.sampled_from([None, None, 0, 5])) if queue.max_priority or not queue.known else None,
        )  # fmt: skip
        plan += _life(draw, base)
        if n > 1 and draw(st.integers(0, 3)) == 0:
            first = draw(st.integers(1, n - 1))
            if "message_id" not in publishes.get(first, {}):
                same = {"message_id": f"m{first}", "body_hash": "same"}
                publishes[first] = {**same, "outcome": "unknown"}
                publishes[n] = same
                if draw(st.booleans()):
                    plan = [a for a in plan if a.n != first]
    times = draw(st.permutations(range(1, 2 * len(plan) + 1)))
    pairs = [sorted(times[2 * i : 2 * i + 2]) for i in range(len(plan))]
    by_message: dict[int, list[list[int]]] = defaultdict(list)
    for a, pair in zip(plan, pairs, strict=True):
        by_message[a.n].append(pair)
    timed: list[Attempt] = []
    for a in plan:
        mine = sorted(by_message[a.n])
        start, end = mine[sum(t.n == a.n for t in timed)]
        timed.append(a.but(received=start, settled=end, lane=draw(st.integers(1, 2))))
    tags: dict[int, int] = defaultdict(int)
    tagged: list[Attempt] = []
    for a in sorted(timed, key=lambda a: a.received):
        tags[a.lane] += 1
        tagged.append(a.but(tag=tags[a.lane]))
    return tagged, queue, publishes


def _life(draw: Any, base: Attempt) -> list[Attempt]:
    """What happens to one message, in order."""
    end = draw(st.sampled_from(["ack", "reject_drop"]))
    done = base.but(settlement=end)
    kind = draw(
        st.sampled_from(["once", "once", "once", "requeued", "closed", "unseen", "died", "copied"])
    )
    if kind == "requeued":
        back = draw(st.sampled_from(REQUEUE))
        return [base.but(settlement=back), done.but(redelivered=True)]
    if kind == "closed":
        return [
            base.but(settlement=draw(st.sampled_from([None, "ack"]))),
            done.but(redelivered=True),
        ]
    if kind == "unseen":
        return [done.but(redelivered=True)]
    if kind == "died":
        return [base.but(settlement="reject_drop"), done.but(death=("work|rejected|1|x|k",))]
    if kind == "copied":
        return [base.but(settlement="ack"), done.but(fits=draw(st.booleans()))]
    return [done]
