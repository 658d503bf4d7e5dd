"""Every test that ``docs/conformance.md`` names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = sorted(
    set(re.findall(r"`([\w/]+\.py)::(test_\w+)`", (ROOT / "docs" / "conformance.md").read_text()))
)


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_named_test_is_there(file: str, test: str) -> None:
    path = ROOT / file if "/" in file else Path(__file__).parent / file
    assert f"def {test}(" in path.read_text()
