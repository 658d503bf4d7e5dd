"""One collector for all of a module's questions; tests that break or restart one start their own."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.collector import RunningCollector, running_collector


@pytest.fixture(scope="package")
def collector() -> Iterator[RunningCollector]:
    """In memory, with the default limits."""
    with running_collector() as running:
        yield running


@pytest.fixture(scope="package")
def small_collector() -> Iterator[RunningCollector]:
    """In memory; a request may have 1,000,000 bytes."""
    with running_collector(max_request_bytes=1_000_000) as running:
        yield running


@pytest.fixture
def client(collector: RunningCollector) -> Iterator[httpx.Client]:
    """Speaks OTLP/HTTP to ``collector``."""
    with httpx.Client(base_url=f"http://{collector.otlp_http}", timeout=30) as found:
        yield found
