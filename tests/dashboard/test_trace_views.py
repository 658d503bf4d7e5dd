"""The other views of a trace: flame, sequence, table, messages; pictures of them; hostile names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import clean_page, until
from tests.support.collector import RunningCollector, running_collector
from tests.support.story import CLIENT, INTERNAL, SERVER, Told, send, span_id, trace_id

pytestmark = pytest.mark.browser

MARKUP = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
UNSEEN = "\u202egnp.exe\u200b\x07"


@pytest.fixture(scope="module")
def collector() -> Iterator[RunningCollector]:
    with running_collector() as running:
        running.replay("d_reorder_nack")
        send(
            running.otlp_http,
            (
                Told("root", "shop", SERVER, 0, 100),
                Told("c1", "shop", CLIENT, 10, 40, "root", attributes={"http.request.method": "GET"}),
                Told("s1", "stock", SERVER, 12, 38, "c1", failed=True),
                Told("c2", "shop", CLIENT, 50, 90, "root"),
                Told("s2", "stock", SERVER, 52, 88, "c2"),
                Told("work", "stock", INTERNAL, 60, 80, "s2"),
            ),
        )  # fmt: skip
        send(
            running.otlp_http,
            [
                Told("root", MARKUP + UNSEEN, SERVER, 0, 100),
                Told(
                    "hit", MARKUP * 30, SERVER, 10, 20, "root", failed=True,
                    attributes={MARKUP: MARKUP, "big": "m" * 1_000_000, UNSEEN: UNSEEN},
                ),
            ],
            series=3,
        )  # fmt: skip
        running.settle()
        yield running


def _publish(collector: RunningCollector) -> tuple[str, str]:
    finding = next(f for f in collector.findings() if f["cause"] == "requeue")
    return finding["messages"][0]["trace_id"], finding["messages"][0]["producer_span_id"]


def test_the_flame_graph_adds_up_work_and_shares_the_selection(browser: Browser, ui: str) -> None:
    with clean_page(browser, ui) as page:
        page.goto(f"/trace/{trace_id('a')}?view=flame&span={span_id('work')}")
        frames = page.locator(".flame .frame")
        expect(frames.first).to_contain_text("of work")
        selected = page.locator(".flame .frame.selected")
        expect(selected).to_have_attribute("aria-label", "stock work · 20.0 ms")
        page.locator(".flame .frame", has_text="shop root").first.click()
        expect(page.locator("#span")).to_have_attribute("data-span", span_id("root"))
        count = frames.count()
        page.locator(".flame .frame[aria-label^='stock s2']").dblclick()
        assert "frame=" in page.url
        until(page, f"document.querySelectorAll('.flame .frame').length < {count}")
        page.locator(".crumb button").first.click()
        expect(frames).to_have_count(count)


def test_the_sequence_diagram_shows_calls_and_messages_in_order_of_time(
    browser: Browser, collector: RunningCollector, ui: str
) -> None:
    trace, publish = _publish(collector)
    with clean_page(browser, ui) as page:
        page.goto(f"/trace/{trace_id('a')}?view=sequence")
        steps = page.locator(".sequence .step")
        expect(steps).to_have_count(4)
        ways = [steps.nth(n).get_attribute("data-way") for n in range(4)]
        assert ways == ["shop to stock", "stock to shop"] * 2
        expect(page.locator(".sequence .step.bad")).to_have_count(2)
        page.goto(f"/trace/{trace}?view=sequence&span={publish}")
        expect(page.locator(".sequence .step.selected").first).to_be_visible()
        for kind in ("service", "exchange", "queue"):
            expect(page.locator(f".sequence-head .party.{kind}").first).to_be_visible()
        expect(page.locator(".sequence .step[data-way='billing.orders to billing']", has_text="nack")).to_have_count(1)  # fmt: skip


def test_a_sequence_diagram_fits_its_pane_and_scrolls_with_names_and_times_standing(
    browser: Browser, collector: RunningCollector, ui: str
) -> None:
    trace, _ = _publish(collector)
    parties = "[...document.querySelectorAll('.sequence-head .party')]"
    apart = f"""(() => {{
      const boxes = {parties}.map((g) => g.querySelector("rect").getBoundingClientRect());
      return boxes.every((a, i) => boxes.slice(i + 1).every(
        (b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top));
    }})()"""
    within = f"""{parties}.every((g) => {{
      const text = g.querySelector("text").getBoundingClientRect(), box = g.querySelector("rect").getBoundingClientRect();
      return text.left >= box.left && text.right <= box.right;
    }})"""
    fits = "(() => { const s = document.querySelector('.stage .scroller'); return s.scrollWidth <= s.clientWidth; })()"
    with clean_page(browser, ui) as page:
        page.goto(f"/trace/{trace}?view=sequence")
        expect(page.locator(".sequence-head .party").nth(8)).to_be_visible()
        assert page.evaluate(fits)
        for width in (1440, 760):
            page.set_viewport_size({"width": width, "height": 700})
            until(page, apart)
            until(page, within)
        until(page, f"!{fits}")
        time = page.locator(".sequence-times .at").first
        before = time.bounding_box()
        page.locator(".stage .scroller").evaluate(
            "(s) => { s.scrollLeft = 200; s.scrollTop = 60; }"
        )
        after, name = time.bounding_box(), page.locator(".sequence-head").bounding_box()
        pane = page.locator(".stage .scroller").bounding_box()
        assert before is not None
        assert after is not None
        assert name is not None
        assert pane is not None
        assert abs(after["x"] - before["x"]) < 1
        assert abs(name["y"] - pane["y"]) <= 1


def test_the_table_sorts_and_adds_up(browser: Browser, ui: str) -> None:
    with clean_page(browser, ui) as page:
        page.goto(f"/trace/{trace_id('a')}?view=table")
        first = page.locator("#sums tbody tr").first
        expect(first).to_contain_text("shop")
        page.locator("[data-sort=total]").click()
        expect(first).to_contain_text("root")
        page.locator("[data-sort=total]").click()
        expect(page.locator("#sums th[aria-sort=ascending]")).to_contain_text("Total")
        expect(first).to_contain_text("20.0 ms")
        assert "sort=total" in page.url
        first.click()
        expect(page.locator("#span")).to_have_attribute("data-span", span_id("work"))


def test_messages_of_a_trace_lead_to_their_journeys(
    browser: Browser, collector: RunningCollector, ui: str
) -> None:
    trace, publish = _publish(collector)
    with clean_page(browser, ui) as page:
        page.goto(f"/trace/{trace}?view=messages")
        row = page.locator(f"#trace-messages a[href='/message/{trace}-{publish}']")
        expect(row).to_be_visible()
        expect(
            page.locator("#trace-messages tbody tr", has=page.locator(f"a[href$='-{publish}']"))
        ).to_contain_text("reordered")
        page.goto(f"/trace/{trace_id('a')}?view=messages")
        expect(page.locator("#page")).to_contain_text("published no messages")


@pytest.mark.parametrize("view", ["waterfall", "flame", "sequence"])
def test_a_view_is_saved_as_a_picture(browser: Browser, ui: str, view: str) -> None:
    with clean_page(browser, ui) as page:
        page.goto(f"/trace/{trace_id('a')}?view={view}")
        expect(page.locator(".wf-row, .frame, .step").first).to_be_visible()
        page.locator("#page .menu summary").click()
        with page.expect_download() as svg:
            page.locator("#save-svg").click()
        text = svg.value.path().read_text()
        assert text.startswith("<svg")
        assert "stock" in text
        page.locator("#page .menu summary").click()
        with page.expect_download() as png:
            page.locator("#save-png").click()
        assert png.value.path().read_bytes().startswith(b"\x89PNG")


def test_hostile_names_and_values_are_inert_in_every_view(browser: Browser, ui: str) -> None:
    hostile = trace_id("a", 3)
    with clean_page(browser, ui) as page:
        for view in ("waterfall", "flame", "sequence", "table", "messages"):
            page.goto(f"/trace/{hostile}?view={view}&span={span_id('hit')}")
            expect(page.locator("#span .facts").first).to_be_visible()
            assert page.title() != "owned"
            assert page.locator("#page img, #page script").count() == 0
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            shown = page.locator("#page").inner_text()
            assert not set(UNSEEN) & set("\u202e\u200b\x07") & set(shown)
        # a megabyte is cut, and can be had
        more = page.locator("#span .more", has_text="1,000,000 characters")
        expect(more).to_be_visible()
        assert len(page.locator("#span").inner_text()) < 20_000
