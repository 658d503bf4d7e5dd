"""Shared by the AMQP tests."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager

import pytest

import strayline

for part in ("sending", "outcomes", "receiving", "settling", "topology", "harmless", "shapes"):
    pytest.register_assert_rewrite(f"tests.instrumentation.amqp.behaviour.{part}")


@pytest.fixture
def uninstrumented() -> Callable[[], AbstractContextManager[None]]:
    """A block in which nothing is instrumented."""

    @contextmanager
    def block() -> Generator[None]:
        strayline.uninstrument()
        try:
            yield
        finally:
            strayline.instrument()

    return block
