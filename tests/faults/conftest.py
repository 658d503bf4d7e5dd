"""Faults are drawn from a seed that a failing test prints; ``STRAYLINE_FAULT_SEED`` repeats it."""

from __future__ import annotations

import os
import random

import pytest


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers of this test's own."""
    seed = os.environ.get("STRAYLINE_FAULT_SEED") or str(random.SystemRandom().getrandbits(32))
    print(f"STRAYLINE_FAULT_SEED={seed}")
    return random.Random(f"{seed} {request.node.name}")
