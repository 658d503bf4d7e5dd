"""A scenario's own log of what its program did, and what a log says: the only truth that findings
are compared with."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FINAL = ("ack", "drop", "auto")


@dataclass(frozen=True, slots=True)
class Fact:
    """What a program did at one moment of the host's monotonic clock, in nanoseconds.

    ``event`` is ``publish`` (``lane`` the channel, ``place`` exchange/key), ``returned``,
    ``handle``, ``ack``, ``requeue``, ``drop``, ``auto`` (``lane`` the consuming channel,
    ``place`` the queue) or ``closed`` (of ``lane``)."""

    at: int
    event: str
    message: str = ""
    lane: str = ""
    place: str = ""
    tag: int = 0
    redelivered: bool = False


class Log:
    """Appends facts to a file, each in the step in which the program acts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()
        self.facts: list[Fact] = []

    def write(self, event: str, message: str = "", **facts: Any) -> None:
        with self._lock:
            fact = Fact(time.monotonic_ns(), event, message, **facts)
            self.facts.append(fact)
            self._file.write(
                json.dumps({name: getattr(fact, name) for name in Fact.__slots__}) + "\n"  # type: ignore[attr-defined]
            )

    def close(self) -> None:
        self._file.close()


def read(paths: Iterable[Path]) -> list[Fact]:
    """The facts of several processes of one host, in the order in which they happened."""
    found = [Fact(**json.loads(line)) for path in paths for line in path.read_text().splitlines()]
    return sorted(found, key=lambda fact: fact.at)


@dataclass(frozen=True, slots=True)
class Expected:
    """A finding that must be: its messages are the ids that the program gave them."""

    kind: str
    verdict: str
    cause: str
    severity: str
    place: str
    """The queue, or exchange/key of what reached none."""


Truth = dict[Expected, frozenset[str]]


def only(facts: Sequence[Fact], *events: str) -> list[Fact]:
    return [fact for fact in facts if fact.event in events]


def ids(facts: Iterable[Fact]) -> frozenset[str]:
    return frozenset(fact.message for fact in facts)


def overtaken(facts: Sequence[Fact], queue: str, event: str = "handle") -> frozenset[str]:
    """Messages of ``queue`` whose last ``event`` came after that of one which their channel published
    later: late by delivery (``handle``), or by completion (``ack``). A message published twice
    has the place of its first try."""
    sent: dict[str, tuple[str, int]] = {}
    for place, fact in enumerate(only(facts, "publish")):
        sent.setdefault(fact.message, (fact.lane, place))
    last = {f.message: at for at, f in enumerate(facts) if f.event == event and f.place == queue}
    return frozenset(
        one
        for one, at in last.items()
        for other, other_at in last.items()
        if sent[one][0] == sent[other][0] and sent[one][1] < sent[other][1] and other_at < at
    )


def late(
    cause: str,
    severity: str,
    queue: str = "work",
    *,
    event: str = "handle",
    of: Callable[[Sequence[Fact]], Iterable[Fact]] | None = None,
) -> Callable[[Sequence[Fact]], Truth]:
    """Those overtaken by ``event``, as far as they are among the facts ``of``."""

    def truth(facts: Sequence[Fact]) -> Truth:
        found = overtaken(facts, queue, event)
        if of is not None:
            found &= ids(of(facts))
        return {Expected("reordered", "", cause, severity, queue): found}

    return truth


def nothing(facts: Sequence[Fact]) -> Truth:
    """Of a healthy program nothing may be found."""
    return {}
