"""What somebody sees first: an empty dashboard teaches, and the first page is light."""

from __future__ import annotations

import gzip
from urllib.parse import urlsplit

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
    sizes: dict[str, int] = {}
    with clean_page(browser, ui) as page:
        page.on(
            "response",
            lambda r: sizes.update({urlsplit(r.url).path: len(gzip.compress(r.body(), 6))}) if r.request.resource_type == "script" else None,
        )  # fmt: skip
        page.goto("/", wait_until="load")
        expect(page.locator("#tail tbody tr").first).to_be_visible()
    ours = [path for path in sizes if path.startswith("/assets/") and not path.endswith(".min.js")]
    assert ours == ["/assets/strayline.js"]
    assert len(sizes) > 5
    assert not any(word in path for path in sizes for word in ("polyfill", "dash_table"))
    assert sum(sizes.values()) < 600 * 1024
