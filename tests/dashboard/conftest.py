"""One browser, one collector with a recorded reordering, and one dashboard for a file. A browser that
outlived its file would leave its event loop running under the tests after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.browser import chromium, dashboard
from tests.support.collector import RunningCollector, running_collector


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def collector() -> Iterator[RunningCollector]:
    with running_collector() as running:
        running.replay("d_reorder_nack")
        running.settle()
        yield running


@pytest.fixture(scope="module")
def ui(collector: RunningCollector) -> Iterator[str]:
    with dashboard(collector.api) as url:
        yield url
