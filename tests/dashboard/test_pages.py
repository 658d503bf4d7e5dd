"""What somebody sees first: an empty dashboard teaches, and the first page is light."""

from __future__ import annotations

import gzip

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import clean_page, dashboard
from tests.support.collector import running_collector

pytestmark = pytest.mark.browser


def test_an_empty_dashboard_teaches(browser: Browser) -> None:
    with (
        running_collector() as nothing,
        dashboard(nothing.api) as url,
        clean_page(browser, url) as page,
    ):
        page.goto("/")
        expect(page.get_by_test_id("empty")).to_contain_text("import strayline.auto")
        for path, said in (
            ("/queues", "No queue yet"),
            ("/findings", "Nothing is judged yet"),
            ("/map", "No calls yet"),
            ("/traces", "No traces yet"),
        ):
            page.goto(path)
            expect(page.get_by_role("heading", name=said)).to_be_visible()


def test_the_first_page_needs_little_script(browser: Browser, ui: str) -> None:
    """As it is sent, zipped; the promise is 600 KiB."""
    sizes: list[int] = []
    with clean_page(browser, ui) as page:
        page.on(
            "response",
            lambda r: sizes.append(len(gzip.compress(r.body(), 6))) if r.request.resource_type == "script" else None,
        )  # fmt: skip
        page.goto("/", wait_until="load")
        expect(page.locator("#tail tbody tr").first).to_be_visible()
    assert len(sizes) > 5
    assert sum(sizes) < 600 * 1024
