"""How long pages take in a browser: a trace of 10,000 and of 100,000 spans, scrolling, a map of 150
nodes; what script the first page needs, and the memory of the dashboard's process.

python tests/bench/dashboard.py
"""

from __future__ import annotations

import gzip
import os
import random
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
from playwright.sync_api import Browser, Page, Response

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


def shown(browser: Browser, url: str, path: str, sign: str, count: int) -> Page:
    """A fresh page, nothing cached, once ``count`` of ``sign`` are on the screen."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.add_init_script(_WATCH.replace("SIGN", sign).replace("COUNT", str(count)))
    page.goto(f"{url}{path}", wait_until="commit")
    until(page, "window.shown !== null", seconds=60)
    return page


def ready_ms(browser: Browser, url: str, path: str, sign: str, count: int) -> list[float]:
    """From the beginning of the navigation."""
    times: list[float] = []
    for _ in range(ROUNDS):
        page = shown(browser, url, path, sign, count)
        times.append(page.evaluate("window.shown"))
        page.context.close()
    return times


def scroll_ms(browser: Browser, url: str, path: str) -> list[float]:
    """How long each frame took while the waterfall was scrolled by three rows a frame."""
    page = shown(browser, url, path, ".wf-row", 20)
    times: list[float] = page.evaluate(_SCROLL, FRAMES)
    page.context.close()
    return times


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


def say(what: str, times: list[float], summary: Callable[[list[float]], float] = statistics.median) -> None:  # fmt: skip
    print(f"{what}: {summary(times):.0f} ms (best {min(times):.0f}, worst {max(times):.0f})")


def p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def main() -> None:
    path = f"/trace/{TRACE.hex()}"
    with chromium() as browser:
        for spans in (10_000, 100_000):
            with running_collector() as collector:
                load_trace(collector, spans)
                with dashboard(collector.api) as url:
                    say(f"{spans:,} spans, ready", ready_ms(browser, url, path, ".wf-row", 20))
                    say(f"{spans:,} spans, frame while scrolling, p95", scroll_ms(browser, url, path), p95)  # fmt: skip
                    print(f"dashboard's process: {resident_mb():.0f} MB")
        with running_collector() as collector:
            load_graph(collector)
            with dashboard(collector.api) as url:
                say(f"map of {NODES} nodes", ready_ms(browser, url, "/map?level=service", "svg .node", NODES))  # fmt: skip
                print(f"script of the first page: {script_bytes(browser, url) / 1024:.0f} KiB gzip")
                print(f"dashboard's process: {resident_mb():.0f} MB")


if __name__ == "__main__":
    main()
