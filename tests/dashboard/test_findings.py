"""The inbox: filters in the URL, evidence, triage, and one click each way to what it rests on."""

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


def requeue(collector: RunningCollector) -> dict[str, object]:
    return next(f for f in collector.findings() if f["cause"] == "requeue")


def test_filters_stand_in_the_url_and_back_restores_them(page: Page) -> None:
    page.goto("/findings")
    expect(page.locator("#list a[data-finding]").first).to_be_visible()
    every = page.locator("#list a[data-finding]").count()
    page.select_option("#filter-severity", "warning")
    expect(page).to_have_url("/findings?severity=warning")
    expect(page.locator("#clear")).to_be_visible()
    assert page.locator("#list a[data-finding]").count() < every
    page.select_option("#filter-confidence", "proven")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    page.go_back()
    expect(page.locator("#list a[data-finding] .badge.warning").first).to_be_visible()
    expect(page.locator("#filter-severity")).to_have_value("warning")
    page.locator("#clear").click()
    expect(page.locator("#list a[data-finding]")).to_have_count(every)


def test_evidence_says_what_was_promised_what_happened_why_and_what_to_do(
    page: Page, collector: RunningCollector
) -> None:
    finding = requeue(collector)
    page.goto(f"/findings/{finding['id']}")
    evidence = page.locator("#evidence")
    for heading in ("Promised", "What happened", "Cause", "What to do", "Where", "When", "SQL"):
        expect(evidence.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    expect(evidence).to_contain_text(str(finding["remedy"]))
    expect(evidence.locator("#messages tbody tr")).to_have_count(len(finding["messages"]))  # type: ignore[arg-type]
    expect(evidence.locator("#messages")).to_contain_text("overtook")


def test_from_a_finding_to_message_trace_sql_and_explanation_in_one_click_each(
    page: Page, collector: RunningCollector
) -> None:
    finding = requeue(collector)
    page.goto(f"/findings/{finding['id']}")
    page.locator("#messages tbody tr").first.click()
    expect(page.locator("#journey").first).to_be_visible()
    page.locator(f"a[href='/findings/{finding['id']}']").first.click()
    page.locator("#messages").get_by_text("handling").first.click()
    expect(page.locator("#span")).to_be_visible()
    page.go_back()
    page.locator("#explain").click()
    expect(page.locator(".docs h1")).to_have_text("reordered")
    expect(page.locator(".docs table")).to_contain_text("late_by")
    page.locator(".docs a", has_text="messages").first.click()
    expect(page.locator(".docs h1")).to_contain_text("Messages")
    page.go_back()
    page.go_back()
    expect(page.locator("#open-sql")).to_have_attribute("href", "/sql?" + sql_query(finding))


def sql_query(finding: dict[str, object]) -> str:
    from urllib.parse import urlencode

    return urlencode({"q": finding["sql"]}).replace("%2A", "*")


def test_triage_is_acknowledging_muting_for_a_while_and_a_note(
    page: Page, collector: RunningCollector
) -> None:
    finding = requeue(collector)
    path = f"/api/v1/findings/{finding['id']}"
    page.goto(f"/findings/{finding['id']}")
    page.locator("#acknowledged").click()
    expect(page.locator("#acknowledged")).to_contain_text("✓")
    assert collector.get(path)["triage"] == "acknowledged"
    page.select_option("#mute", "1d")
    expect(page.locator("#unmute")).to_contain_text("Muted until")
    assert collector.get(path)["muted_until"] is not None
    page.locator("#note").fill("known since the release")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("Note saved")
    page.reload()
    expect(page.locator("#note")).to_have_value("known since the release")
    page.locator("#unmute").click()
    expect(page.locator("#mute")).to_be_visible()
    assert collector.get(path)["triage"] == "new"


def test_the_inbox_is_read_by_keyboard_alone(page: Page) -> None:
    page.goto("/findings")
    entries = page.locator("#list a[data-finding]")
    expect(entries.first).to_have_attribute("aria-current", "true")
    page.keyboard.press("j")
    expect(entries.nth(1)).to_have_attribute("aria-current", "true")
    page.keyboard.press("k")
    expect(entries.first).to_have_attribute("aria-current", "true")
    page.keyboard.press("a")
    expect(page.locator("#acknowledged")).to_contain_text("✓")
    page.keyboard.press("a")
    expect(page.locator("#acknowledged")).not_to_contain_text("✓")
    page.keyboard.press("e")
    expect(page.locator(".docs h1")).to_be_visible()


def test_a_finding_that_is_gone_leaves_the_list_standing(page: Page) -> None:
    page.goto("/findings/fnd_0000000000000000")
    expect(page.locator("#evidence")).to_contain_text("no finding fnd_0000000000000000")
    expect(page.locator("#list a[data-finding]").first).to_be_visible()
