"""How often the lost cause of a span is guessed right, and what a probability is worth.

    python -m tests.bench.infer [CONCURRENCY ...]

Three kinds of traffic: the demo with that many customers at once, on a real broker; a recording whose
traces are laid over one another, so that so many are under way on average; and a simulated shop with
queues and that many customers. All or a third of the contexts between processes are cut, with and
without message ids (and stamps). Informative, never a test.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from demo_services.broker import running_broker
from demo_services.faults import Faults
from demo_services.run import running_collector, running_shop
from strayline_collector.decode.otlp import decode
from strayline_collector.query.infer import read_ends
from strayline_collector.trace.infer import Proposal, infer
from strayline_collector.trace.stitch import SpanKey
from tests.support.broken import broken, shop_traffic
from tests.support.cut import RECEIVED_NS, Span, cut, overlaid, recorded, stored

ORDERS = 400
DEMO_ORDERS = 150
"""Some 1,800 contexts: at most 2,000 orphans are looked at together."""
SHARES = (0.3, 1.0)


class Figures:
    """Guesses counted against the truth."""

    def __init__(self) -> None:
        self.right: Counter[int] = Counter()
        self.told: Counter[int] = Counter()

    def line(
        self, name: str, truth: Mapping[SpanKey, SpanKey], found: Iterable[Proposal], cpu_s: float
    ) -> None:
        right = told = 0
        for one in found:
            at = min(9, int(one.probability * 10))
            good = truth.get(one.child) == one.parent
            self.told[at] += 1
            self.right[at] += good
            right, told = right + good, told + 1
        print(
            f"{name:52}{len(truth):>6}{right / len(truth):>10.3f}{right / max(told, 1):>10.3f}{cpu_s:>8.2f}"
        )

    def calibration(self) -> None:
        print("probability told  guesses  right")
        for at in sorted(self.told):
            print(f"  {at / 10:.1f} to {(at + 1) / 10:.1f}  {self.told[at]:>12}  {self.right[at] / self.told[at]:.2f}")  # fmt: skip


def demo(concurrency: int) -> list[Span]:
    """Every span of the demo's services with so many customers at once, each of whom waits for an answer."""
    with (
        tempfile.TemporaryDirectory() as name,
        running_broker() as broker,
        broker.vhost() as amqp_url,
        running_collector(Path(name)) as doors,
    ):
        healthy = Faults.parse("none")
        with running_shop(broker, amqp_url, doors["otlp_http"], healthy, Path(name)) as shop:
            with ThreadPoolExecutor(concurrency) as pool:
                list(pool.map(shop.order, range(1, DEMO_ORDERS + 1)))
            shop.drain()
        api = f"http://{doors['api']}/api/v1"
        httpx.post(f"{api}/detection/settle", timeout=300).raise_for_status()
        told = httpx.get(f"{api}/export", params={"format": "protobuf"}, timeout=300)
        return decode([told.raise_for_status().content], RECEIVED_NS).to_pylist()


def put_together(figures: Figures, name: str, spans: list[Span]) -> None:
    for ids in (True, False):
        for share in SHARES:
            given = cut(spans, share, ids=ids)
            store = stored(given.spans)
            starts = [span["start_ns"] for span in given.spans]
            began = time.process_time()
            with store.read() as session:
                ends = read_ends(session, min(starts), max(starts))
            found = infer(ends.orphans, ends.causes, ends.known)
            took = time.process_time() - began
            store.close()
            how = f"{name}, {share:.0%} cut, {'ids' if ids else 'no ids'}"
            # requests and replies over AMQP are told by ids and addresses: there is nothing to guess
            lost = {end.span.key for end in ends.orphans}
            truth = {child: cause for child, cause in given.causes.items() if child in lost}
            figures.line(how, truth, found, took)


def main(concurrencies: list[int]) -> None:
    figures = Figures()
    print(f"{'':52}{'lost':>6}{'accuracy':>10}{'precision':>10}{'CPU s':>8}")
    for concurrency in concurrencies:
        put_together(figures, f"demo, {concurrency} at once", demo(concurrency))
    spans = recorded("a_healthy_proto")
    for concurrency in concurrencies:
        put_together(figures, f"recording, {concurrency} at once", overlaid(spans, concurrency))
    for concurrency in concurrencies:
        for ids in (True, False):
            for share in SHARES:
                shop = broken(shop_traffic(ORDERS, concurrency, ids=ids), share)
                began = time.process_time()
                found = infer(shop.orphans, shop.causes, shop.known)
                took = time.process_time() - began
                name = f"shop, {concurrency} at once, {share:.0%} cut, {'ids' if ids else 'no ids'}"
                figures.line(name, shop.truth, found, took)
    figures.calibration()


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or [1, 4, 16, 64])
