"""What every page has: keys, palette, theme, zone, range of time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import clean_page
from tests.support.collector import RunningCollector

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, ui: str) -> Iterator[Page]:
    with clean_page(browser, ui) as found:
        yield found


def test_a_letter_after_g_goes_to_a_page(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#page[data-page=overview]")).to_be_visible()
    for letter, name in (("f", "findings"), ("q", "queues"), ("m", "map"), ("t", "traces")):
        page.keyboard.press("g")
        page.keyboard.press(letter)
        expect(page.locator(f"#page[data-page={name}]")).to_be_visible()


def test_help_lists_the_keys_of_the_page_and_escape_closes_it(page: Page) -> None:
    page.goto("/findings")
    expect(page.locator("#evidence")).to_be_visible()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_contain_text("Go to anything")
    expect(dialog).to_contain_text("Next finding")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_the_palette_finds_pages_queues_services_and_ids(
    page: Page, collector: RunningCollector
) -> None:
    message = collector.findings()[0]["messages"][0]
    page.goto("/")
    expect(page.locator("#page[data-page=overview]")).to_be_visible()
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Page, service")
    field.fill("billing.orders")
    expect(page.get_by_role("option", name="Queue billing.orders")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#page[data-page=queue]")).to_be_visible()
    for text, name in (
        (message["trace_id"], "trace"),
        (message["message_id"], "message"),
        ("settings", "settings"),
    ):
        page.keyboard.press("Control+k")
        field.fill(text)
        expect(page.locator("#palette-list [role=option]").first).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.locator("#palette")).to_have_count(0)
        if name != "settings":
            expect(page.locator(f"#page[data-page={name}]")).to_be_visible()


def test_theme_and_zone_are_chosen_once_for_good(page: Page) -> None:
    page.goto("/findings")
    page.select_option("#theme", "dark")
    page.select_option("#zone", "local")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("#zone")).to_have_value("local")
    page.select_option("#theme", "auto")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_range_of_time_stands_in_the_url_and_goes_along(page: Page) -> None:
    page.goto("/traces")
    page.select_option("#range", "1h")
    expect(page).to_have_url("/traces?last=1h")
    page.locator("#nav a", has_text="Queues").click()
    expect(page).to_have_url("/queues?last=1h")
    page.select_option("#range", "own")
    page.locator("#range-start").fill("2026-01-02T03:04:05")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page).to_have_url("/queues?start=2026-01-02T03%3A04%3A05.000Z")
    page.select_option("#range", "")
    expect(page).to_have_url("/queues")
