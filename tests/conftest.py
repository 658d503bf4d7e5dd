"""Real parts for tests: a RabbitMQ node a session, a vhost a test, a store in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

from demo_services.broker import Broker, running_broker

if TYPE_CHECKING:
    from strayline_collector.store.duckdb.store import DuckDBStore

# how long an example takes depends on what else the machine does
hypothesis.settings.register_profile("strayline", deadline=None)
hypothesis.settings.load_profile("strayline")


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Bytes may differ from process to process (gzip's time, ids made up), and names of tests must not."""
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) else None


def pytest_collection_finish() -> None:
    """A test module that imports an instrumented program instruments every test after it."""
    if "strayline.auto" in sys.modules:
        raise pytest.UsageError("collecting imported strayline.auto: start that program in a process of its own")  # fmt: skip


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """The broker at AMQP_URL, else a private node."""
    with running_broker() as found:
        yield found


@pytest.fixture
def vhost(broker: Broker) -> Iterator[str]:
    """The AMQP URL of a vhost that is this test's alone."""
    with broker.vhost() as url:
        yield url


@pytest.fixture
def store() -> Iterator[DuckDBStore]:
    """An empty store in memory."""
    # where the instrumentation alone is tested, the collector is not installed
    from strayline_collector.store.duckdb.store import DuckDBStore

    found = DuckDBStore.open(":memory:")
    yield found
    found.close()
