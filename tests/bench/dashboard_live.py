"""500 traces a second for a minute beside an open dashboard: what the page, the dashboard's process and
the collector make of it. Part of ``python tests/bench/dashboard.py``."""

from __future__ import annotations

import multiprocessing
import os
import random
import statistics
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import dashboard, until
from tests.support.collector import running_collector
from tests.support.story import CLIENT, CONSUMER, PRODUCER, SERVER

SECONDS: Final = 60
TRACES_PER_S: Final = 500
BATCHES_PER_S: Final = 10
_AMQP: Final = {"messaging.system": "rabbitmq", "messaging.destination.name": "orders"}
_SPANS: Final = (
    ("gateway", SERVER, "POST /orders", None, 0, 20, {"http.request.method": "POST", "http.route": "/orders"}),
    ("gateway", CLIENT, "POST", 0, 2, 14, {"http.request.method": "POST", "server.address": "orders"}),
    ("orders", SERVER, "POST /orders", 1, 3, 13, {"http.request.method": "POST", "http.route": "/orders"}),
    ("orders", PRODUCER, "send orders", 2, 8, 9, {**_AMQP, "messaging.operation.type": "send"}),
    ("billing", CONSUMER, "process orders", 3, 40, 60, {**_AMQP, "messaging.operation.type": "process"}),
)  # fmt: skip
"""Service, kind, name, the cause's place, start and end in ms, attributes; one order in fifty fails."""
_WATCH: Final = """() => {
  const seen = window.seen = { frames: [], tasks: [], moved: 0 };
  let before = performance.now();
  const step = now => { seen.frames.push(now - before); before = now; requestAnimationFrame(step); };
  requestAnimationFrame(step);
  new PerformanceObserver(list => seen.tasks.push(...list.getEntries().map(e => e.duration))).observe({ entryTypes: ["longtask"] });
}"""


def live(browser: Browser) -> None:
    """Prints what a minute of it costs, the list running, paused, and looked at by a pointer."""
    with running_collector() as collector, dashboard(collector.api) as url:
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        sender = multiprocessing.Process(target=send, args=(collector.otlp_http, SECONDS + 15))
        sender.start()
        page.goto(url)
        expect(page.locator("#tail tbody tr").first).to_be_visible(timeout=20_000)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        watched = {
            "collector": collector.process.pid,
            "dashboard": child(),
            "sender": sender.pid or 0,
        }
        before = {name: cpu_ms(pid) for name, pid in watched.items()}
        page_ms = _task_ms(session)
        page.evaluate(_WATCH)
        asked = Asked(url, collector.api)
        began, spans = time.monotonic(), collector.get("/api/v1/status")["spans"]
        counted = _walk(page, began)
        took = time.monotonic() - began
        asked.end()
        spans = collector.get("/api/v1/status")["spans"] - spans
        seen = page.evaluate("seen")
        page_ms = _task_ms(session) - page_ms
        spent = {name: cpu_ms(pid) - before[name] for name, pid in watched.items()}
        print(
            f"live: {spans / len(_SPANS) / took:.0f} traces/s of {len(_SPANS)} spans for {took:.0f} s; {counted}"
        )
        print(
            f"  frames: {_told(seen['frames'])}; {len(seen['tasks'])} tasks of 50 ms and more, {_told(seen['tasks'])}"
        )
        print(f"  dashboard's answers to a file, every 100 ms: {_told(asked.dashboard)}")
        print(f"  collector's answers to a health check, every 100 ms: {_told(asked.collector)}")
        shares = ", ".join(f"{name} {ms / took / 10:.0f} %" for name, ms in spent.items())
        print(f"  CPU of a core: page {page_ms / took / 10:.0f} %, {shares}; dashboard {resident_mb(watched['dashboard']):.0f} MB, collector {resident_mb(watched['collector']):.0f} MB")  # fmt: skip
        page.context.close()
        sender.terminate()
        sender.join()


