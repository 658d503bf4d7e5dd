"""What each page shows while it waits, when it cannot answer, and while the collector is away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.browser import clean_page, dashboard
from tests.support.collector import RunningCollector, running_collector
from tests.support.pages import every_page

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, ui: str) -> Iterator[Page]:
    with clean_page(browser, ui) as found:
        yield found


def test_every_page_says_that_the_collector_is_away_comes_by_itself_and_stays_when_it_leaves(
    browser: Browser, tmp_path: Path
) -> None:
    with running_collector(tmp_path / "one.duckdb") as first:
        first.replay("d_reorder_nack")
        first.settle()
        port, pages = first.api, every_page(first)
        first.terminate()
    with dashboard(port) as url, ExitStack() as stack:
        opened = [(stack.enter_context(clean_page(browser, url)), sign) for _, sign in pages]
        for (page, _), (path, _) in zip(opened, pages, strict=True):
            page.goto(path)
            expect(page.get_by_role("alert").first).to_contain_text("does not answer")
            expect(page.locator("#connection")).to_contain_text("away")
        with running_collector(tmp_path / "one.duckdb", api=port) as again:
            for page, sign in opened:
                expect(page.locator(sign).first).to_be_visible(timeout=20_000)
                expect(page.locator("#connection")).to_contain_text("Connected")
            again.terminate()
            for page, sign in opened:
                expect(page.locator("#connection")).to_contain_text("away", timeout=20_000)
                expect(page.locator(sign).first).to_be_visible()


class Held:
    """What pages ask, sent on or kept waiting."""

    def __init__(self, page: Page) -> None:
        self.keeps = False
        self.kept: list[Route] = []
        page.route("**/_dash-update-component**", lambda route: self._came(route))

    def _came(self, route: Route) -> None:
        if self.keeps:
            self.kept.append(route)
        else:
            route.continue_()

    def release(self) -> None:
        self.keeps = False
        while self.kept:
            self.kept.pop().continue_()


def test_what_is_shown_stands_and_says_so_while_the_next_page_is_on_its_way(page: Page) -> None:
    held = Held(page)
    page.goto("/settings")
    expect(page.locator("#settings dl").first).to_be_visible()
    shell = page.locator("#shell")
    last = "settings"
    for name in ("overview", "map", "traces", "findings", "queues", "sql", "settings"):
        held.keeps = True
        page.locator(f"#nav a[data-name={name}]").click()
        expect(shell).to_have_attribute("data-loading", "true")
        for _ in range(500):
            if held.kept:
                break
            page.wait_for_timeout(20)
        assert held.kept
        expect(page.locator(f"#page[data-page={last}]")).to_be_visible()
        held.release()
        expect(page.locator(f"#page[data-page={name}]")).to_be_visible()
        expect(shell).not_to_have_attribute("data-loading", "true")
        last = name


WRONG = (
    ("/?last=abc", "expected a number and s, m, h or d"),
    ("/map?last=abc", "expected a number and s, m, h or d"),
    ("/traces?last=abc", "expected a number and s, m, h or d"),
    ("/queues?last=abc", "expected a number and s, m, h or d"),
    ("/queue?name=nowhere", "no delivery from it was seen"),
    ("/queue", "name"),
    ("/message/nonsense", "no message nonsense"),
    ("/findings?severity=grave", "severity"),
    ("/docs/nowhere", "no page nowhere"),
    ("/trace/nonsense", "32 hexadecimal digits"),
    ("/sql?q=SELECT nonsense", "nonsense"),
)


def test_what_cannot_be_shown_says_why(page: Page) -> None:
    for path, words in WRONG:
        page.goto(path)
        expect(page.get_by_role("alert").first).to_contain_text(words)


def test_an_answer_without_rows_says_so(page: Page) -> None:
    page.goto("/sql?q=SELECT 1 WHERE false")
    expect(page.locator("#sql-count")).to_contain_text("0 rows")
    page.goto("/findings?kind=lost")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()


def test_the_pages_are_those_of_the_navigation(collector: RunningCollector) -> None:
    """A page that is added is looked at here too."""
    from strayline_dashboard.pages import PAGES

    seen = {path.split("?")[0].split("/")[1] for path, _ in every_page(collector)}
    assert seen == {page.path for page in PAGES} - {"docs"}
