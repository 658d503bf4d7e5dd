"""Names and values that mean harm, in every place that telemetry can fill: shown as text, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from playwright.sync_api import Browser, expect

from tests.support.browser import clean_page, dashboard
from tests.support.collector import RunningCollector, running_collector

pytestmark = pytest.mark.browser
MARKUP: Final = (
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    "'\"><svg onload=alert(1)>{{7*7}}${7*7}"
)
UNSEEN: Final = "\u202eevil\u2066\u200b\x07\ufeff"
NAME: Final = MARKUP + UNSEEN
TRACE, PUBLISH, DELIVERY, BACK = "07" * 16, "07" * 8, "08" * 8, "09" * 8


def hostile() -> bytes:
    """A publish and its delivery, and one that was given back, whose every name is hostile; a value of a megabyte."""
    request = ExportTraceServiceRequest()
    for kind, span_id, parent, operation in (
        (4, PUBLISH, "", "publish"),
        (5, DELIVERY, PUBLISH, "process"),
        (4, BACK, "", "publish"),
    ):
        resource = request.resource_spans.add()
        resource.resource.attributes.add(key="service.name").value.string_value = NAME
        span = resource.scope_spans.add().spans.add(
            name=NAME * 3,
            trace_id=bytes.fromhex(TRACE),
            span_id=bytes.fromhex(span_id),
            parent_span_id=bytes.fromhex(parent),
            kind=kind,  # type: ignore[arg-type]
            start_time_unix_nano=10**18 + kind,
            end_time_unix_nano=10**18 + kind + 5,
        )
        for key, value in (
            ("messaging.system", "rabbitmq"),
            ("messaging.operation.type", operation),
            ("messaging.destination.name", f"{NAME}:{NAME}:{NAME}"),
            ("messaging.destination.subscription.name", NAME),
            ("messaging.rabbitmq.destination.routing_key", NAME),
            ("messaging.message.id", NAME),
            (NAME, MARKUP * 10),
            ("large", "x" * 1_000_000),
        ):
            span.attributes.add(key=key).value.string_value = value
        if span_id == BACK:
            span.attributes.add(key="strayline.exchange").value.string_value = NAME
            span.attributes.add(key="strayline.outcome").value.string_value = "returned"
    return request.SerializeToString()


@pytest.fixture(scope="module")
def harmed() -> Iterator[tuple[RunningCollector, str]]:
    with running_collector() as collector:
        answer = httpx.post(f"http://{collector.otlp_http}/v1/traces", content=hostile(), headers={"content-type": "application/x-protobuf"}, timeout=60)  # fmt: skip
        assert answer.status_code == 200
        collector.settle()
        with dashboard(collector.api) as url:
            yield collector, url


def test_hostile_names_and_values_are_shown_as_text(
    browser: Browser, harmed: tuple[RunningCollector, str]
) -> None:
    collector, url = harmed
    queue = next((q["name"] for q in collector.get("/api/v1/queues")["items"]), None)
    finding = collector.findings()[0]
    assert MARKUP[:20] in finding["title"] + str(finding["subject"])
    with clean_page(browser, url) as page:
        for path, sign in (
            ("/", "#tail tbody tr"),
            ("/map", ".node"),
            ("/traces", "tbody tr"),
            (f"/trace/{TRACE}?span={PUBLISH}", "#span"),
            ("/queues", "tbody tr"),
            (f"/message/{TRACE}-{PUBLISH}", "#journey"),
            ("/sql?q=SELECT * FROM publishes", "#answer td"),
            ("/sql?q=SELECT attributes FROM spans", "#answer td"),
            (f"/findings/{finding['id']}", "#messages tbody tr"),
            (f"/traces/{TRACE}/compare/{TRACE}", "#calls tbody tr"),
        ):
            page.goto(path)
            expect(page.locator(sign).first).to_be_visible()
            assert page.title() != "owned"
            assert page.locator("#page img, #page script, #page svg[onload]").count() == 0
            assert "\u202e" not in page.locator("#page").inner_text()
        assert queue is not None
        page.goto("/")
        page.evaluate("q => strayline.go(strayline.url('/queue', { name: q }))", queue)
        expect(page.locator("#order")).to_be_visible()
        expect(page.locator("h1")).to_contain_text("⟨U+202E⟩evil")
        for key, sign in (("2", "#routes"), ("3", "#coverage")):
            page.keyboard.press(key)
            expect(page.locator(sign)).to_be_visible()
        page.goto("/map")
        page.locator(".map .node[data-id^='queue:']").first.click()
        expect(page.locator("#drawer")).to_contain_text("⟨U+202E⟩evil")
        page.keyboard.press("Control+k")
        page.get_by_role("combobox", name="Page, service").fill("onerror")
        expect(page.locator("#palette-list [role=option]").first).to_contain_text("<img src=x")
        assert page.title() != "owned"
        assert page.locator("#page img, #page script, dialog img, dialog script").count() == 0


@pytest.mark.parametrize("letter", ["W", "ש", "字", "i"])
def test_a_name_stays_within_its_card_however_wide_its_letters(
    browser: Browser, harmed: tuple[RunningCollector, str], letter: str
) -> None:
    drawn = """letter => {
        const told = { kind: "service", name: letter.repeat(300), rate_per_s: 1, p95_ms: 1, sparkline: [], calls: 1, errors: 0, findings: 0 };
        const card = strayline.mapNode(told, { x: 0, y: 0 });
        document.querySelector(".node").parentNode.append(card);
        const name = card.querySelector(".name").getBBox();
        return [name.x + name.width, strayline.mapCard.WIDTH, name.width];
    }"""
    with clean_page(browser, harmed[1]) as page:
        page.goto("/map")
        expect(page.locator(".node").first).to_be_visible()
        end, width, long = page.evaluate(drawn, letter)
        assert end <= width
        assert long > 100  # and no more is cut off than has to be


def test_what_stands_in_the_address_is_shown_as_text(browser: Browser, ui: str) -> None:
    with clean_page(browser, ui) as page:
        for path in ("/queue?name=", "/sql?q=", "/queues?find=", "/findings/", "/docs/", "/traces?q=", "/?last="):  # fmt: skip
            page.goto("/settings")
            page.evaluate("([p, n]) => strayline.go(p + encodeURIComponent(n))", [path, MARKUP])
            expect(page.locator("#page:not([data-page=settings])")).to_be_visible()
            assert page.title() != "owned"
            assert page.locator("#page img, #page script").count() == 0
