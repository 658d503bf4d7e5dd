"""What can be set and what is caught stands in the documentation."""

from __future__ import annotations

import re

import pytest

from demo_services.processes import ROOT
from strayline import settings
from strayline.shims import SHIMS

PAGE = (ROOT / "docs" / "instrumentation.md").read_text(encoding="utf-8")
VARIABLE = r"(?:(?:OTEL|STRAYLINE|…)_[A-Z_<>]*[A-Z>])"
VARIABLES = sorted(
    {*re.findall(rf"^{VARIABLE}", settings.__doc__ or "", re.M)}
    | {*re.findall(r"…_[A-Z_]+", settings.__doc__ or "")}
)
FIRST_CELLS = re.findall(r"^\| ([^|]*) \|", PAGE, re.M)
ROWS = {name for cell in FIRST_CELLS for name in re.findall(rf"`({VARIABLE})`", cell)}
"""Whole names: one is often the beginning of another."""


@pytest.mark.parametrize("name", VARIABLES)
def test_a_setting_is_documented(name: str) -> None:
    assert name in ROWS


@pytest.mark.parametrize("name", [shim.name for shim in SHIMS])
def test_a_shim_is_documented(name: str) -> None:
    assert f"| `{name}` |" in PAGE
