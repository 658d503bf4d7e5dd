"""How long the API takes to tell one trace of many spans, stitched and alone.

python tests/bench/trace.py [SPANS]
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from tests.support.collector import running_collector

START_NS = 1_795_000_000_000_000_000
TRACE = bytes.fromhex("000000000000000000000000deadbeef")
SERVICES = 12
CHUNK = 2000
ROUNDS = 7


def span_number(number: int) -> bytes:
    return number.to_bytes(8, "big")


def request(first: int, last: int, rng: random.Random, open_spans: list[tuple[int, int]]) -> bytes:
    """Spans ``first`` to ``last`` of one trace: each within one of 50 that are open."""
    found = ExportTraceServiceRequest()
    scopes = []
    for service in range(SERVICES):
        group = found.resource_spans.add()
        for key, value in (("service.name", f"service-{service}"), ("host.name", f"h{service}")):
            group.resource.attributes.add(key=key).value.string_value = value
        scopes.append(group.scope_spans.add())
    for number in range(first, last):
        start_ns = START_NS + number * 10_000
        open_spans[1:] = [span for span in open_spans[1:] if span[1] > start_ns]
        parent, until_ns = rng.choice(open_spans) if open_spans else (None, START_NS + 10**10)
        span = scopes[number % SERVICES].spans.add(
            name=f"operation {number % 40}",
            kind=number % 5 + 1,
            trace_id=TRACE,
            span_id=span_number(number),
            parent_span_id=span_number(parent) if parent else b"",
            start_time_unix_nano=start_ns,
            end_time_unix_nano=until_ns if parent is None else rng.randint(start_ns, until_ns),
        )
        open_spans.append((number, span.end_time_unix_nano))
        if len(open_spans) > 50:
            open_spans.pop(rng.randrange(1, 50))
        for index in range(8):
            item = span.attributes.add(key=f"attribute.number.{index}").value
            if index % 2:
                item.int_value = number
            else:
                item.string_value = f"value {number % 100}"
    return found.SerializeToString()


def main(spans: int) -> None:
    rng, open_spans = random.Random(7), list[tuple[int, int]]()
    with running_collector() as collector, httpx.Client(timeout=120) as client:
        for first in range(1, spans + 1, CHUNK):
            body = request(first, min(first + CHUNK, spans + 1), rng, open_spans)
            answer = client.post(
                f"http://{collector.otlp_http}/v1/traces",
                content=body,
                headers={"content-type": "application/x-protobuf"},
            )
            assert answer.status_code == 200, answer.text
        collector.settle()
        for stitch in ("false", "true"):
            took: list[float] = []
            size = 0
            for _ in range(ROUNDS):
                began = time.perf_counter()
                answer = client.get(
                    f"http://{collector.api}/api/v1/traces/{TRACE.hex()}", params={"stitch": stitch}
                )
                took.append(time.perf_counter() - began)
                assert answer.status_code == 200, answer.text
                size = len(answer.content)
            print(
                f"{spans:,} spans, stitch={stitch}: median {statistics.median(took):.2f} s, "
                f"best {min(took):.2f} s, {size / 1e6:.1f} MB"
            )
            assert len(answer.json()["spans"]) == spans
        for part in ("spans", "critical_path"):
            took = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                answer = client.get(
                    f"http://{collector.api}/api/v1/traces/{TRACE.hex()}/{part}",
                    params={"stitch": "true", "limit": 200},
                )
                took.append(time.perf_counter() - began)
                assert answer.status_code == 200, answer.text
            print(
                f"{spans:,} spans, 200 of {part}: median {statistics.median(took):.2f} s, "
                f"best {min(took):.2f} s, {len(answer.content) / 1e6:.2f} MB"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
