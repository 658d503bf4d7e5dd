"""The SQL page and the settings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import clean_page
from tests.support.collector import RunningCollector

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, ui: str) -> Iterator[Page]:
    with clean_page(browser, ui) as found:
        yield found


def test_a_query_runs_by_keyboard_and_stands_in_the_url(page: Page) -> None:
    page.goto("/sql")
    page.locator("#sql").fill("SELECT 1 AS one, NULL AS nothing, 'a,b' AS text")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#answer tbody tr")).to_have_count(1)
    expect(page.locator("#answer")).to_contain_text("null")
    assert "q=SELECT" in page.url
    page.reload()
    expect(page.locator("#answer tbody tr")).to_have_count(1)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save CSV").click()
    assert saved.value.path().read_text() == 'one,nothing,text\n1,,"a,b"'


def test_errors_are_named_and_limits_are_told(page: Page) -> None:
    page.goto("/sql?q=SELECT%20nonsense%20FROM%20spans")
    expect(page.locator("#sql-error")).to_contain_text("nonsense")
    expect(page.locator("#limits")).to_contain_text("10,000 rows")
    page.locator("#sql").fill("DROP TABLE spans")
    page.locator("#run").click()
    expect(page.locator("#sql-error")).to_be_visible()
    page.locator("#sql").fill("SELECT a.span_id FROM spans a, spans b LIMIT 20000")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#sql-count")).to_contain_text(
        "10,000 rows, there are more, the first 1,000 shown"
    )


def test_what_is_typed_while_a_statement_is_asked_stays(page: Page) -> None:
    page.goto("/sql")
    expect(page.locator("#sql")).to_be_visible()
    page.evaluate(
        """() => {
            const editor = document.getElementById("sql");
            editor.value = "SELECT 1 AS one";
            document.getElementById("run").click();
            editor.value = "SELECT 2 AS two";
            editor.dispatchEvent(new Event("input"));
        }"""
    )
    expect(page.locator("#answer th")).to_have_text("one")
    expect(page.locator("#sql")).to_have_value("SELECT 2 AS two")
    expect(page.locator("#sql")).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#answer th")).to_have_text("two")


def test_a_column_of_the_schema_goes_into_the_query(page: Page) -> None:
    page.goto("/sql")
    page.locator("#sql").fill("SELECT ")
    page.locator("#schema").get_by_role("button", name="trace_id", exact=True).first.click()
    expect(page.locator("#sql")).to_have_value("SELECT trace_id")
    expect(page.locator("#sql")).to_be_focused()


def test_the_sql_of_a_finding_shows_its_messages(page: Page, collector: RunningCollector) -> None:
    finding = next(f for f in collector.findings() if f["cause"] == "requeue")
    page.goto(f"/findings/{finding['id']}")
    page.locator("#open-sql").click()
    expect(page.locator("#answer tbody tr")).to_have_count(len(finding["messages"]))
    page.locator("#answer a").first.click()
    expect(page.locator("#page[data-page=trace]")).to_be_visible()


def test_the_sql_of_a_trace_and_of_a_message_shows_their_rows(
    page: Page, collector: RunningCollector
) -> None:
    late = next(f for f in collector.findings() if f["cause"] == "requeue")["messages"][0]
    trace = collector.get(f"/api/v1/traces/{late['trace_id']}")
    for path, link, rows in (
        (f"/trace/{late['trace_id']}", "#trace-sql", len(trace["spans"])),
        (f"/message/{late['trace_id']}-{late['producer_span_id']}", "#message-sql", len(late["deliveries"])),
    ):  # fmt: skip
        page.goto(path)
        page.locator(link).click()
        expect(page.locator("#answer tbody tr")).to_have_count(rows)


def test_the_documentation_is_shown_without_its_pictures(page: Page) -> None:
    page.goto("/docs/dashboard/queue")
    expect(page.locator(".docs h1")).to_have_text("One queue")
    expect(page.locator(".docs")).not_to_contain_text("images/")


def test_settings_tell_how_the_collector_was_started_and_how_it_is(page: Page) -> None:
    page.goto("/settings")
    settings = page.locator("#settings")
    for text in ("for ever", "native" if native() else "python", "lateness", "stalled_after_s"):
        expect(settings).to_contain_text(text)


def native() -> bool:
    from strayline_collector.decode.otlp import DECODER

    return DECODER == "native"
