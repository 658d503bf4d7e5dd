from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.sink import Sink, running_sink


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running_sink() as found:
        yield found
