"""How fast traffic is decoded, by either decoder, and recorded traffic loaded and judged; on one core.

    python -m tests.bench.ingest

Process CPU time, best of three rounds; figures as ratios to decoding alone. Informative, never a test.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial

from strayline_collector.decode import otlp_json, python
from strayline_collector.decode.otlp import DECODER, decode, examine, from_json
from strayline_collector.detect.runner import Runner
from strayline_collector.formats.otlp_json import protobuf_to_document
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.corpus import RECORDINGS, requests
from tests.support.generated import steady

ROUNDS = 3


def cpu(work: Callable[[], object]) -> float:
    """Least CPU seconds of this process over the rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def decoders() -> None:
    """The decoder in use beside the reference."""
    recorded = [body for name in RECORDINGS for body in requests(name)]
    made = [steady(seed=seed) for seed in range(10)]
    print(f"{'':40}{DECODER + ', µs':>14}{'python, µs':>12}{'ratio':>8}")
    for name, bodies in (("recorded", recorded), ("512 spans of 10 attributes", made)):
        spans = sum(examine(body).accepted for body in bodies)
        texts = [json.dumps(protobuf_to_document(python.parse(body))).encode() for body in bodies]
        works: list[
            tuple[str, list[bytes], Callable[[bytes], object], Callable[[bytes], object]]
        ] = [
            ("examine", bodies, examine, python.examine),
            ("JSON to protobuf", texts, from_json, otlp_json.from_json),
        ]
        pairs = [
            (what, cpu(partial(each, ours, items)), cpu(partial(each, reference, items)))
            for what, items, ours, reference in works
        ]
        pairs.append(
            ("decode", cpu(partial(decode, bodies, 1)), cpu(partial(python.decode, bodies, 1)))
        )
        for what, ours, reference in pairs:
            print(
                f"{what + ', ' + name:40}{ours / spans * 1e6:>14.2f}{reference / spans * 1e6:>12.2f}{reference / ours:>8.1f}"
            )
    print()


def each(work: Callable[[bytes], object], items: list[bytes]) -> None:
    for item in items:
        work(item)


def main() -> None:
    decoders()
    bodies = [body for name in RECORDINGS for body in requests(name)]
    spans = decode(bodies, 1).num_rows

    def decoding() -> None:
        decode(bodies, 1)

    def loading(batches: int) -> Callable[[], None]:
        def run() -> None:
            store = DuckDBStore.open(":memory:")
            size = -(-len(bodies) // batches)
            for number, start in enumerate(range(0, len(bodies), size), start=1):
                store.append(decode(bodies[start : start + size], 1), Position(1, number), 1)
            store.close()

        return run

    def judging() -> None:
        with judged.write() as session:
            session.execute("DELETE FROM meta WHERE key LIKE 'judged:%'")
        Runner(judged).settle()

    judged = DuckDBStore.open(":memory:")
    judged.append(decode(bodies, 1), Position(1, 1), 1)
    base = cpu(decoding)
    rows = [
        (f"decode ({DECODER})", base),
        ("decode, load and derive, one load", cpu(loading(1))),
        ("decode, load and derive, 20 loads", cpu(loading(20))),
        ("judge everything once", cpu(judging)),
    ]
    judged.close()
    print(f"{spans:,} spans of the recorded NestJS system\n")
    print(f"{'':40}{'µs a span':>10}{'spans/s/core':>14}{'ratio':>8}")
    for name, seconds in rows:
        print(
            f"{name:40}{seconds / spans * 1e6:>10.1f}{spans / seconds:>14,.0f}{seconds / base:>8.2f}"
        )


if __name__ == "__main__":
    main()
