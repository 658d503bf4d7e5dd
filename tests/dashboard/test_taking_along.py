"""What leaves a page: its link, ids and statements by the clipboard; any page as a picture, and on paper."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import clean_page
from tests.support.collector import RunningCollector
from tests.support.pages import every_page

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, ui: str) -> Iterator[Page]:
    with clean_page(browser, ui) as found:
        found.context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield found


PAINTED = (".wf-row.selected", "#messages tbody tr", "#order circle")
"""What is painted beside: with a canvas, a scrolled list, a drawing."""


def _copied(page: Page) -> str:
    return page.evaluate("() => navigator.clipboard.readText()")


def _take(page: Page, what: str) -> None:
    page.locator("#take summary").click()
    page.locator("#take").get_by_role("button", name=what, exact=True).click()


def test_every_page_is_taken_along_as_a_link_and_as_a_picture(
    page: Page, collector: RunningCollector
) -> None:
    for path, sign in every_page(collector):
        page.goto(path)
        expect(page.locator(sign).first).to_be_visible()
        _take(page, "Copy link")
        expect(page.locator("#said")).to_have_text("Copied")
        assert _copied(page) == page.url
        with page.expect_download() as svg:
            _take(page, "Save as SVG")
        text = svg.value.path().read_text("utf-8")
        assert text.startswith("<svg")
        assert "<script" not in text
        # nothing of it lies elsewhere: styles, fonts and pictures are in the file
        assert set(re.findall(r"url\(\"?([a-z]+):", text)) <= {"data"}
        heading = page.locator("#page h1, #page h2").first.inner_text()
        assert heading.split("\n")[0] in text
        if sign not in PAINTED:
            continue
        with page.expect_download() as png:
            _take(page, "Save as PNG")
        data = png.value.path().read_bytes()
        box = page.locator("#page").bounding_box()
        assert box is not None
        assert data.startswith(b"\x89PNG")
        assert struct.unpack(">II", data[16:24]) == (2 * box["width"], 2 * box["height"])
        assert len(data) > 20_000  # and it is not empty


def test_every_page_is_printed_whole_and_light(page: Page, collector: RunningCollector) -> None:
    page.emulate_media(color_scheme="dark")
    for path, sign in every_page(collector):
        page.emulate_media(media="screen")
        page.goto(path)
        expect(page.locator(sign).first).to_be_visible()
        page.emulate_media(media="print")
        expect(page.locator("#nav")).to_be_hidden()
        cut = page.evaluate(
            "() => [...document.querySelectorAll('#page .scroll, #page .side, #page .scroller')]"
            ".filter((p) => p.clientHeight && p.scrollHeight > p.clientHeight + 1).map((p) => p.className)"
        )
        assert cut == [], path
        expect(page.locator(sign).first).to_be_visible()
        box = page.locator("#page").bounding_box()
        assert box is not None
        assert box["width"] == 1440
        assert page.pdf().startswith(b"%PDF")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_ids_names_and_statements_are_copied(page: Page, collector: RunningCollector) -> None:
    finding = next(f for f in collector.findings() if f["cause"] == "requeue")
    late = finding["messages"][0]
    trace, span = late["trace_id"], late["producer_span_id"]
    for path, place, button, wanted in (
        (f"/trace/{trace}?span={span}", ".head", "Copy id", trace),
        (f"/trace/{trace}?span={span}", "#span", "Copy id", span),
        (f"/trace/{trace}?span={span}", "#span", "Copy SQL", span),
        (f"/findings/{finding['id']}", "#evidence", "Copy id", finding["id"]),
        (f"/findings/{finding['id']}", "#evidence", "Copy link", f"/findings/{finding['id']}"),
        (f"/findings/{finding['id']}", "#evidence", "Copy", finding["sql"]),
        (f"/message/{trace}-{span}", "#page", "Copy id", late["message_id"]),
        ("/queue?name=billing.orders", "#page", "Copy name", "billing.orders"),
        ("/map?node=service:billing", "#drawer", "Copy name", "billing"),
        ("/sql?q=SELECT 1", "#page", "Copy SQL", "SELECT 1"),
    ):
        page.goto(path)
        page.locator(place).get_by_role("button", name=button, exact=True).first.click()
        expect(page.get_by_role("button", name="Copied", exact=True)).to_be_visible()
        assert wanted in _copied(page), path


def test_the_statement_of_a_queue_shows_its_deliveries(page: Page) -> None:
    page.goto("/queue?name=billing.orders")
    page.locator("#queue-sql").click()
    expect(page.locator("#sql-count")).to_contain_text("200 rows")


def test_the_palette_takes_a_page_along_too(page: Page) -> None:
    page.goto("/queues")
    expect(page.locator("#page tbody tr").first).to_be_visible()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Page, service").fill("copy link")
    expect(page.get_by_role("option", name="This page Copy link")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_have_text("Copied")
    assert _copied(page) == page.url
