"""The newcomer's path: start the demo, see the graph, open the finding, reach message, trace, span."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import httpx
import pytest
from playwright.sync_api import expect

from demo_services.processes import ROOT
from tests.support.browser import chromium, clean_page

pytestmark = [pytest.mark.browser, pytest.mark.broker]


@pytest.mark.timeout(300)
def test_from_the_first_command_to_the_line_of_evidence() -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "strayline_collector", "demo", "--orders", "45", "--ui", "127.0.0.1:0", "--api", "127.0.0.1:0"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env={**os.environ},
    )  # fmt: skip
    try:
        assert demo.stdout is not None
        ui = demo.stdout.readline().split()[-1]
        api = demo.stdout.readline().split()[-1]
        assert ui.startswith("http://")
        _wait_for_a_requeue(api)
        with chromium() as browser, clean_page(browser, ui) as page:
            page.goto("/")
            expect(page.locator("tbody tr").first).to_be_visible()
            page.get_by_role("link", name="Map", exact=True).click()
            for name in (
                "gateway",
                "orders",
                "orders.events",
                "billing.orders",
                "billing",
                "notify",
            ):
                expect(page.locator(f"svg .node:has-text('{name}')").first).to_be_visible()
            page.get_by_role("link", name="Findings", exact=True).click()
            page.locator("#list a", has_text="after a requeue").first.click()
            expect(page.locator("#evidence h1")).to_contain_text("billing.orders")
            expect(page.locator("#evidence")).to_contain_text("requeue")
            page.locator("#messages tbody tr", has_text="late").first.click()
            expect(page.locator("#journey")).to_contain_text(re.compile("nack requeue"))
            page.locator("#journey a").first.click()
            expect(page.locator(".wf-row.selected")).to_contain_text(
                "publish orders.events:order.created"
            )
            expect(page.locator("#span")).to_contain_text("strayline.stamp")
            page.get_by_role("link", name="Overview", exact=True).click()
            page.get_by_role("button", name="Run 20 orders").click()
            expect(page.locator("#said")).to_have_text("20 orders placed", timeout=30_000)
    finally:
        os.killpg(demo.pid, signal.SIGINT)
        _, err = demo.communicate(timeout=60)
    assert demo.returncode == 0, err
    assert "Traceback" not in err


def _wait_for_a_requeue(api: str) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        httpx.post(f"{api}/api/v1/detection/settle", timeout=60)
        found = httpx.get(
            f"{api}/api/v1/findings", params={"kind": "reordered"}, timeout=60
        ).json()["items"]
        if any(f["cause"] == "requeue" for f in found):
            return
        time.sleep(0.5)
    raise AssertionError("the demo produced no requeue in 90 s")
