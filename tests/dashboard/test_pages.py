"""Every page on recorded data, in both themes, clean."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import clean_page, dashboard
from tests.support.collector import running_collector

pytestmark = pytest.mark.browser


def test_an_empty_dashboard_teaches_and_a_collector_that_leaves_and_returns_is_survived(
    browser: Browser,
) -> None:
    with running_collector() as first:
        port = first.api
        with dashboard(first.api) as url, clean_page(browser, url) as page:
            page.goto("/")
            expect(page.get_by_test_id("empty")).to_contain_text("import strayline.auto")
            for path, said in (
                ("/queues", "No queue yet"),
                ("/findings", "Nothing is judged yet"),
                ("/map", "No calls yet"),
            ):
                page.goto(path)
                expect(page.get_by_role("heading", name=said)).to_be_visible()
            page.goto("/")
            expect(page.get_by_test_id("empty")).to_be_visible()
            first.terminate()
            expect(page.locator("#connection")).to_contain_text("away", timeout=15_000)
            with running_collector(api=port):
                expect(page.locator("#connection")).to_contain_text("Connected", timeout=15_000)
