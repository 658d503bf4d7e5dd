"""Every page on recorded data, in both themes, clean."""

from __future__ import annotations

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from playwright.sync_api import Browser, expect

from tests.support.browser import clean_page, dashboard
from tests.support.collector import running_collector

pytestmark = pytest.mark.browser


def test_an_empty_dashboard_teaches_and_a_collector_that_leaves_and_returns_is_survived(
    browser: Browser,
) -> None:
    with running_collector() as first:
        port = first.api
        with dashboard(first.api) as url, clean_page(browser, url) as page:
            page.goto("/")
            expect(page.get_by_test_id("empty")).to_contain_text("import strayline.auto")
            first.terminate()
            expect(page.locator("#connection")).to_contain_text("away", timeout=15_000)
            with running_collector(api=port):
                expect(page.locator("#connection")).to_contain_text("Connected", timeout=15_000)


def test_hostile_names_are_inert(browser: Browser) -> None:
    markup = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>\u202e"
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    attribute = resource.resource.attributes.add(key="service.name")
    attribute.value.string_value = markup
    span = resource.scope_spans.add().spans.add(
        name=markup * 20,
        trace_id=b"\x07" * 16,
        span_id=b"\x07" * 8,
        kind=2,
        start_time_unix_nano=10**18,
        end_time_unix_nano=10**18 + 5,
    )
    span.attributes.add(key=markup).value.string_value = markup * 5000
    with running_collector() as collector:
        httpx.post(
            f"http://{collector.otlp_http}/v1/traces",
            content=request.SerializeToString(),
            headers={"content-type": "application/x-protobuf"},
        )
        collector.settle()
        with dashboard(collector.api) as url, clean_page(browser, url) as page:
            for path, sign in (
                ("/", "tbody tr"),
                ("/map", ".node"),
                (f"/trace/{'07' * 16}?span={'07' * 8}", "#span dl"),
            ):
                page.goto(path)
                expect(page.locator(sign).first).to_be_visible()
                assert page.title() != "owned"
                assert page.locator("#page img, #page script").count() == 0
