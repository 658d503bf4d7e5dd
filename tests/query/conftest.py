"""A collector for questions, which most modules only ask; one a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.collector import RunningCollector, running_collector


@pytest.fixture(scope="module")
def collector() -> Iterator[RunningCollector]:
    """Holds a recording in which messages came late, and has judged it."""
    with running_collector() as running:
        running.replay("d_reorder_nack")
        running.settle()
        yield running
