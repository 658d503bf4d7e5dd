"""What a request holds, before anything is made of it."""

from __future__ import annotations

from typing import NamedTuple


class Examined(NamedTuple):
    """How many spans of a request are kept, and how many are refused for their ids."""

    accepted: int
    rejected: int
