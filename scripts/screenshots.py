"""Makes the pictures of the README and the docs: every page and view, on the demo's own data.

python scripts/screenshots.py docs/images [NAME…]

Lossless WebP, a third of what PNG takes; needs Pillow (the dependency group ``docs``).
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, expect

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo_services.broker import running_broker
from demo_services.faults import Faults
from demo_services.run import running_collector, running_shop
from tests.support.browser import chromium, clean_page, dashboard

BEFORE: Final = 12
"""Orders before the range that the map is compared in."""
ORDERS: Final = 120
PACE_S: Final = 1 / 18
"""From order to order, about what billing can do: queues fill now and then, and do not only grow."""
SQL: Final = """SELECT queue, count(*) AS deliveries, count(DISTINCT message) AS messages,
  round(avg(handled_end - received) / 1e6, 1) AS mean_ms
FROM deliveries GROUP BY queue ORDER BY deliveries DESC"""


class Shot(NamedTuple):
    """A page by its path, and what is there once it has been drawn. ``dark``: that too."""

    path: str
    sign: str
    dark: bool = False


def shots(found: Mapping[str, Any]) -> dict[str, Shot]:
    """What is taken, by the picture's name."""
    trace, span, other = found["trace"], found["span"], found["other"]
    one = f"/trace/{trace}"
    queue = "/queue?name=billing.orders"
    return {
        "overview": Shot("/", "#tail tbody tr", dark=True),
        "map": Shot("/map", ".map .node", dark=True),
        "map-services": Shot("/map?level=service", ".map .node"),
        "map-node": Shot("/map?node=service:billing", "#drawer"),
        "map-compare": Shot(f"/map?{found['range']}&against=before", "#changes"),
        "traces": Shot("/traces", ".spread-plot .cell"),
        "traces-slow": Shot(f"/traces?picked={found['slow']}", "#distinction"),
        "trace": Shot(f"{one}?span={span}", ".wf-row.selected", dark=True),
        "trace-flame": Shot(f"{one}?view=flame", ".frame"),
        "trace-sequence": Shot(f"{one}?view=sequence", ".step"),
        "trace-table": Shot(f"{one}?view=table", "#sums tr"),
        "trace-messages": Shot(f"{one}?view=messages", "#trace-messages tr"),
        "compare": Shot(f"/traces/{other}/compare/{trace}", "#calls tr"),
        "findings": Shot("/findings", "#evidence"),
        "finding": Shot(f"/findings/{found['finding']}", "#evidence", dark=True),
        "queues": Shot("/queues", "#page tbody tr"),
        "queue-lanes": Shot(f"{queue}&view=lanes", "#order circle"),
        "queue-displacement": Shot(f"{queue}&view=displacement", "#order svg"),
        "queue-sequence": Shot(f"{queue}&view=sequence", "#order circle"),
        "queue-routes": Shot("/queue?name=shipping.orders&tab=routes", "#routes tbody tr"),
        "queue-coverage": Shot(f"{queue}&tab=coverage", "#coverage tbody tr"),
        "message": Shot(f"/message/{trace}-{span}", "#journey .delivery"),
        "sql": Shot(f"/sql?q={quote(SQL)}", "#answer td"),
        "settings": Shot("/settings", "#settings dl"),
    }


def main(target: Path, wanted: list[str]) -> None:
    """Runs the shop, then takes each page."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with (
            running_broker() as broker,
            broker.vhost() as url,
            running_collector(directory) as doors,
        ):
            with running_shop(
                broker, url, doors["otlp_http"], Faults.parse("all"), directory
            ) as shop:
                for number in range(1, BEFORE + 1):
                    shop.order(number)
                shop.drain()
                began_ns = time.time_ns()
                for number in range(BEFORE + 1, ORDERS + 1):
                    due = time.monotonic() + PACE_S
                    shop.order(number)
                    time.sleep(max(0.0, due - time.monotonic()))
                shop.drain()
                shop.stop()
            api = f"http://{doors['api']}"
            httpx.post(f"{api}/api/v1/detection/settle", timeout=60).raise_for_status()
            pages = shots(_what_there_is(api, began_ns))
            with chromium() as browser:
                with dashboard(doors["api"]) as ui:
                    for theme in ("light", "dark"):
                        some = {
                            name: shot
                            for name, shot in pages.items()
                            if (theme == "light" or shot.dark) and (not wanted or name in wanted)
                        }
                        _take(browser, ui, theme, some, target)
                if not wanted or "empty" in wanted:
                    _take_empty(browser, directory, target)


def _what_there_is(api: str, began_ns: int) -> dict[str, Any]:
    """Ids and ranges that the paths name."""

    def get(path: str, **params: Any) -> Any:
        return httpx.get(f"{api}/api/v1/{path}", params=params, timeout=60).json()["items"]

    found = get("findings")
    requeue = next(f for f in found if f["cause"] == "requeue")
    late = requeue["messages"][0]
    orders = get("traces", q='service=gateway operation="POST /orders"', limit=500)
    if not orders:
        orders = get("traces", limit=500)
    lengths = sorted(t["duration_ms"] for t in orders)
    slow_ns = int(lengths[len(lengths) * 9 // 10] * 1e6)
    return {
        "trace": late["trace_id"],
        "span": late["producer_span_id"],
        "other": next(t["trace_id"] for t in orders if t["trace_id"] != late["trace_id"]),
        "finding": requeue["id"],
        "slow": f"0~{2**62}~{slow_ns}~{2**62}",
        "range": f"start={_said(began_ns)}&end={_said(time.time_ns())}",
    }


def _said(ns: int) -> str:
    """As the dashboard itself writes a time into its address."""
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")  # fmt: skip


def _take(browser: Browser, ui: str, theme: str, pages: Mapping[str, Shot], target: Path) -> None:
    for name, shot in pages.items():
        # a page of its own: nothing of the one before can be mistaken for it
        with clean_page(browser, ui, theme=theme) as page:
            page.goto(shot.path)
            expect(page.locator(shot.sign).first).to_be_visible()
            _write(page, target / (f"{name}-dark" if theme == "dark" else name))


def _take_empty(browser: Browser, directory: Path, target: Path) -> None:
    """What somebody sees before anything was sent."""
    with (
        running_collector(directory, db=":memory:") as doors,
        dashboard(doors["api"]) as ui,
        clean_page(browser, ui, newcomer=True) as page,
    ):
        page.goto("/")
        expect(page.locator("#page pre").first).to_be_visible()
        _write(page, target / "empty")


def _write(page: Page, place: Path) -> None:
    page.wait_for_timeout(400)  # fonts and the first layout
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").save(
            place.with_suffix(".webp"), lossless=True, quality=100, method=6
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
