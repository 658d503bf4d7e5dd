"""The first look: what teaches a newcomer, and lists that grow without moving under the cursor."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import clean_page, dashboard
from tests.support.collector import RunningCollector, running_collector
from tests.support.faults import full_disk
from tests.support.otlp import PROTOBUF, body
from tests.support.story import CONSUMER, PRODUCER, SERVER, Told, send

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningCollector, str]]:
    db = tmp_path_factory.mktemp("shop") / "s.duckdb"
    with running_collector(db) as collector, dashboard(collector.api) as url:
        yield collector, url


def orders(collector: RunningCollector, series: int, n: int = 1) -> None:
    """``n`` small traces of a gateway, and a message each."""
    for i in range(n):
        send(
            collector.otlp_http,
            [
                Told("req", "gateway", SERVER, 0, 10),
                Told("pub", "orders", PRODUCER, 2, 4, parent="req"),
                Told("con", "billing", CONSUMER, 6, 9, parent="pub"),
            ],
            series=series * 1000 + i,
        )
    collector.settle()


def test_an_empty_dashboard_teaches_and_wakes_up_by_itself(
    browser: Browser, shop: tuple[RunningCollector, str]
) -> None:
    collector, url = shop
    with clean_page(browser, url) as page:
        page.goto("/")
        empty = page.get_by_test_id("empty")
        expect(empty).to_contain_text("import strayline.auto")
        expect(empty).to_contain_text(collector.otlp_http)
        expect(page.locator("#demo")).to_have_count(0)
        orders(collector, 1)
        expect(page.locator("#tail tbody tr")).to_have_count(1, timeout=15_000)


def test_a_collector_that_takes_nothing_says_so_on_every_page(
    browser: Browser, shop: tuple[RunningCollector, str]
) -> None:
    collector, url = shop
    with clean_page(browser, url) as page:
        page.goto("/")
        connection = page.locator("#connection")
        expect(connection).to_have_text("Connected", timeout=15_000)
        with full_disk(collector.process):
            answer = httpx.post(
                f"http://{collector.otlp_http}/v1/traces", content=body(), headers=PROTOBUF
            )
            assert answer.status_code == 503
            expect(connection).to_have_text("Nothing is accepted", timeout=15_000)
            connection.get_by_role("link").click()
            expect(page.locator(".banner.error")).to_contain_text("Nothing is accepted or loaded")
            expect(connection).to_have_text("Nothing is accepted")
        expect(connection).to_have_text("Connected", timeout=15_000)


def test_what_comes_is_counted_while_the_pointer_is_in_the_list_and_shown_after(
    browser: Browser, shop: tuple[RunningCollector, str]
) -> None:
    collector, url = shop
    orders(collector, 2)
    with clean_page(browser, url) as page:
        page.goto("/")
        rows = page.locator("#tail tbody tr")
        expect(rows.first).to_be_visible()
        before = rows.count()
        rows.first.hover()
        href = rows.first.locator("a").get_attribute("href")
        orders(collector, 3, n=3)
        news = page.get_by_role("button", name="3 new traces, show")
        expect(news).to_be_visible(timeout=15_000)
        assert rows.count() == before
        assert rows.first.locator("a").get_attribute("href") == href
        page.mouse.move(400, 20)
        expect(rows).to_have_count(before + 3)
        expect(news).to_be_hidden()


def test_a_paused_list_stands_still_until_it_goes_on(
    browser: Browser, shop: tuple[RunningCollector, str]
) -> None:
    collector, url = shop
    orders(collector, 4)
    with clean_page(browser, url) as page:
        page.goto("/")
        rows = page.locator("#tail tbody tr")
        expect(rows.first).to_be_visible()
        before = rows.count()
        page.keyboard.press("p")
        expect(page.get_by_role("button", name="Paused")).to_be_visible()
        orders(collector, 5, n=2)
        expect(page.get_by_role("button", name="2 new traces, show")).to_be_visible(timeout=15_000)
        assert rows.count() == before
        page.keyboard.press("p")
        expect(rows).to_have_count(before + 2)


def test_the_tour_has_four_hints_and_never_returns_once_dismissed(
    browser: Browser, shop: tuple[RunningCollector, str]
) -> None:
    collector, url = shop
    orders(collector, 6)
    with clean_page(browser, url, newcomer=True) as page:
        page.goto("/")
        tour = page.get_by_role("complementary", name="Hints")
        expect(tour).to_contain_text("1 of 4")
        for number in (2, 3, 4):
            tour.get_by_role("button", name="Next").click()
            expect(tour).to_contain_text(f"{number} of 4")
        page.reload()
        expect(tour).to_contain_text("1 of 4")
        tour.get_by_role("button", name="Dismiss").click()
        expect(tour).to_have_count(0)
        page.reload()
        expect(page.locator("#tail tbody tr").first).to_be_visible()
        expect(tour).to_have_count(0)
    with clean_page(browser, url, newcomer=True) as page:
        page.goto("/")
        for _ in range(3):
            page.get_by_role("complementary", name="Hints").get_by_role(
                "button", name="Next"
            ).click()
        page.get_by_role("complementary", name="Hints").get_by_role("button", name="Done").click()
        page.goto("/queues")
        page.goto("/")
        expect(page.locator("#tail tbody tr").first).to_be_visible()
        expect(page.get_by_role("complementary", name="Hints")).to_have_count(0)


def test_overview_map_and_queues_tell_the_same_errors(browser: Browser) -> None:
    """Of five calls and messages one was handled with an error and one given back by the broker."""
    message: dict[str, str | int] = {
        "messaging.system": "rabbitmq",
        "messaging.destination.name": "events:paid",
        "messaging.rabbitmq.destination.routing_key": "paid",
        "strayline.exchange": "events",
    }
    sent = {**message, "messaging.operation.type": "send"}
    handled = {**message, "messaging.operation.type": "process", "strayline.queue": "mails"}
    back: dict[str, str | int] = {**sent, "strayline.outcome": "returned"}
    with running_collector() as collector, dashboard(collector.api) as url:
        told = [
            Told("req", "shop", SERVER, 0, 30),
            Told("back", "shop", PRODUCER, 1, 2, "req", failed=True, attributes=back),
        ]
        for number, failed in enumerate((True, False, False)):
            name, at = f"p{number}", 3 + 3 * number
            told += [
                Told(name, "shop", PRODUCER, at, at + 1, "req", attributes={**sent}),
                Told(f"c{number}", "mailer", CONSUMER, at + 2, at + 3, name, failed=failed, attributes={**handled}),
            ]  # fmt: skip
        send(collector.otlp_http, told)
        collector.settle()
        with clean_page(browser, url) as page:
            page.goto("/")
            expect(page.locator(".card", has_text="Errors")).to_contain_text("2 · 40.0 %")
            page.goto("/map")
            for node, share in (("shop", "50.0 %"), ("mailer", "33.3 %"), ("events", "25.0 %")):
                expect(page.locator(".node", has_text=node).locator(".mark")).to_have_text(f"{share} err")  # fmt: skip
            page.goto("/queues")
            expect(page.locator("tbody tr", has_text="mails").locator(".error-text")).to_have_text("33.3 %")  # fmt: skip


@pytest.mark.deep
def test_five_hundred_traces_a_second_freeze_nothing(
    browser: Browser, shop: tuple[RunningCollector, str]
) -> None:
    import threading

    collector, url = shop
    orders(collector, 7)
    stop = threading.Event()

    def flood() -> None:
        series = 100_000
        while not stop.is_set():
            began = time.monotonic()
            spans = [Told("req", "gateway", SERVER, 0, 10, trace=f"t{i}") for i in range(250)]
            send(collector.otlp_http, spans, series=series)
            series += 1
            stop.wait(max(0.0, 0.5 - (time.monotonic() - began)))

    flooding = threading.Thread(target=flood)
    with clean_page(browser, url) as page:
        page.goto("/")
        expect(page.locator("#tail tbody tr").first).to_be_visible()
        flooding.start()
        try:
            page.evaluate(
                "() => { window.longest = 0; let last = performance.now(); window.beat = setInterval(() => {"
                " const now = performance.now(); window.longest = Math.max(window.longest, now - last); last = now; }, 20); }"
            )
            for _ in range(6):
                page.wait_for_timeout(2000)
                page.keyboard.press("p")
                page.keyboard.press("p")
            page.locator("#nav a", has_text="Findings").click()
            expect(page.locator("#page[data-page=findings]")).to_be_visible()
            print(f"longest pause of the page: {page.evaluate('window.longest'):.0f} ms")
        finally:
            stop.set()
            flooding.join()
