"""What a scenario is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.scenarios.log import Fact, Truth, nothing
from tests.scenarios.play import Play

Program = Callable[[Play], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A program, what must be found of it by its log alone, and its healthy twin: the same parts
    without the fault, of which nothing may be found. ``faulty`` None: a trap, healthy throughout; its truth
    is what its broker may bring about by itself, which the log then tells."""

    name: str
    faulty: Program | None
    healthy: Program
    truth: Callable[[Sequence[Fact]], Truth] = nothing
    thresholds: tuple[str, ...] = ()
    """Of a collector of its own."""
