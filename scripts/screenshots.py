"""Makes the pictures of the README and the docs: the demo's own data, both themes.

python scripts/screenshots.py docs/images
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo_services.broker import running_broker
from demo_services.faults import Faults
from demo_services.run import running_collector, running_shop
from tests.support.browser import chromium, clean_page, dashboard

ORDERS = 120


def main(target: Path) -> None:
    """Runs the shop, then takes each page in light and dark."""
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
                for number in range(1, ORDERS + 1):
                    shop.order(number)
                shop.drain()
                shop.stop()
            api = f"http://{doors['api']}"
            httpx.post(f"{api}/api/v1/detection/settle", timeout=60).raise_for_status()
            found = httpx.get(f"{api}/api/v1/findings", timeout=60).json()["items"]
            requeue = next(f for f in found if f["cause"] == "requeue")
            late = requeue["messages"][0]
            pages = {
                "overview": "/",
                "map": "/map",
                "services": "/map?level=service",
                "traces": "/traces?q=has:finding",
                "trace": f"/trace/{late['trace_id']}?span={late['producer_span_id']}",
                "findings": f"/findings/{requeue['id']}",
                "queues": "/queues",
                "lanes": "/queue?name=billing.orders&view=lanes",
                "displacement": "/queue?name=notifications.audit&view=displacement&basis=completion",
                "message": f"/message/{late['trace_id']}-{late['producer_span_id']}",
            }
            with dashboard(doors["api"]) as ui, chromium() as browser:
                for theme in ("light", "dark"):
                    with clean_page(browser, ui, theme=theme) as page:
                        for page_name, path in pages.items():
                            page.goto(path)
                            page.wait_for_selector("#page[data-page]")
                            page.wait_for_timeout(300)  # fonts and the first layout
                            page.screenshot(path=target / f"{page_name}-{theme}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
