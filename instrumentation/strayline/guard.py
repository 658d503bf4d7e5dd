"""Nothing that goes wrong in a shim may reach the service: it is logged once, and life goes on."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Final

log: Final = logging.getLogger("strayline")
_said: Final[set[tuple[str, str]]] = set()


def swallowed(what: str, error: Exception) -> None:
    """What ``survived`` does, for paths so hot that a ``try`` statement has to do: without an
    error that costs nothing, where the context manager costs three calls."""
    key = (what, type(error).__name__)
    if key not in _said:
        _said.add(key)
        log.warning("%s failed; the call goes on without it (said once)", what, exc_info=error)


class survived:  # noqa: N801 - reads as a statement: with survived("…")
    """Swallows exceptions of its block, not interrupts and cancellations; each kind is logged
    once a process."""

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if kind is None or not issubclass(kind, Exception):
            return False
        if isinstance(error, Exception):
            swallowed(self._what, error)
        return True
