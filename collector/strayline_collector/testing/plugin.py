"""pytest's part. Imports nothing of ours until a test asks: every pytest loads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from strayline_collector.testing.watch import Strayline


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("strayline", "message and trace assertions")
    group.addoption(
        "--strayline",
        action="store_true",
        help="Run a collector for each test that asks for the fixture 'strayline'; without, these are skipped.",
    )
    group.addoption(
        "--strayline-contract",
        action="append",
        default=[],
        metavar="FILE",
        help="AsyncAPI 3.0 document that the messages are held to (repeatable).",
    )


def pytest_configure(config: pytest.Config) -> None:
    """A contract that cannot be read stops the run, not every test of it."""
    paths = config.getoption("--strayline-contract")
    if not paths or not config.getoption("--strayline"):
        return
    from strayline_collector.contract.asyncapi import read_contract
    from strayline_collector.errors import UsageError

    try:
        read_contract(map(Path, paths))
    except UsageError as error:
        raise pytest.UsageError(f"--strayline-contract: {error}") from None


@pytest.fixture
def strayline(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Strayline]:
    """A collector of the test's own, with this process, and the Python programs that it starts by
    ``strayline run`` or that import ``strayline.auto``, sending to it."""
    if not request.config.getoption("--strayline"):
        pytest.skip("needs pytest --strayline")
    from strayline_collector.testing.watch import watching

    contracts = [Path(each) for each in request.config.getoption("--strayline-contract") or ()]
    with watching(contracts, monkeypatch.setenv) as found:
        yield found
