"""Random trace and span ids, from a generator of our own: a program that seeds ``random`` to be
repeatable must not make every run one trace."""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Callable

from strayline.lifecycle import after_fork

_random = random.Random(os.urandom(32))  # noqa: S311 - ids are no secrets


def trace_id() -> int:
    """128 bits, not 0."""
    return _random.getrandbits(128) or 1


span_id: Callable[[], int] = functools.partial(_random.getrandbits, 64)
"""64 bits. It is 0, and so no id, once in 500,000 years of a million spans a second."""


def _anew() -> None:
    _random.seed(os.urandom(32))


after_fork(_anew)
