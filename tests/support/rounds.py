"""How many examples a property is tried with: few each time, more when there is time."""

from __future__ import annotations

import os
from typing import Final

TIMES: Final = int(os.environ.get("STRAYLINE_ROUNDS", "1"))
"""``make test-deep`` sets it to 8."""


def rounds(each_time: int) -> int:
    """``each_time`` examples in ``make test``, eight times as many in ``make test-deep``."""
    return each_time * TIMES
