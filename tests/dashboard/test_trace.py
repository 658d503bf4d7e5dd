"""One trace in the browser: waterfall, folds, find, zoom, pane, links, clocks, keyboard, and the URL
that holds all of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.support.browser import clean_page, dashboard, until
from tests.support.collector import RunningCollector, running_collector
from tests.support.story import (
    CLIENT,
    CONSUMER,
    INTERNAL,
    PRODUCER,
    SERVER,
    Told,
    send,
    span_id,
    trace_id,
)

pytestmark = pytest.mark.browser

AMQP: dict[str, str | int] = {"messaging.system": "rabbitmq"}
ROW_PX = 26
DEEP = 1500


@dataclass(frozen=True, slots=True)
class Shown:
    collector: RunningCollector
    url: str
    finding: dict[str, Any]

    @property
    def trace(self) -> str:
        return self.finding["messages"][0]["trace_id"]

    @property
    def publish(self) -> str:
        return self.finding["messages"][0]["producer_span_id"]


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    with running_collector() as collector:
        collector.replay("d_reorder_nack")
        send(
            collector.otlp_http,
            (
                Told("client", "shop", CLIENT, 0, 100),
                Told("server", "stock", SERVER, 5010, 5090, "client"),
                Told("send", "stock", PRODUCER, 5020, 5030, "server", attributes=AMQP),
                Told("process", "mail", CONSUMER, 4000, 4100, trace="b", links=("a:send",), attributes=AMQP),
            ),
        )  # fmt: skip
        # a chain of hundreds of calls one after the other, below one root
        steps = [
            Told(f"s{n}", f"service{n % 5}", INTERNAL, n, n + 0.5, "root", attributes={"step": n})
            for n in range(DEEP)
        ]
        send(
            collector.otlp_http,
            [Told("root", "shop", SERVER, 0, DEEP), *steps, Told("below", "shop", INTERNAL, 3, 3.2, "s3")],
            series=7,
        )  # fmt: skip
        send(collector.otlp_http, [Told("back", "shop", SERVER, 10, 4)], series=8)
        orphans = [Told(name, "stock", SERVER, 10, 20, "lost") for name in ("one", "two")]
        send(collector.otlp_http, [Told("root", "shop", SERVER, 0, 100), *orphans], series=9)
        collector.settle()
        finding = next(f for f in collector.findings() if f["cause"] == "requeue")
        with dashboard(collector.api) as url:
            yield Shown(collector, url, finding)


def _rows(page: Page) -> int:
    return page.locator(".wf-row").count()


@pytest.mark.parametrize(
    "address", ["?clock=corrected", "/?stitch=&stitch=false&clock=", "?stitch=true&span=ab"]
)
def test_a_trace_is_asked_for_once_with_its_page(
    shown: Shown, browser: Browser, address: str
) -> None:
    with clean_page(browser, shown.url) as page:
        asked: list[Request] = []
        page.on("request", lambda r: asked.append(r) if "/outline" in r.url else None)
        page.goto(f"/trace/{trace_id('a').upper()}{address}")
        page.locator(".wf-row").first.wait_for()
        (one,) = asked
        script = page.evaluate("performance.getEntriesByType('resource').find((r) => r.name.includes('/strayline.js')).responseEnd")  # fmt: skip
        began = page.evaluate("(url) => performance.getEntriesByName(url)[0].startTime", one.url)
        assert began < script


def test_a_message_waits_is_linked_and_found_wrong_in_the_waterfall(
    browser: Browser, shown: Shown
) -> None:
    with clean_page(browser, shown.url) as page:
        page.goto(f"/trace/{shown.trace}?span={shown.publish}")
        expect(page.locator("#span")).to_have_attribute("data-span", shown.publish)
        expect(page.locator(".wf-row.selected")).to_have_attribute("data-span", shown.publish)
        expect(page.locator(".wf-wait").first).to_be_visible()
        expect(page.locator(".wf-crit.queue_wait").first).to_be_attached()
        expect(page.locator(".wf-crit.network").first).to_be_attached()
        expect(page.locator(".wf-finding").first).to_contain_text("reordered")
        expect(page.locator("#span .figures")).to_contain_text("self")
        # finding → message → trace → SQL, a click each
        expect(page.locator("#journey")).to_have_attribute(
            "href", f"/message/{shown.trace}-{shown.publish}"
        )
        expect(page.locator("#span .banner")).to_have_attribute(
            "href", f"/findings/{shown.finding['id']}"
        )
        sql = page.locator("#span-sql").get_attribute("href") or ""
        assert sql.startswith("/sql?q=SELECT")
        assert shown.publish in sql
        with page.expect_download() as download:
            page.locator("#json").click()
        saved = json.loads(download.value.path().read_text())
        assert {s["span_id"] for s in saved["spans"]} >= {shown.publish}


def test_folds_zoom_view_and_selection_are_in_the_url_and_come_back(
    browser: Browser, shown: Shown
) -> None:
    with clean_page(browser, shown.url) as page:
        page.goto(f"/trace/{shown.trace}")
        expect(page.locator("#span")).to_contain_text("What the end waited for")
        whole = _rows(page)
        page.keyboard.press("]")
        expect(page.locator(".wf-row")).to_have_count(1)
        assert "level=1" in page.url
        page.keyboard.press("o")
        until(page, "document.querySelectorAll('.wf-row').length > 1")
        assert _rows(page) < whole
        page.keyboard.press("[")
        expect(page.locator(".wf-row")).to_have_count(whole)
        assert "level" not in page.url
        page.locator(".wf-row").nth(4).click()
        page.keyboard.press("ArrowLeft")
        until(page, f"document.querySelectorAll('.wf-row').length < {whole}")
        folded = _rows(page)
        box = page.locator(".mini-box").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 20)
        page.mouse.up()
        until(page, "location.search.includes('zoom=')")
        expect(page.locator(".axis span").first).not_to_have_text("0 ns")
        page.locator("[data-view=table]").click()
        expect(page.locator("#sums tbody tr").first).to_be_visible()
        there = page.url
        page.go_back()
        expect(page.locator(".wf-row")).to_have_count(folded)
        page.go_forward()
        expect(page.locator("#sums tbody tr").first).to_be_visible()
        # a link to it shows the same to somebody else
        page.goto(there.replace("view=table", "view=waterfall"))
        expect(page.locator(".wf-row")).to_have_count(folded)
        expect(page.locator(".wf-row.selected")).to_be_visible()
        expect(page.locator(".axis span").first).not_to_have_text("0 ns")
        page.keyboard.press("0")
        expect(page.locator(".axis span").first).to_have_text("0 ns")


def test_what_is_found_is_counted_and_gone_through(browser: Browser, shown: Shown) -> None:
    with clean_page(browser, shown.url) as page:
        page.goto(f"/trace/{trace_id('a', 7)}")
        expect(page.locator(".wf-row").first).to_be_visible()
        page.keyboard.press("/")
        expect(page.locator("#find-in-trace")).to_be_focused()
        # names at once
        page.keyboard.type("service3")
        expect(page.locator("#matches")).to_have_text("300 matches")
        expect(page.locator("mark").first).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.locator("#matches")).to_have_text("1 of 300 matches")
        page.keyboard.press("Shift+Enter")
        expect(page.locator("#matches")).to_have_text("300 of 300 matches")
        # the last of 1,500 is on the screen, and only what is on the screen exists
        expect(page.locator(".wf-row.selected")).to_be_in_viewport()
        assert _rows(page) < 80
        # attributes too; what hides it is opened
        page.keyboard.press("Escape")
        expect(page.locator("#find-in-trace")).to_have_value("")
        page.keyboard.press("]")
        expect(page.locator(".wf-row")).to_have_count(1)
        page.locator("#find-in-trace").fill("1234")
        expect(page.locator("#matches")).to_contain_text("1 match")
        page.locator("#find-next").click()
        expect(page.locator("#span")).to_have_attribute("data-span", span_id("s1234"))
        expect(page.locator(".wf-row.selected")).to_be_in_viewport()
        assert "find=1234" in page.url
        page.locator("#find-in-trace").fill("nothing like it")
        expect(page.locator("#matches")).to_have_text("no match")


def test_the_keyboard_alone_goes_through_a_trace(browser: Browser, shown: Shown) -> None:
    with clean_page(browser, shown.url) as page:
        page.goto(f"/trace/{trace_id('a', 7)}")
        expect(page.locator(".wf-row").first).to_be_visible()
        selected = page.locator(".wf-row.selected")
        page.keyboard.press("j")
        expect(selected).to_have_attribute("data-span", span_id("root"))
        page.keyboard.press("j")
        page.keyboard.press("ArrowDown")
        expect(selected).to_have_attribute("data-span", span_id("s1"))
        page.keyboard.press("k")
        expect(selected).to_have_attribute("data-span", span_id("s0"))
        page.keyboard.press("End")
        expect(selected).to_have_attribute("data-span", span_id(f"s{DEEP - 1}"))
        expect(selected).to_be_in_viewport()
        page.keyboard.press("Home")
        page.keyboard.press("Enter")
        expect(page.locator(".wf-row")).to_have_count(1)
        page.keyboard.press("Enter")
        until(page, "document.querySelectorAll('.wf-row').length > 10")
        place = "document.querySelector('.wf-rows').scrollTop"
        for down, up in (("s", "w"), ("f", "b")):
            page.keyboard.press(down)
            until(page, f"{place} > 100")
            page.keyboard.press(up)
            until(page, f"{place} === 0")
        page.keyboard.press("+")
        page.wait_for_url("**zoom=*")
        middle = page.url
        page.keyboard.press("d")
        until(page, f"location.href !== {json.dumps(middle)}")
        page.keyboard.press("a")
        until(page, f"location.href === {json.dumps(middle)}")
        page.keyboard.press("Escape")
        expect(selected).to_have_count(0)
        page.keyboard.press("?")
        expect(page.locator("dialog")).to_contain_text("Fold one level")


def test_links_are_followed_both_ways_across_traces(browser: Browser, shown: Shown) -> None:
    with clean_page(browser, shown.url) as page:
        page.goto(f"/trace/{trace_id('a')}?span={span_id('send')}")
        jump = page.locator("#span [data-jump]")
        expect(jump).to_have_attribute("data-jump", span_id("process"))
        jump.click()
        expect(page.locator("#span")).to_have_attribute("data-span", span_id("process"))
        expect(page.locator("#span [data-jump]")).to_have_attribute("data-jump", span_id("send"))
        # a jump is a place to come back from
        page.go_back()
        expect(page.locator("#span")).to_have_attribute("data-span", span_id("send"))


def test_clocks_that_disagree_are_told_and_corrected_on_request(
    browser: Browser, shown: Shown
) -> None:
    with clean_page(browser, shown.url) as page:
        page.goto(f"/trace/{trace_id('a')}?span={span_id('server')}")
        start = page.locator("#span .figures div").nth(2)
        expect(start).to_contain_text("+5.01 s")
        expect(page.locator("#clock")).to_contain_text("off: correct")
        page.locator("#clock").click()
        expect(page.locator("#clock")).to_contain_text("corrected")
        expect(start).to_contain_text("+10.0 ms")
        assert "clock=corrected" in page.url
        page.go_back()
        expect(start).to_contain_text("+5.01 s")


def test_an_attribute_is_included_in_or_excluded_from_a_search_with_one_click(
    browser: Browser, shown: Shown
) -> None:
    with clean_page(browser, shown.url) as page:
        page.goto(f"/trace/{shown.trace}?span={shown.publish}")
        page.locator("[aria-label='Exclude messaging.destination']").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/traces?q=*")
        assert "%21messaging.destination%3Dorders.events" in page.url


def test_a_trace_that_is_not_there_is_said_to_be_missing(browser: Browser, shown: Shown) -> None:
    with clean_page(browser, shown.url) as page:
        page.goto(f"/trace/{'9' * 32}")
        expect(page.get_by_role("alert")).to_contain_text("Nothing stored bears the id")
        page.goto("/trace/nonsense")
        expect(page.get_by_role("alert")).to_contain_text("32 hexadecimal digits")


def test_a_span_that_ends_before_it_starts_says_so(browser: Browser, shown: Shown) -> None:
    with clean_page(browser, shown.url) as page:
        page.goto(f"/trace/{trace_id('a', 8)}?span={span_id('back')}")
        expect(page.get_by_text("told with an end before its start")).to_be_visible()


def test_what_is_named_and_was_never_told_of_stands_beside_who_names_it(
    browser: Browser, shown: Shown
) -> None:
    with clean_page(browser, shown.url) as page:
        page.goto(f"/trace/{trace_id('a', 9)}")
        expect(page.get_by_title("Named by others and never told of")).to_have_text("1 missing")
        page.get_by_role("button", name="named by stock two").click()
        expect(page).to_have_url(f"/trace/{trace_id('a', 9)}?span={span_id('two')}")
