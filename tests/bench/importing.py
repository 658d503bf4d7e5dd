"""What ``import strayline.auto`` adds to a service that already has its libraries.

    python -m tests.bench.importing [--runs 9]

Each run is a process of its own that imports FastAPI, httpx, aio-pika and grpc, then strayline, and
makes one span, so that provider and exporter are there too. Figures are medians over the runs, with
bytecode warm. Memory is the growth of the resident set. Informative, never a test.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

LIBRARIES = "import fastapi, httpx, aio_pika, grpc"
MEASURE = """
import json, os, time
def rss_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
{before}
started, cpu, memory = time.perf_counter(), time.process_time(), rss_kib()
{after}
print(json.dumps([(time.perf_counter() - started) * 1e3, (time.process_time() - cpu) * 1e3,
                  (rss_kib() - memory) / 1024]))
"""
SPAN = "from strayline.provider import tracer; tracer('bench').start_span('one').end()"
VARIANTS = {
    "strayline.auto into the service": (LIBRARIES, "import strayline.auto"),
    "and the first span": (LIBRARIES, f"import strayline.auto; {SPAN}"),
    "strayline.auto into a bare Python": ("", "import strayline.auto"),
    "the OpenTelemetry API alone": (LIBRARIES, "import opentelemetry.trace"),
    "the OpenTelemetry SDK": (LIBRARIES, "import opentelemetry.sdk.trace.export"),
}


def measure(before: str, after: str, cache: str) -> list[float]:
    """Wall ms, CPU ms, MiB of one process."""
    environment = os.environ | {
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": cache,
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_BSP_SCHEDULE_DELAY": "60000",
    }
    program = MEASURE.format(before=before, after=after)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    figures: dict[str, list[list[float]]] = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(runs + 1):  # the first one compiles
            for name, (before, after) in VARIANTS.items():
                figures[name].append(measure(before, after, cache))
    print(f"{'median of ' + str(runs) + ' processes':36}{'wall ms':>9}{'CPU ms':>9}{'MiB':>8}")
    for name, all_runs in figures.items():
        wall, cpu, memory = (
            statistics.median(column) for column in zip(*all_runs[1:], strict=True)
        )
        print(f"{name:36}{wall:9.1f}{cpu:9.1f}{memory:8.1f}")


if __name__ == "__main__":
    main()
