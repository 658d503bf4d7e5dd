"""Traffic of a shop with queues and threads, told as calls' two ends, some of whose contexts are
lost: what inferring them is held to. Deterministic: the same arguments give the same traffic."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from strayline_collector.trace.ends import End, Pair
from strayline_collector.trace.spans import CLIENT, CONSUMER, PRODUCER, SERVER, TreeSpan
from strayline_collector.trace.stitch import SpanKey

MS = 1_000_000


@dataclass
class Traffic:
    """Every pair of ends as it truly was, and the entries, which nothing here caused."""

    pairs: list[Pair] = field(default_factory=list[Pair])
    entries: list[End] = field(default_factory=list[End])
    outside: list[End] = field(default_factory=list[End])
    """Calls to what sends no spans."""


class _Shop:
    """Discrete events: ``concurrency`` customers order one after another; each service has as many
    threads as it can use, each queue one consumer."""

    def __init__(self, seed: int, orders: int, concurrency: int, *, ids: bool) -> None:
        self.random = random.Random(seed)
        self.traffic = Traffic()
        self._ids = ids
        self._left = orders
        self._events: list[tuple[int, int, Callable[[int], None]]] = []
        self._number = 0
        self._waiting: dict[str, deque[Callable[[int], int]]] = defaultdict(deque)
        self._busy: dict[str, int] = defaultdict(int)
        for _ in range(concurrency):
            self._later(self.random.randrange(20 * MS), self._order)

    def run(self) -> Traffic:
        while self._events:
            at, _, event = heapq.heappop(self._events)
            event(at)
        return self.traffic

    def _later(self, at: int, event: Callable[[int], None]) -> None:
        self._number += 1
        heapq.heappush(self._events, (at, self._number, event))

    def _takes(self, ms: float) -> int:
        return round(ms * MS * self.random.lognormvariate(0, 0.6))

    def _key(self, trace: str) -> SpanKey:
        self._number += 1
        return SpanKey(trace, f"{self._number:016x}")

    def _order(self, at: int) -> None:
        """One customer: POST /orders, and again when it is answered."""
        if not self._left:
            return
        self._left -= 1
        trace = f"{self._left:032x}"
        stock_at = at + self._takes(3)
        stock_end = self._call(
            trace, "gateway", "stock", "grpc", {"rpc": "shop.Stock/Reserve"}, stock_at, 8
        )
        paid_at = stock_end + self._takes(1)
        paid = self._key(trace)
        paid_end = paid_at + self._takes(25)
        span = TreeSpan(paid, None, (), paid_at, paid_end, kind=CLIENT, clock="gateway")
        facts = {"path": "/charge", "method": "POST", "address": "pay.example:443"}
        self.traffic.outside.append(End(span, "gateway", "http", facts))
        sent_at = paid_end + self._takes(1)
        self._publish(trace, "gateway", "order.created", sent_at, ("billing", "mail"))
        end = sent_at + self._takes(4)
        root = TreeSpan(self._key(trace), None, (), at, end, kind=SERVER, clock="gateway")
        facts = {"path": "/orders", "method": "POST", "address": "shop:80"}
        self.traffic.entries.append(End(root, "gateway", "http", facts))
        self._later(end + self._takes(5), self._order)

    def _call(
        self, trace: str, client: str, server: str, protocol: str, facts: dict[str, str], at: int, ms: float
    ) -> int:  # fmt: skip
        begun = at + self._takes(0.6)
        done = begun + self._takes(ms)
        end = done + self._takes(0.4)
        key = self._key(trace)
        self.traffic.pairs.append(
            Pair(
                End(TreeSpan(key, None, (), at, end, kind=CLIENT, clock=client), client, protocol, facts),
                End(
                    TreeSpan(self._key(trace), key, (), begun, done, kind=SERVER, clock=server),
                    server, protocol, facts,
                ),
            )
        )  # fmt: skip
        return end

    def _publish(
        self, trace: str, service: str, key: str, at: int, queues: tuple[str, ...]
    ) -> None:
        span = TreeSpan(
            self._key(trace), None, (), at, at + self._takes(2), kind=PRODUCER, clock=service
        )
        facts = {"exchange": "shop", "routing_key": key}
        shared: frozenset[str] = frozenset()
        if self._ids:
            facts |= {"message_id": span.key.span_id}
            shared = frozenset({f"message_id={span.key.span_id}"})
        cause = End(span, service, "amqp", facts, shared=shared)
        for queue in queues:
            self._later(at + self._takes(1.5), self._arrival(trace, cause, queue))

    def _arrival(self, trace: str, cause: End, queue: str) -> Callable[[int], None]:
        def handle(at: int) -> int:
            key = self._key(trace)
            end = at + self._takes(6)
            if queue == "billing":
                called = at + self._takes(1)
                customer = f"/customers/{self.random.randrange(40)}"
                facts = {"path": customer, "method": "GET", "address": "shop:80"}
                end = self._call(trace, "billing", "gateway", "http", facts, called, 4)
                self._publish(trace, "billing", "order.paid", end, ("shipping",))
                end += self._takes(3)
            span = TreeSpan(
                key, cause.span.key, (), at, end, kind=CONSUMER, clock=queue, received_ns=at
            )
            facts = dict(cause.facts)
            self.traffic.pairs.append(
                Pair(cause, End(span, queue, "amqp", facts, f"{queue}.in", cause.shared))
            )
            return end

        def arrived(at: int) -> None:
            self._waiting[queue].append(handle)
            self._serve(queue, at)

        return arrived

    def _serve(self, queue: str, at: int) -> None:
        if self._busy[queue] > at or not self._waiting[queue]:
            return
        done = self._waiting[queue].popleft()(at)
        self._busy[queue] = done
        self._later(done, lambda now: self._serve(queue, now))


def shop_traffic(orders: int, concurrency: int, *, seed: int = 1, ids: bool = False) -> Traffic:
    """``orders`` orders of a shop: HTTP in, gRPC and a silent payment service within, two queues at
    one exchange, a call back and a third queue behind the first. ``ids``: messages bear one."""
    return _Shop(seed, orders, concurrency, ids=ids).run()


@dataclass(frozen=True, slots=True)
class Broken:
    """What inferring is given, and what truly caused each end whose context is lost."""

    orphans: list[End]
    causes: list[End]
    known: list[Pair]
    truth: dict[SpanKey, SpanKey]


def broken(traffic: Traffic, share: float, *, unheard: float = 0.0, seed: int = 1) -> Broken:
    """``share`` of all calls and messages lose their context; of those the ``unheard`` share of the
    servers' and consumers' spans is lost as well."""
    chance = random.Random(seed)
    orphans, known, truth = list(traffic.entries), list[Pair](), dict[SpanKey, SpanKey]()
    for pair in traffic.pairs:
        if chance.random() >= share:
            known.append(pair)
            continue
        key = pair.effect.span.key
        own = SpanKey(f"f{key.span_id}{key.trace_id[-15:]}", key.span_id)
        if chance.random() >= unheard:
            orphans.append(pair.effect._replace(span=pair.effect.span._replace(key=own)))
            truth[own] = pair.cause.span.key
    answered = {pair.cause.span.key for pair in known if pair.cause.span.kind == CLIENT}
    causes = {pair.cause.span.key: pair.cause for pair in traffic.pairs}
    free = [end for key, end in causes.items() if key not in answered]
    return Broken(orphans, [*free, *traffic.outside], known, truth)
