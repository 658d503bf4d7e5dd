"""The list of traces in the browser: query line with completion and errors, chips, heatmap with what
tells a corner apart, pages, comparison."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.support.browser import clean_page, dashboard, until
from tests.support.collector import RunningCollector, running_collector
from tests.support.story import CLIENT, SERVER, Told, send_all, span_id, trace_id

pytestmark = pytest.mark.browser

TRACES = 130
SLOW = {n for n in range(TRACES) if n % 10 == 0}


def _trace(n: int) -> list[Told]:
    begin, length = n * 1000, 800 if n in SLOW else 10 + n % 4
    tier = "gold" if n in SLOW else "silver"
    return [
        Told("root", "web", SERVER, begin, begin + length, attributes={"tier": tier, "shop": "one"}),
        Told("call", "web" if n % 2 else "stock", CLIENT, begin + 1, begin + length - 1, "root", failed=n in SLOW),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def collector() -> Iterator[RunningCollector]:
    with running_collector() as running:
        more = Told("more", "web", CLIENT, 4002, 4008, "root")
        stories = {n + 1: _trace(n) for n in range(TRACES)} | {999: [*_trace(4), more]}
        send_all(running.otlp_http, stories)
        running.settle()
        yield running


@pytest.fixture(scope="module")
def ui(collector: RunningCollector) -> Iterator[str]:
    with dashboard(collector.api) as url:
        yield url


def test_a_query_is_completed_by_keyboard_and_kept_in_the_url(browser: Browser, ui: str) -> None:
    with clean_page(browser, ui) as page:
        page.goto("/traces")
        expect(page.locator("#traces tbody tr")).to_have_count(100)
        page.keyboard.press("/")
        page.keyboard.type("tie")
        expect(page.locator("#completions li").first).to_contain_text("tier")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(page.locator("#query")).to_have_value("tier=")
        expect(page.locator("#completions li", has_text="gold")).to_be_visible()
        page.keyboard.type("g")
        expect(page.locator("#completions li")).to_have_count(1)
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
        expect(page.locator("#query")).to_have_value("tier=gold ")
        page.keyboard.press("Enter")
        expect(page.locator("#traces tbody tr")).to_have_count(len(SLOW))
        assert "q=tier%3Dgold" in page.url
        # a chip a term: away with it, and Back brings it again
        page.locator("[aria-label='Remove tier=gold']").click()
        expect(page.locator("#traces tbody tr")).to_have_count(100)
        page.go_back()
        expect(page.locator("#traces tbody tr")).to_have_count(len(SLOW))
        expect(page.locator("#query")).to_have_value("tier=gold")


def test_a_line_that_cannot_be_read_says_where(browser: Browser, ui: str) -> None:
    with clean_page(browser, ui) as page:
        page.goto("/traces?q=tier=gold+duration>fast")
        expect(page.locator(".query-problem p")).to_contain_text("expected a duration")
        expect(page.locator(".query-problem mark")).to_have_text("f")
        page.locator("#query").fill("tier=gold")
        page.keyboard.press("Enter")
        expect(page.locator(".query-problem")).to_be_hidden()
        expect(page.locator("#traces tbody tr")).to_have_count(len(SLOW))


def test_chips_sort_and_pages(browser: Browser, ui: str) -> None:
    with clean_page(browser, ui) as page:
        page.goto("/traces")
        first = page.locator("#traces tbody tr").first
        expect(first).to_have_attribute("data-trace", trace_id("a", TRACES))
        page.locator("#next-page").click()
        expect(page.locator("#traces tbody tr")).to_have_count(TRACES + 1 - 100)
        page.locator("#first-page").click()
        expect(page.locator("#traces tbody tr")).to_have_count(100)
        page.locator("#sort").select_option("-duration")
        expect(first).to_contain_text("800 ms")
        page.locator("#chips button", has_text="Errors").click()
        expect(page.locator("#traces tbody tr")).to_have_count(len(SLOW))
        expect(page.locator("#chips button", has_text="Errors")).to_have_attribute("aria-pressed", "true")  # fmt: skip
        page.locator("#service").select_option("stock")
        expect(page.locator("#query")).to_have_value("has:error")
        page.locator("#query").fill("tier=lead")
        page.keyboard.press("Enter")
        expect(page.locator(".list-pane")).to_contain_text("No trace matches")
        page.locator(".list-pane button").click()
        expect(page.locator("#traces tbody tr")).to_have_count(100)


def test_a_corner_of_the_heatmap_is_listed_alone_and_told_apart(browser: Browser, ui: str) -> None:
    with clean_page(browser, ui) as page:
        page.goto("/traces")
        expect(page.locator(".spread-plot .cell").first).to_be_visible()
        box = page.locator(".spread-plot").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 60, box["y"] + 9)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 10, box["y"] + 40)
        page.mouse.up()
        expect(page.locator("#traces tbody tr")).to_have_count(len(SLOW))
        assert "picked=" in page.url
        expect(page.locator("#distinction li").first).to_have_attribute("data-field", "status")
        tier = page.locator("#distinction li[data-field=tier]").first
        expect(tier).to_contain_text("100 %")
        expect(page.locator("#distinction li[data-field=shop]")).to_have_count(0)
        page.locator("[aria-label='Include tier gold']").click()
        expect(page.locator("#query")).to_have_value("tier=gold")
        expect(page.locator("#distinction")).to_have_count(0)
        page.go_back()
        expect(page.locator("#distinction li").first).to_be_visible()
        page.locator("#closer").click()
        expect(page.locator("#traces tbody tr")).to_have_count(len(SLOW))
        assert "start=" in page.url
        assert "duration%3E%3D" in page.url


def test_the_list_is_gone_through_by_keyboard(browser: Browser, ui: str) -> None:
    with clean_page(browser, ui) as page:
        page.goto("/traces")
        expect(page.locator("#traces tbody tr")).to_have_count(100)
        expect(page.locator(".spread-plot .cell").first).to_be_visible()
        page.keyboard.press("h")
        expect(page.locator("#traces tbody tr")).to_have_count(len(SLOW))
        page.keyboard.press("u")
        expect(page.locator("#traces tbody tr")).to_have_count(100)
        for key in "jjk":
            page.keyboard.press(key)
        until(page, "document.activeElement === document.querySelectorAll('#traces tbody a')[0]")
        page.keyboard.press("x")
        page.keyboard.press("j")
        page.keyboard.press("x")
        expect(page.locator("#compare-two")).to_be_visible()
        page.keyboard.press("k")
        page.keyboard.press("Enter")
        page.wait_for_url("**/trace/*")
        page.go_back()
        expect(page.locator("#traces tbody tr")).to_have_count(100)


def test_a_trace_that_comes_after_its_page_was_left_draws_nothing(
    browser: Browser, ui: str
) -> None:
    with clean_page(browser, ui) as page:
        page.goto("/traces")
        expect(page.locator("#traces tbody tr")).to_have_count(100)
        held: list[Route] = []
        page.route(re.compile("/outline"), lambda route: held.append(route))
        page.locator("#traces tbody a").first.click()
        expect(page.locator("#loading")).to_be_visible()
        page.go_back()
        expect(page.locator("#traces tbody tr")).to_have_count(100)
        with page.expect_response(re.compile("/outline")) as came:
            held[0].continue_()
        assert came.value.finished() is None
        page.evaluate("() => new Promise(requestAnimationFrame)")
        expect(page.locator("#traces tbody tr")).to_have_count(100)


def test_two_traces_are_compared(browser: Browser, ui: str) -> None:
    a, b = trace_id("a", 5), trace_id("a", 999)
    with clean_page(browser, ui) as page:
        page.goto(f"/traces/{a}/compare/")
        expect(page.locator("#others tbody tr").first).to_be_visible()
        page.locator("#other").fill(b)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/compare/{b}")
        expect(page.locator("h1")).to_have_text("Two traces")
        expect(page.locator("#calls .added")).to_have_count(1)
        expect(page.locator("#calls tbody tr")).to_have_count(3)
        page.locator(".tabs button", has_text="Only changes").click()
        expect(page.locator("#calls tbody tr")).to_have_count(1)
        page.locator("#swap").click()
        expect(page.locator("#calls .missing")).to_have_count(1)
        page.locator("#calls .missing a").click()
        expect(page.locator("#span")).to_have_attribute("data-span", span_id("more"))
        page.goto(f"/traces/{a}/compare/{'9' * 32}")
        expect(page.get_by_role("alert")).to_contain_text("no trace")


def test_a_trace_is_found_where_the_api_has_it(browser: Browser, ui: str) -> None:
    one = trace_id("a", 5)
    with clean_page(browser, ui) as page:
        page.goto(f"/traces/{one}")
        expect(page).to_have_url(re.compile(f"/trace/{one}$"))
        expect(page.locator(".wf-row").first).to_be_visible()


def test_an_empty_list_teaches(browser: Browser) -> None:
    with (
        running_collector() as nothing,
        dashboard(nothing.api) as url,
        clean_page(browser, url) as page,
    ):
        page.goto("/traces")
        expect(page.locator(".list-pane")).to_contain_text("pip install strayline")