def _walk(page: Page, began: float) -> str:
    """A third of the time the list runs, a third it is paused, a third the pointer is in it."""
    third = SECONDS / 3 * 1000
    news = page.locator("#tail").locator("xpath=..").get_by_role("button", name="new traces, show")
    page.wait_for_timeout(third)
    page.keyboard.press("p")
    until(page, "document.querySelector('[aria-pressed=true]') !== null")
    first = _first(page)
    page.wait_for_timeout(third)
    paused, still = news.inner_text(), _first(page) == first
    page.keyboard.press("p")
    until(page, f"document.querySelector('#tail tbody tr a').href !== {first!r}")
    page.locator("#tail tbody tr").nth(3).hover()
    first = _first(page)
    page.wait_for_timeout(max(0.0, began * 1000 + 3 * third - time.monotonic() * 1000))
    moved = "stood still" if still and _first(page) == first else "MOVED"
    return f"paused for {third / 1000:.0f} s: {paused!r}; under the pointer: {news.inner_text()!r}; the list {moved}"


def _first(page: Page) -> str:
    return page.evaluate("document.querySelector('#tail tbody tr a').href")


class Asked:
    """How long small questions take meanwhile, in ms: what an event loop's delay does to others."""

    def __init__(self, dashboard: str, collector: str) -> None:
        self.dashboard: list[float] = []
        self.collector: list[float] = []
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(f"{dashboard}/assets/favicon.svg", self.dashboard)),
            threading.Thread(target=self._ask, args=(f"http://{collector}/health", self.collector)),
        ]  # fmt: skip
        for thread in self._threads:
            thread.start()

    def _ask(self, address: str, times: list[float]) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._over.is_set():
                began = time.perf_counter()
                client.get(address).raise_for_status()
                times.append(1000 * (time.perf_counter() - began))
                self._over.wait(0.1)

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def send(address: str, seconds: float) -> None:
    """So many traces as they would come: ten requests a second, times of now."""
    rng, end, due = random.Random(11), time.monotonic() + seconds, time.monotonic()
    with httpx.Client(timeout=30) as client:
        while time.monotonic() < end:
            body = request(TRACES_PER_S // BATCHES_PER_S, rng)
            client.post(
                f"http://{address}/v1/traces",
                content=body,
                headers={"content-type": "application/x-protobuf"},
            ).raise_for_status()
            due += 1 / BATCHES_PER_S
            time.sleep(max(0.0, due - time.monotonic()))


def request(traces: int, rng: random.Random) -> bytes:
    """Orders placed within the last tenth of a second."""
    found = ExportTraceServiceRequest()
    scopes = {}
    for service in dict.fromkeys(told[0] for told in _SPANS):
        group = found.resource_spans.add()
        group.resource.attributes.add(key="service.name").value.string_value = service
        group.resource.attributes.add(key="host.name").value.string_value = f"{service}-1"
        scopes[service] = group.scope_spans.add()
    now = time.time_ns()
    for number in range(traces):
        trace, ids = rng.randbytes(16), [rng.randbytes(8) for _ in _SPANS]
        at, failed = now - 100_000_000 + number * 100_000_000 // traces, rng.random() < 0.02
        for own, (service, kind, name, cause, start, stop, attributes) in zip(ids, _SPANS, strict=True):  # fmt: skip
            span = scopes[service].spans.add(
                trace_id=trace,
                span_id=own,
                parent_span_id=b"" if cause is None else ids[cause],
                kind=kind,
                name=name,
                start_time_unix_nano=at + start * 1_000_000,
                end_time_unix_nano=at + stop * 1_000_000 + rng.randrange(5_000_000),
            )
            if failed and kind == SERVER:
                span.status.code = 2
            for key, value in attributes.items():
                span.attributes.add(key=key).value.string_value = value
    return found.SerializeToString()


def cpu_ms(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def child() -> int:
    """The dashboard's process, a child of this one."""
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
            status = (entry / "status").read_text()
        except (OSError, ValueError):
            continue
        if b"strayline_dashboard" in command and f"PPid:\t{os.getpid()}\n" in status:
            return int(entry.name)
    raise AssertionError("no dashboard runs")


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _task_ms(session: object) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]  # type: ignore[attr-defined]
    return 1000 * next(m["value"] for m in metrics if m["name"] == "TaskDuration")


def _told(times: Sequence[float]) -> str:
    if len(times) < 2:
        return f"{sum(times):.0f} ms"
    cuts = statistics.quantiles(times, n=100)
    return (
        f"median {cuts[49]:.1f} ms, p95 {cuts[94]:.1f}, p99 {cuts[98]:.1f}, most {max(times):.0f}"
    )
