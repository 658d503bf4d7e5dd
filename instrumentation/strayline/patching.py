"""Replacing functions of other libraries, and putting them back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Patches:
    """What one shim has replaced. ``undo`` restores all, last first."""

    def __init__(self) -> None:
        self._done: list[tuple[Any, str, Any, Any]] = []

    def wrap(self, owner: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
        """Replaces ``owner.name`` by ``wrapper(original)``. What is not there is left alone, since
        libraries of other versions lack some."""
        original = vars(owner).get(name)
        if original is None:
            return
        replacement = wrapper(original)
        setattr(owner, name, replacement)
        self._done.append((owner, name, original, replacement))

    def undo(self) -> None:
        while self._done:
            owner, name, original, replacement = self._done.pop()
            # somebody may have wrapped ours since: taking theirs away is not ours to do
            if vars(owner).get(name) is replacement:
                setattr(owner, name, original)
