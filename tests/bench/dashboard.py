"""How long pages take in a browser: a trace of 10,000 and of 100,000 spans, scrolling, a map of 150
nodes, a queue of a million messages and looking closer at it; what script the first page needs, and the
memory of the dashboard's process. Beside the time on the clock stands the CPU time of the page's main
thread and of the collector, which other work on the machine changes less. ``live``: 500 traces a second
for a minute, and whether page, dashboard and collector stay as quick as they were.

python tests/bench/dashboard.py [traces] [map] [queue] [live]
"""

from __future__ import annotations

import gzip
import random
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import httpx
from playwright.sync_api import Browser, CDPSession, Page, Response

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.bench.dashboard_live import child, cpu_ms, live, resident_mb
from tests.bench.judge import put
from tests.bench.trace import CHUNK, TRACE, request
from tests.support.browser import chromium, dashboard, until
from tests.support.collector import RunningCollector, running_collector
from tests.support.story import CLIENT, SERVER, Told, send_all

ROUNDS: Final = 5
NODES: Final = 150
MESSAGES: Final = 1_000_000
ZOOMS: Final = "wwwwwwwwdddaaassssssss"
"""Keys of the order view: closer until some thousands are left, along, back to the whole."""
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
_ZOOM: Final = """
key => new Promise(done => {
  const before = document.querySelector("#order"), began = performance.now();
  document.dispatchEvent(new KeyboardEvent("keydown", { key }));
  const look = () => {
    const now = document.querySelector("#order");
    if (!now || now === before || !now.querySelector("svg path, svg circle")) return requestAnimationFrame(look);
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
  };
  requestAnimationFrame(look);
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


def zoomed(collector: RunningCollector, browser: Browser, url: str) -> None:
    """Prints how long each look closer, along or wider takes, from the key to the picture."""
    one = shown(browser, url, "/queue?name=queue0", "#order circle.late", 20)
    before_ms, page_ms = cpu_ms(collector.process.pid), one.cpu_ms()
    times: list[float] = [one.page.evaluate(_ZOOM, key) for key in ZOOMS]
    page_ms = (one.cpu_ms() - page_ms) / len(times)
    collector_ms = (cpu_ms(collector.process.pid) - before_ms) / len(times)
    one.page.context.close()
    print(
        f"{len(times)} zooms: median {statistics.median(times):.0f} ms (worst {max(times):.0f}); CPU {page_ms:.0f} ms "
        f"in the page, {collector_ms:.0f} ms in the collector, each"
    )


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


def store_queue(path: Path) -> None:
    """A queue of a million messages, one of 503 given back and late, judged."""
    store = DuckDBStore.open(str(path))
    put(store, 1, 0, MESSAGES, queues=1, late_one_of=503)
    Runner(store).run()
    store.close()


def at_rest(collector: RunningCollector) -> None:
    """Until it has done nothing for six seconds: longer than the pause between its judgements."""
    calm, before = 0, cpu_ms(collector.process.pid)
    while calm < 6:
        time.sleep(1)
        now = cpu_ms(collector.process.pid)
        calm, before = (calm + 1 if now - before < 50 else 0), now


def traces(browser: Browser) -> None:
    path = f"/trace/{TRACE.hex()}"
    for spans in (10_000, 100_000):
        with running_collector() as collector:
            load_trace(collector, spans)
            with dashboard(collector.api) as url:
                opened(collector, browser, url, f"{spans:,} spans", path, ".wf-row", 20)
                scrolled(browser, url, f"{spans:,} spans, frames while scrolling", path)
                print(f"dashboard's process: {resident_mb(child()):.0f} MB")


def graph(browser: Browser) -> None:
    with running_collector() as collector:
        load_graph(collector)
        with dashboard(collector.api) as url:
            opened(collector, browser, url, f"map of {NODES} nodes", "/map?level=service", "svg .node", NODES)  # fmt: skip
            print(f"script of the first page: {script_bytes(browser, url) / 1024:.0f} KiB gzip")
            print(f"dashboard's process: {resident_mb(child()):.0f} MB")


def queue(browser: Browser) -> None:
    """The first look reads the file; what it arranges is kept while nothing new comes. What the collector
    judges anew at its start is waited for."""
    with TemporaryDirectory() as directory:
        store_queue(Path(directory, "queue.db"))
        with (
            running_collector(Path(directory, "queue.db")) as collector,
            dashboard(collector.api) as url,
        ):
            at_rest(collector)
            for view in ("displacement", "sequence", "lanes"):
                path = f"/queue?name=queue0&view={view}"
                what = f"queue of {MESSAGES:,} messages, {view}"
                opened(collector, browser, url, what, path, "#order circle.late", 20 if view != "lanes" else 1)  # fmt: skip
            zoomed(collector, browser, url)
            print(f"collector's process: {resident_mb(collector.process.pid):.0f} MB")


def main(wanted: list[str]) -> None:
    with chromium() as browser:
        for part in (traces, graph, queue, live):
            name = "map" if part is graph else part.__name__
            if not wanted or name in wanted:
                part(browser)


if __name__ == "__main__":
    main(sys.argv[1:])
