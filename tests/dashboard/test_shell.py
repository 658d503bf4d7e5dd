"""What every page has: keys, palette, theme, zone, range of time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

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


def test_times_are_told_in_utc_or_in_the_readers_own_zone(
    browser: Browser, ui: str, collector: RunningCollector
) -> None:
    with clean_page(browser, ui, zone="Asia/Kathmandu") as page:
        page.goto(f"/findings/{collector.findings()[0]['id']}")
        seen = page.locator("#evidence dd", has_text=re.compile(r"^\d{4}-\d\d-\d\d \d\d:")).first
        utc = datetime.fromisoformat(seen.inner_text())
        page.select_option("#zone", "local")
        expect(seen).to_have_text(str(utc + timedelta(hours=5, minutes=45)))


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


def test_a_service_has_one_colour_whichever_page_is_opened_first(
    browser: Browser, ui: str, collector: RunningCollector
) -> None:
    """Each page in a tab of its own: on all of them other services come first."""
    trace = collector.get("/api/v1/traces", limit=1)["items"][0]["trace_id"]
    names = [item["name"] for item in collector.get("/api/v1/services/seen")["items"]]
    assert {item["name"] for item in collector.get("/api/v1/services")["items"]} == set(names)
    colours: list[list[str]] = []
    for path, sign in (("/", "#tail tr"), (f"/trace/{trace}", ".wf-row"), ("/map", ".map .node")):
        with clean_page(browser, ui) as page:
            page.goto(path)
            expect(page.locator(sign).first).to_be_visible()
            colours.append(page.evaluate("(names) => names.map(window.strayline.colour)", names))
    assert colours[0] == colours[1] == colours[2]
    assert len(set(colours[0])) == len(names)


def test_a_length_of_time_has_three_figures_and_one_unit(page: Page) -> None:
    page.goto("/")
    lengths = {0: "0 ns", 999_600: "1000 µs", 99_970_000: "100 ms", 9_996_000_000: "10.0 s", 119e9: "119 s", 1305e9: "21.8 min", 7e12: "117 min", 9e12: "2.50 h", 3e14: "3.47 d"}  # fmt: skip
    said = page.evaluate("(ns) => ns.map(window.strayline.duration)", list(lengths))
    assert said == list(lengths.values())
