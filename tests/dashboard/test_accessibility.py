"""Every page held against axe-core: nothing serious or critical, and nothing hangs over the edge. A few
combinations of theme and size in every run, all of them in the deep one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import clean_page
from tests.support.collector import RunningCollector
from tests.support.npm import installed

pytestmark = pytest.mark.browser
WIDE, NARROW = (1440, 900), (1024, 700)
PAGES: Final = (
    ("/", "#tail tbody tr"),
    ("/map", "svg .node"),
    ("/map?level=service&node=service:billing", "#drawer"),
    ("/traces", "tbody tr"),
    (f"/traces?picked=0~{2**62}~0~{2**62}", "#distinction"),
    ("/findings", "#evidence"),
    ("/findings?severity=info&confidence=proven&kind=lost", "text=Nothing matches"),
    ("/queues", "tbody tr"),
    ("/queue?name=billing.orders", "#order circle"),
    ("/queue?name=billing.orders&view=lanes", "#order circle.late"),
    ("/queue?name=billing.orders&view=sequence", "#order circle.late"),
    ("/queue?name=billing.orders&tab=routes", "#routes tbody tr"),
    ("/queue?name=billing.orders&tab=coverage", "#coverage tbody tr"),
    ("/sql?q=SELECT * FROM deliveries LIMIT 20", "#answer td"),
    ("/sql?q=SELECT nonsense", "#sql-error"),
    ("/settings", "#settings dl"),
    ("/docs/messages", ".docs h1"),
    ("/nonsense", "text=No such page"),
)


@pytest.fixture(scope="module")
def axe() -> str:
    place = installed(Path(__file__).parent / "axe")
    if isinstance(place, str):
        pytest.skip(place)
    return (place / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def paths(collector: RunningCollector) -> tuple[tuple[str, str], ...]:
    message = next(f for f in collector.findings() if f["cause"] == "requeue")["messages"][0]
    trace = message["trace_id"]
    others = (t["trace_id"] for t in collector.get("/api/v1/traces", limit=2)["items"])
    return (
        *PAGES,
        *((f"/trace/{trace}?view={view}", sign) for view, sign in VIEWS),
        (f"/traces/{trace}/compare/{next(t for t in others if t != trace)}", "#calls tr"),
        (f"/message/{message['trace_id']}-{message['producer_span_id']}", "#journey .delivery"),
        (f"/trace/{message['trace_id']}?span={message['producer_span_id']}", "#span"),
    )


VIEWS: Final = (
    ("flame", ".frame"),
    ("sequence", ".step"),
    ("table", "#sums tr"),
    ("messages", "#trace-messages tr"),
)
COMBINATIONS: Final = [
    pytest.param("dark", WIDE),
    pytest.param("light", NARROW),
    pytest.param("light", WIDE, marks=pytest.mark.deep),
    pytest.param("dark", NARROW, marks=pytest.mark.deep),
]


@pytest.mark.parametrize(("theme", "size"), COMBINATIONS)
def test_no_page_has_a_serious_fault(
    browser: Browser,
    ui: str,
    axe: str,
    paths: tuple[tuple[str, str], ...],
    theme: str,
    size: tuple[int, int],
) -> None:
    faults: list[str] = []
    with clean_page(browser, ui, theme=theme, size=size) as page:
        for path, sign in paths:
            page.goto(path)
            expect(page.locator(sign).first).to_be_visible()
            faults += [f"{path}: {fault}" for fault in serious(page, axe)]
            edge = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            if edge > 0:
                faults.append(f"{path}: hangs {edge} px over the edge")
    assert faults == [], "\n".join(faults)


def test_dialogs_have_no_serious_fault(browser: Browser, ui: str, axe: str) -> None:
    with clean_page(browser, ui, newcomer=True) as page:
        page.goto("/")
        expect(page.get_by_role("complementary", name="Hints")).to_be_visible()
        assert list(serious(page, axe)) == []
        for key, name in (("?", "Keyboard"), ("Control+k", "Go to")):
            page.keyboard.press(key)
            expect(page.get_by_role("dialog", name=name)).to_be_visible()
            assert list(serious(page, axe)) == []
            page.keyboard.press("Escape")


def serious(page: Page, axe: str) -> Iterator[str]:
    """What axe calls serious or critical on the page as it is, a line each."""
    page.evaluate(axe)
    found: list[dict[str, Any]] = page.evaluate(
        "axe.run(document, { resultTypes: ['violations'] }).then(r => r.violations)"
    )
    for fault in found:
        if fault["impact"] in ("serious", "critical"):
            for node in fault["nodes"][:3]:
                yield f"{fault['id']} {node['target']} {node['html'][:160]} {node['failureSummary'][-170:]}"
