"""A broker, its clients and their misfortunes, simulated from a seed: long random histories as
shims would tell them, and what must be found of each.

The simulated broker keeps AMQP's promises: a queue gives out its head (of the highest priority,
where it has priorities), what is given back returns to its place, what is rejected goes round by a
retry queue to the end. With ``breaks`` it swaps two messages, which none may.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.detect.histories import EPOCH, Attempt, binding, exchange, rows_of
from tests.detect.order_oracle import REQUEUE, Queue, _first_tries, oracle

QUEUES = (
    Queue(), Queue(True), Queue(True), Queue(True, single_active=True), Queue(True, max_priority=9),
)  # fmt: skip
LOOP, FAST_LOOP = 5, 10
Verdict = tuple[str, str, str, str, int]
"""Kind, verdict, cause, severity, and the ``n`` of the message."""


@dataclass(slots=True)
class _Waiting:
    """A message in the queue."""

    n: int
    place: int
    priority: int
    redelivered: bool = False
    death: tuple[str, ...] = ()


@dataclass(slots=True)
class _Lane:
    """A consuming channel."""

    number: int
    prefetch: int
    in_order: bool
    tag: int = 0
    held: list[tuple[_Waiting, Attempt]] = field(default_factory=list)


@dataclass(slots=True)
class History:
    """What happened in one vhost, and what was declared of its queue."""

    number: int
    queue: Queue
    attempts: list[Attempt]
    publishes: dict[int, dict[str, Any]]
    broken: bool

    @property
    def vhost(self) -> str:
        return f"h{self.number}"

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """As rows of the store's tables, every identity this history's own."""
        census: list[dict[str, Any]] = []
        topology: list[dict[str, Any]] = []
        if self.broken:
            count = len(self.attempts)
            consumer = {"channel": 1, "queues": ["work"], "delivery_tag": count, "unsettled": []}
            at = max(a.settled for a in self.attempts)
            census = [{"consumers": [consumer], "spans_dropped": 0, "at_unix_nano": at}]
            topology = [exchange("x", "topic"), binding("x", "work", "k")]
        told = rows_of(self.attempts, self.queue.arguments, self.publishes, census, topology)
        for row in told["delivery_facts"]:  # every consumer continues the trace
            row["context_trace_id"] = row["publish_trace_id"]
            row["context_span_id"] = row["publish_span_id"]
        return {table: [self._own(row) for row in rows] for table, rows in told.items()}

    def _own(self, row: dict[str, Any]) -> dict[str, Any]:
        epochs = {EPOCH: f"{self.number:016x}", "c" * 16: f"c{self.number:015x}"}
        found: dict[str, Any] = {}
        for name, value in row.items():
            if isinstance(value, str) and name != "census":
                if name.endswith(("trace_id", "span_id")):
                    value = f"{self.number:08x}{value[8:]}"
                for epoch, own in epochs.items():
                    value = value.replace(epoch, own)
            found[name] = value
        if "vhost" in found:
            found["vhost"] = self.vhost
        return found

    def truth(self) -> set[Verdict]:
        """What must be found, of each message."""
        found: set[Verdict] = set()
        for n, (cause, _, severity) in oracle(self.attempts, self.queue, self.publishes).items():
            if self.broken and cause == "unknown":
                cause, severity = "broker", "error"
            found.add(("reordered", "", cause, severity, n))
        given_back: dict[int, int] = defaultdict(int)
        for attempt in self.attempts:
            given_back[attempt.n] += attempt.settlement in REQUEUE
        for n, times in given_back.items():
            if times >= LOOP:
                severity = "error" if times >= FAST_LOOP else "warning"
                found.add(("redelivery_loop", "", "", severity, n))
        tries: dict[int, list[Attempt]] = defaultdict(list)
        for attempt in self.attempts:
            tries[attempt.n].append(attempt)
        for n in _first_tries(tries, self.publishes):
            found.add(("duplicated", "publish_retry", "", "warning", n))
        return found


def simulate(number: int, seed: int) -> History:
    """The history of this number: the same for the same seed."""
    chance = random.Random(f"{seed}/{number}")
    broken = chance.random() < 0.1
    queue = Queue(True) if broken else chance.choice(QUEUES)
    world = _World(chance, queue, calm=broken)
    world.run(chance.randint(5, 40))
    attempts = world.attempts
    if broken:
        attempts = _swapped(chance, attempts)
    return History(number, queue, attempts, world.publishes, broken)


class _World:
    def __init__(self, chance: random.Random, queue: Queue, *, calm: bool) -> None:
        self.chance, self.queue, self.calm = chance, queue, calm
        self.attempts: list[Attempt] = []
        self.publishes: dict[int, dict[str, Any]] = {}
        self._now = 0
        self._n = 0
        self._place = 0
        self._keys: dict[str, int] = defaultdict(int)
        self._keyed: dict[int, tuple[str, int]] = {}
        self._priorities: dict[int, int | None] = {}
        self._waiting: list[_Waiting] = []
        self._away: list[_Waiting] = []
        self._lanes: list[_Lane] = []
        self._opened = 0
        self._rates = {
            name: 0.0 if calm else chance.choice([0.0, 0.02, 0.15])
            for name in ("requeue", "crash", "reject", "retry")
        }
        self._with_keys = not calm and chance.random() < 0.4
        self._loops = chance.random() < 0.1 and not calm
        for _ in range(1 if calm else chance.choice([1, 1, 2, 3])):
            self._open()

    def run(self, count: int) -> None:
        """Publishes ``count`` messages and goes on until each is settled for good."""
        while self._n < count or self._waiting or self._away or any(x.held for x in self._lanes):
            steps = [self._deliver, self._deliver, self._settle, self._settle, self._return]
            if self._n < count:
                steps += [self._publish, self._publish]
            if self.chance.random() < self._rates["crash"]:
                steps = [self._crash]
            self.chance.choice(steps)()

    def _tick(self) -> int:
        self._now += self.chance.randint(1, 5)
        return self._now

    def _open(self) -> None:
        self._opened += 1
        prefetch = self.chance.choice([1, 1, 5, 50])
        self._lanes.append(_Lane(self._opened, prefetch, self.calm or self.chance.random() < 0.6))

    def _publish(self) -> None:
        start = self._tick()
        self._n += 1
        row: dict[str, Any] = {"start_ns": start, "end_ns": self._tick()}
        before = self._n - 1
        if (
            self.publishes.get(before, {}).get("outcome") == "unknown"
            and self.chance.random() < 0.7
        ):
            row["message_id"] = self.publishes[before].get("message_id", f"m{before}")
            row["body_hash"] = f"b{row['message_id']}"
        elif self.chance.random() < self._rates["retry"]:
            row |= {"outcome": "unknown", "body_hash": f"bm{self._n}"}
        self.publishes[self._n] = row
        if self._with_keys and self.chance.random() < 0.6:
            key = self.chance.choice(["aaaaaaaa", "bbbbbbbb"])
            self._keys[key] += 1
            self._keyed[self._n] = (key, self._keys[key])
        wish = self.chance.choice([None, 0, 5]) if self.queue.max_priority is not None else None
        self._priorities[self._n] = wish
        self._enqueue(_Waiting(self._n, 0, wish or 0))

    def _enqueue(self, message: _Waiting) -> None:
        self._place += 1
        message.place = self._place
        self._waiting.append(message)

    def _deliver(self) -> None:
        able = self._lanes[:1] if self.queue.single_active else self._lanes
        able = [lane for lane in able if len(lane.held) < lane.prefetch]
        if not self._waiting or not able:
            return
        lane = self.chance.choice(able)
        message = min(self._waiting, key=lambda m: (-m.priority, m.place))
        self._waiting.remove(message)
        lane.tag += 1
        key, k = self._keyed.get(message.n, (None, None))
        attempt = Attempt(
            message.n, lane.number, lane.tag, self._tick(), 0, None, message.redelivered, key, k,
            priority=self._priorities[message.n], death=message.death,
        )  # fmt: skip
        lane.held.append((message, attempt))

    def _settle(self) -> None:
        busy = [lane for lane in self._lanes if lane.held]
        if not busy:
            return
        lane = self.chance.choice(busy)
        message, attempt = lane.held.pop(
            0 if lane.in_order else self.chance.randrange(len(lane.held))
        )
        what = self.chance.random()
        again = 0.9 if self._loops and message.n % 7 == 3 else self._rates["requeue"]
        if what < again:
            end = self.chance.choice(REQUEUE)
            message.redelivered = True
            self._waiting.append(message)
        elif what > 1 - self._rates["reject"] and len(message.death) < 2:
            end = self.chance.choice(["nack_drop", "reject_drop"])
            message.redelivered = False
            message.death = ("retry|expired|1||retry", "work|rejected|1|x|k")
            self._away.append(message)
        else:
            end = "ack"
        self.attempts.append(attempt.but(settled=self._tick(), settlement=end))

    def _return(self) -> None:
        if self._away:
            self._enqueue(self._away.pop(0))

    def _crash(self) -> None:
        lane = self._lanes.pop(self.chance.randrange(len(self._lanes)))
        for message, attempt in lane.held:
            self.attempts.append(attempt.but(settled=self._tick()))
            message.redelivered = True
            self._waiting.append(message)
        self._open()


def _swapped(chance: random.Random, attempts: list[Attempt]) -> list[Attempt]:
    """Two neighbours in each other's place: what a broker must never do. Nobody handled them late."""
    ordered = sorted(attempts, key=lambda a: a.received)
    at = chance.randrange(len(ordered) - 1)
    one, other = ordered[at], ordered[at + 1]
    mine, its = (one.tag, one.received, one.settled), (other.tag, other.received, other.settled)
    ordered[at] = other.but(tag=mine[0], received=mine[1], settled=mine[2])
    ordered[at + 1] = one.but(tag=its[0], received=its[1], settled=its[2])
    return ordered
