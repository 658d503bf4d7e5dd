"""How long pages take in a browser: a trace of 10,000 and of 100,000 spans, scrolling, a map of 150
nodes; what script the first page needs, and the memory of the dashboard's process. Beside the time on
the clock stands the CPU time of the page's main thread and of the collector, which other work on the
machine changes less.

python tests/bench/dashboard.py
"""

from __future__ import annotations

import gzip
import os
import random
import statistics
import sys
from pathlib import Path
from typing import Final, NamedTuple

import httpx
from playwright.sync_api import Browser, CDPSession, Page, Response

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.trace import CHUNK, TRACE, request
from tests.support.browser import chromium, dashboard, until
from tests.support.collector import RunningCollector, running_collector
from tests.support.story import CLIENT, SERVER, Told, send_all

ROUNDS: Final = 5
NODES: Final = 150
FRAMES: Final = 150

# the moment at which what is wanted is on the screen: two frames after it is in the document
_WATCH: Final = """
window.shown = null;
addEventListener("DOMContentLoaded", () => {
  const look = () => {
    if (document.querySelectorAll("SIGN").length < COUNT) return requestAnimationFrame(look);
    requestAnimationFrame(() => requestAnimationFrame(() => { window.shown = performance.now(); }));
  };
  look();
});
"""
_SCROLL: Final = """
frames => new Promise(done => {
  const list = document.querySelector(".wf-rows"), times = [];
  let before = performance.now();
  const step = now => {
    times.push(now - before);
    before = now;
    list.scrollTop += 3 * 26;
    if (times.length > frames) done(times.slice(1)); else requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})
"""


def shown(browser: Browser, url: str, path: str, sign: str, count: int) -> Opened:
    """A fresh page, nothing cached, once ``count`` of ``sign`` are on the screen."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.add_init_script(_WATCH.replace("SIGN", sign).replace("COUNT", str(count)))
    page.goto(f"{url}{path}", wait_until="commit")
    until(page, "window.shown !== null", seconds=60)
    return Opened(page, session)


class Opened(NamedTuple):
    page: Page
    session: CDPSession

    def cpu_ms(self) -> float:
        """Of the page's main thread, since the navigation."""
        metrics = self.session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(m["value"] for m in metrics if m["name"] == "TaskDuration")


def opened(
    collector: RunningCollector, browser: Browser, url: str, what: str, path: str, sign: str, count: int
) -> None:  # fmt: skip
    """Prints how long a page takes from the beginning of its navigation."""
    times: list[float] = []
    page_ms: list[float] = []
    collector_ms: list[float] = []
    for _ in range(ROUNDS):
        before = cpu_ms(collector.process.pid)
        one = shown(browser, url, path, sign, count)
        times.append(one.page.evaluate("window.shown"))
        page_ms.append(one.cpu_ms())
        collector_ms.append(cpu_ms(collector.process.pid) - before)
        one.page.context.close()
    print(
        f"{what}: {statistics.median(times):.0f} ms (best {min(times):.0f}, worst {max(times):.0f}); CPU "
        f"{statistics.median(page_ms):.0f} ms in the page, {statistics.median(collector_ms):.0f} ms in the collector"
    )


def scrolled(browser: Browser, url: str, what: str, path: str) -> None:
    """Prints how long frames take while the waterfall moves by three rows in each."""
    one = shown(browser, url, path, ".wf-row", 20)
    before = one.cpu_ms()
    times: list[float] = one.page.evaluate(_SCROLL, FRAMES)
    each = (one.cpu_ms() - before) / FRAMES
    one.page.context.close()
    worst = statistics.quantiles(times, n=20)[-1]
    print(f"{what}: p95 {worst:.0f} ms, median {statistics.median(times):.0f} ms; CPU {each:.1f} ms a frame")  # fmt: skip


def cpu_ms(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def script_bytes(browser: Browser, url: str) -> int:
    """Script of the first page, gzip."""
    page = browser.new_page()
    bodies: list[Response] = []
    page.on("response", lambda r: bodies.append(r) if r.request.resource_type == "script" else None)
    page.goto(url, wait_until="load")
    page.locator("#nav a").first.wait_for()
    total = sum(len(gzip.compress(body.body(), 6)) for body in bodies)
    page.context.close()
    return total


def resident_mb() -> float:
    """Of the dashboard's process, a child of this one."""
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
            status = (entry / "status").read_text()
        except (OSError, ValueError):
            continue
        if b"strayline_dashboard" in command and f"PPid:\t{os.getpid()}\n" in status:
            line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
            return int(line.split()[1]) / 1024
    raise AssertionError("no dashboard runs")


def load_trace(collector: RunningCollector, spans: int) -> None:
    rng, open_spans = random.Random(7), list[tuple[int, int]]()
    with httpx.Client(timeout=120) as client:
        for first in range(1, spans + 1, CHUNK):
            body = request(first, min(first + CHUNK, spans + 1), rng, open_spans)
            client.post(
                f"http://{collector.otlp_http}/v1/traces",
                content=body,
                headers={"content-type": "application/x-protobuf"},
            ).raise_for_status()
    collector.settle()


def load_graph(collector: RunningCollector) -> None:
    """150 services, each calling the two that come at twice its number."""
    stories: dict[int, list[Told]] = {}
    for node in range(NODES):
        spans = [Told("root", f"service-{node}", SERVER, 0, 100)]
        for way, target in enumerate((2 * node + 1, 2 * node + 2)):
            if target < NODES:
                http: dict[str, str | int] = {"http.request.method": "GET"}
                spans.append(
                    Told(f"c{way}", f"service-{node}", CLIENT, 10, 50, "root", attributes=http)
                )
                spans.append(
                    Told(f"s{way}", f"service-{target}", SERVER, 12, 48, f"c{way}", attributes=http)
                )
        stories[node] = spans
    send_all(collector.otlp_http, stories)
    collector.settle()


def main() -> None:
    path = f"/trace/{TRACE.hex()}"
    with chromium() as browser:
        for spans in (10_000, 100_000):
            with running_collector() as collector:
                load_trace(collector, spans)
                with dashboard(collector.api) as url:
                    opened(collector, browser, url, f"{spans:,} spans", path, ".wf-row", 20)
                    scrolled(browser, url, f"{spans:,} spans, frames while scrolling", path)
                    print(f"dashboard's process: {resident_mb():.0f} MB")
        with running_collector() as collector:
            load_graph(collector)
            with dashboard(collector.api) as url:
                opened(collector, browser, url, f"map of {NODES} nodes", "/map?level=service", "svg .node", NODES)  # fmt: skip
                print(f"script of the first page: {script_bytes(browser, url) / 1024:.0f} KiB gzip")
                print(f"dashboard's process: {resident_mb():.0f} MB")


if __name__ == "__main__":
    main()
