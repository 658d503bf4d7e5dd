"""The map in the browser: cards and edges, what lights up, the drawer's ways on, another range beside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import clean_page, dashboard
from tests.support.collector import RunningCollector, running_collector
from tests.support.story import CLIENT, SERVER, START_NS, Told, send_all

pytestmark = pytest.mark.browser

GET: dict[str, str | int] = {"http.request.method": "GET"}
MINUTE_MS = 60_000
RANGE = f"start={START_NS + MINUTE_MS * 10**6}&end={START_NS + 2 * MINUTE_MS * 10**6 - 1}"


def _call(at_ms: int, length_ms: int, server: str) -> list[Told]:
    return [
        Told("root", "shop", SERVER, at_ms, at_ms + length_ms + 4),
        Told("out", "shop", CLIENT, at_ms + 1, at_ms + length_ms + 3, "root", attributes=GET),
        Told("in", server, SERVER, at_ms + 2, at_ms + length_ms + 2, "out", attributes=GET),
    ]


@pytest.fixture(scope="module")
def changed() -> Iterator[str]:
    """Two minutes: in the second, pay is slow, old is gone, young is new."""
    with running_collector() as collector:
        stories: dict[int, list[Told]] = {}
        for n in range(12):
            for minute, (slow, other) in enumerate(((10, "old"), (100, "young"))):
                at = minute * MINUTE_MS + n * 1000
                stories[len(stories) + 1] = _call(at, slow, "pay")
                stories[len(stories) + 1] = _call(at + 500, 10, other)
        send_all(collector.otlp_http, stories)
        collector.settle()
        with dashboard(collector.api) as url:
            yield url


def _node(graph: dict[str, Any], kind: str, name: str) -> str:
    return next(n["id"] for n in graph["nodes"] if (n["kind"], n["name"]) == (kind, name))


def test_a_node_opens_what_it_is_and_leads_on(
    browser: Browser, collector: RunningCollector, ui: str
) -> None:
    graph = collector.get("/api/v1/graph", level="messaging")
    queue = _node(graph, "queue", "billing.orders")
    with clean_page(browser, ui) as page:
        page.goto("/map")
        nodes = page.locator(".map .node")
        expect(nodes).to_have_count(len(graph["nodes"]))
        expect(page.locator(".map .edge")).to_have_count(len(graph["edges"]))
        card = page.locator(f".map .node[data-id='{queue}']")
        expect(card).to_contain_text("finding")
        dashed = page.locator(f".map .edge[data-target='{queue}'] .line")
        expect(dashed).to_have_attribute("stroke-dasharray", "5 3")
        card.click()
        drawer = page.locator("#drawer")
        expect(drawer).to_have_attribute("data-node", queue)
        assert "node=queue" in page.url
        for way in ("/queue?name=billing.orders", "/traces?q=queue", "/findings?queue="):
            expect(drawer.locator(f"a[href^='{way}']").first).to_be_visible()
        # to a neighbour and back
        drawer.locator(".share", has_text="billing").last.click()
        expect(drawer).to_have_attribute("data-node", _node(graph, "service", "billing"))
        page.go_back()
        expect(drawer).to_have_attribute("data-node", queue)
        page.reload()
        expect(drawer).to_have_attribute("data-node", queue)
        page.keyboard.press("Escape")
        expect(drawer).to_have_count(0)
        page.locator("[data-level=service]").click()
        expect(page.locator(".map .node[data-id^='queue:']")).to_have_count(0)
        assert "level=service" in page.url
        page.go_back()
        expect(nodes).to_have_count(len(graph["nodes"]))


def test_what_lies_up_and_downstream_lights_up(browser: Browser, changed: str) -> None:
    with clean_page(browser, changed) as page:
        page.goto("/map?level=service")
        dim = page.locator(".map .node.dim")
        expect(page.locator(".map .node")).to_have_count(4)
        page.locator(".map .node[data-id='service:pay']").hover()
        expect(dim).to_have_count(2)
        page.mouse.move(2, 2)
        expect(dim).to_have_count(0)
        # the same with the keyboard alone, and by name
        page.locator(".map .node[data-id='service:old']").focus()
        expect(dim).to_have_count(2)
        page.keyboard.press("Enter")
        expect(page.locator("#drawer")).to_have_attribute("data-node", "service:old")
        page.keyboard.press("/")
        page.keyboard.type("you")
        expect(dim).to_have_count(3)
        page.keyboard.press("Enter")
        expect(page.locator("#drawer")).to_have_attribute("data-node", "service:young")
        # what is looked for and where is in the address
        expect(page).to_have_url(re.compile("find=you"))
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        place = (
            "document.querySelector('.map svg').getAttribute('viewBox')"
            ".split(' ').slice(0, 3).map(Number).map(Math.round).join('%7E')"
        )
        page.keyboard.press("+")
        there: str = page.evaluate(place)
        expect(page).to_have_url(re.compile(f"at={there}(&|$)"))
        page.reload()
        expect(page.locator(".map .node")).to_have_count(4)
        assert page.evaluate(place) == there
        page.keyboard.press("0")
        expect(page).not_to_have_url(re.compile("at="))
        page.goto("/map?level=service&find=you")
        expect(dim).to_have_count(3)
        with page.expect_download() as picture:
            page.locator("#page .menu summary").click()
            page.locator("#save-svg").click()
        assert "young" in picture.value.path().read_text()


def test_another_range_shows_what_is_new_gone_and_slower(browser: Browser, changed: str) -> None:
    with clean_page(browser, changed) as page:
        page.goto("/map?level=service")
        expect(page.locator("#against")).to_be_disabled()
        page.goto(f"/map?level=service&{RANGE}")
        expect(page.locator(".map .node")).to_have_count(3)
        page.locator("#against").select_option("before")
        expect(page.locator(".map .node.gone")).to_have_attribute("data-id", "service:old")
        for name, change in (("young", "new"), ("pay", "slower")):
            expect(page.locator(f".map .node[data-id='service:{name}'] .mark")).to_have_text(change)
        expect(page.locator("#changes")).to_contain_text("slower")
        page.locator(".map .node[data-id='service:pay']").click()
        expect(page.locator("#drawer .facts")).to_contain_text("→")
        page.go_back()
        page.go_back()
        expect(page.locator(".map .node")).to_have_count(3)


def test_a_range_without_calls_and_one_that_cannot_be_read_are_told(
    browser: Browser, changed: str
) -> None:
    with clean_page(browser, changed) as page:
        page.goto("/map?last=15m")
        expect(page.locator(".empty")).to_contain_text("No calls in this range")
        page.goto("/map?against=before")
        expect(page.get_by_role("alert")).to_contain_text("Choose a range of time first")
        page.goto(f"/map?{RANGE}&against=never")
        expect(page.get_by_role("alert")).to_contain_text("against=never")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_traces_and_map_fit_into_a_narrow_window(
    browser: Browser, collector: RunningCollector, ui: str, theme: str
) -> None:
    trace = collector.get("/api/v1/traces", limit=1)["items"][0]["trace_id"]
    pages = [("/map?node=service:billing", "#drawer"), ("/traces", "#traces tr"), (f"/traces/{trace}/compare/", "#others tr")]  # fmt: skip
    pages += [
        (f"/trace/{trace}?view={view}", sign)
        for view, sign in (("waterfall", ".wf-row"), ("flame", ".frame"), ("sequence", ".step"), ("table", "#sums tr"), ("messages", "#trace-messages tr"))
    ]  # fmt: skip
    with clean_page(browser, ui, theme=theme) as page:
        page.set_viewport_size({"width": 1024, "height": 700})
        for path, sign in pages:
            page.goto(path)
            expect(page.locator(sign).first).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
            assert page.evaluate("document.documentElement.scrollHeight <= window.innerHeight"), path  # fmt: skip


def test_a_service_says_where_the_time_of_its_calls_goes(
    browser: Browser, collector: RunningCollector, ui: str
) -> None:
    told = collector.get("/api/v1/critical_path", service="billing", limit=50)
    with clean_page(browser, ui) as page:
        page.goto("/map?node=service:billing")
        parts = page.locator("#where-time-goes a.share")
        expect(parts).to_have_count(min(10, len(told["items"])))
        expect(page.locator("#where-time-goes")).to_contain_text(f"of {told['traces']} calls")
        worst = told["items"][0]["worst_trace_id"]
        expect(parts.first).to_have_attribute("href", f"/trace/{worst}")
        parts.first.click()
        expect(page.locator(".wf-row").first).to_be_visible()


def test_a_range_with_nothing_before_it_says_so(browser: Browser, changed: str) -> None:
    first = f"start={START_NS}&end={START_NS + MINUTE_MS * 10**6 - 1}"
    with clean_page(browser, changed) as page:
        page.goto(f"/map?{first}&against=before")
        expect(page.locator("#changes")).to_have_text("Nothing is stored of the other range.")
