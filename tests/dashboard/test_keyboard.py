"""The whole way by keyboard alone: every page is reached, and used, without a mouse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import clean_page, until

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, ui: str) -> Iterator[Page]:
    with clean_page(browser, ui) as found:
        yield found


def tab_to(page: Page, selector: str, *, most: int = 90) -> None:
    """Tab, until what is wanted has the focus, and shows that it has."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"not reached with {most} times Tab: {selector}")


def go(page: Page, letter: str, name: str) -> None:
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press(letter)
    expect(page.locator(f"#page[data-page={name}]")).to_be_visible()


def test_from_the_overview_to_a_line_of_evidence(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#newest-findings a").first).to_be_visible()
    tab_to(page, "#newest-findings a[data-finding]")
    page.keyboard.press("Enter")
    expect(page.locator("#messages tbody tr").first).to_be_visible()
    tab_to(page, "#messages tbody a")
    page.keyboard.press("Enter")
    expect(page.locator("#journey .delivery").first).to_be_visible()
    tab_to(page, "#journey .delivery a")
    page.keyboard.press("Enter")
    expect(page.locator(".wf-row.selected")).to_be_visible()
    tab_to(page, "#span-sql")
    page.keyboard.press("Enter")
    expect(page.locator("#answer td").first).to_be_visible()
    go(page, "o", "overview")
    tab_to(page, "#tail tbody a")
    page.keyboard.press("Enter")
    expect(page.locator(".wf-row").first).to_be_visible()


def test_the_map_its_drawer_and_its_ways_on(page: Page) -> None:
    page.goto("/map")
    expect(page.locator(".map .node").first).to_be_visible()
    tab_to(page, ".map .node[data-id^='queue:']")
    page.keyboard.press("Enter")
    expect(page.locator("#drawer")).to_be_visible()
    tab_to(page, "#drawer .ways a")
    page.keyboard.press("Enter")
    expect(page.locator("#order")).to_be_visible()


def test_traces_and_two_of_them_beside_one_another(page: Page) -> None:
    page.goto("/traces")
    expect(page.locator("#traces tbody tr").first).to_be_visible()
    for key in "jxjx":
        page.keyboard.press(key)
    page.keyboard.press("c")
    expect(page.locator("#calls tbody tr").first).to_be_visible()
    first = page.locator("#page h2").first.inner_text()
    tab_to(page, "#swap")
    page.keyboard.press("Enter")
    # the address changes before the page does, and what had the focus goes with the old page
    expect(page.locator("#page h2").first).not_to_have_text(first)
    tab_to(page, "#calls a")
    page.keyboard.press("Enter")
    expect(page.locator(".wf-row.selected")).to_be_visible()


def test_queues_one_of_them_and_a_late_message_of_it(page: Page) -> None:
    page.goto("/queues")
    expect(page.locator("#page tbody tr").first).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("billing.orders")
    expect(page.locator("#page tbody tr")).to_have_count(1)
    tab_to(page, "#page th .sort")
    page.keyboard.press("Enter")
    expect(page.locator("#page tbody tr")).to_have_count(1)
    tab_to(page, "#page tbody a")
    page.keyboard.press("Enter")
    expect(page.locator("#order")).to_be_visible()
    for key, sign in (("2", "#routes"), ("3", "#coverage"), ("1", "#order")):
        page.keyboard.press(key)
        expect(page.locator(sign)).to_be_visible()
    page.keyboard.press("l")
    page.keyboard.press("Enter")
    expect(page.locator("#journey .delivery").first).to_be_visible()
    tab_to(page, "#message-sql")
    page.keyboard.press("Enter")
    expect(page.locator("#answer td").first).to_be_visible()


def test_sql_settings_and_documentation(page: Page) -> None:
    page.goto("/sql")
    expect(page.locator("#sql")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.press("Control+a")
    page.keyboard.type("SELECT 6 * 7 AS answer")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#answer tbody td")).to_have_text("42")
    go(page, "e", "settings")
    tab_to(page, "#settings")
    page.keyboard.press("End")
    until(page, "document.querySelector('#settings').scrollTop > 0")
    go(page, "f", "findings")
    page.keyboard.press("e")
    expect(page.locator(".docs h1")).to_be_visible()
    tab_to(page, ".docs.scroll")
    page.keyboard.press("PageDown")
    until(page, "document.querySelector('.docs').scrollTop > 0")


def test_panes_are_resized_with_arrows(page: Page) -> None:
    page.goto("/traces")
    expect(page.locator("#traces tbody tr").first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".wf-row").first).to_be_visible()
    side = "document.querySelector('.trace > .side').getBoundingClientRect().width"
    before = page.evaluate(side)
    tab_to(page, ".grip.between")
    page.keyboard.press("ArrowLeft")
    until(page, f"{side} === {before + 16}")
    page.reload()
    expect(page.locator(".wf-row").first).to_be_visible()
    assert page.evaluate(side) == before + 16
