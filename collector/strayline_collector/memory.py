"""How much memory a collector may use, and who gets which part of it."""

from __future__ import annotations

import ctypes
import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strayline_collector.errors import Overloaded, UsageError

MIB: Final = 2**20
DEFAULT_MOST: Final = 2048 * MIB
LEAST: Final = 256 * 10**6
"""Below this DuckDB cannot insert a batch."""
HARD_ABOVE: Final = 100 * MIB
"""What the program itself takes (libraries, tables of the interpreter) on top of the limit."""

_UNITS: Final = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}


@dataclass(frozen=True, slots=True)
class Shares:
    """A limit in bytes and its parts: the store's, bodies that arrive or wait for their answer,
    acknowledged bodies kept for the loader, and one load's bodies (its decoded table takes as
    much again)."""

    limit: int
    store: int
    requests: int
    journal: int
    batch: int


def shares(limit: int) -> Shares:
    """Half to the store, whose inserts and queries are the largest; a quarter to the doors."""
    return Shares(
        limit=limit, store=limit // 2, requests=limit // 4, journal=limit // 8, batch=limit // 32
    )


def parse_size(text: str, option: str) -> int:
    """``512MB``, ``1.5GiB``, ``2 GB`` or plain bytes. Raises ``UsageError``."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)\s*([a-z]{0,3})", text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise UsageError(f"{option} {text}: give a size such as 512MB, 2GB or 1.5GiB")
    return int(float(match[1]) * _UNITS[match[2]])


def memory_limit(text: str | None) -> int:
    """Bytes of ``--memory-limit``; by default a quarter of the machine, at most 2 GB."""
    if text is None:
        return max(LEAST, min(DEFAULT_MOST, machine_bytes() // 4))
    found = parse_size(text, "--memory-limit")
    if found < LEAST:
        raise UsageError(f"--memory-limit {text}: give at least {LEAST // 10**6}MB")
    return found


def machine_bytes() -> int:
    """Physical memory, or what the control group allows where that is less (v2, then v1)."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in _cgroup_limits():
        found = min(found, limit)
    return found


def _cgroup_limits() -> list[int]:
    root = Path("/sys/fs/cgroup")
    places = [root / "memory.max", root / "memory" / "memory.limit_in_bytes"]
    try:
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            hierarchy, controllers, path = line.split(":", 2)
            base = root if hierarchy == "0" else root / "memory"
            if hierarchy == "0" or "memory" in controllers.split(","):
                # a limit of any ancestor holds as well
                group = Path(path.lstrip("/"))
                name = "memory.max" if hierarchy == "0" else "memory.limit_in_bytes"
                places += [base / parent / name for parent in (group, *group.parents)]
    except (OSError, ValueError):
        pass
    found: list[int] = []
    for place in places:
        try:
            text = place.read_text().strip()
        except OSError:
            continue
        if text.isdigit() and int(text) > 0:
            found.append(int(text))
    return found


def resident_bytes() -> int | None:
    """Of this process; None where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


class Budget:
    """Bytes of request bodies in flight, from their first byte to their answer.

    Soft limit: a body that would not fit is refused with "come back". Hard limit: while the whole
    process is over its memory limit and allowance, one body is let in at a time. A body that finds
    nothing else in flight is let in whatever its size and whatever else takes memory, since it
    could never be otherwise.
    All methods may be called from any thread.
    """

    def __init__(self, capacity: int, hard_limit: int | None = None) -> None:
        self.capacity = capacity
        self._hard_limit = hard_limit
        self._used = 0
        self._lock = threading.Lock()
        self._looked = 0.0
        self._over = False

    @property
    def used(self) -> int:
        return self._used

    def reserve(self, size: int) -> None:
        """Takes ``size`` bytes. Raises ``Overloaded``."""
        if self.exhausted():
            raise Overloaded("the collector is at its memory limit; send again later")
        with self._lock:
            if self._used and self._used + size > self.capacity:
                raise Overloaded("too many request bodies are in flight; send again later")
            self._used += size

    def grow(self, held: int, size: int) -> None:
        """Takes ``size`` more for a body that holds ``held`` already. Raises ``Overloaded``."""
        with self._lock:
            if self._used > held and self._used + size > self.capacity:
                raise Overloaded("too many request bodies are in flight; send again later")
            self._used += size

    def release(self, size: int) -> None:
        with self._lock:
            self._used -= size

    def exhausted(self) -> bool:
        """Whether the process is over its hard limit while a body is in flight; looked up at most
        ten times a second."""
        if self._hard_limit is None or not self._used:
            return False
        now = time.monotonic()
        if now - self._looked > 0.1:
            self._looked = now
            resident = resident_bytes()
            self._over = resident is not None and resident > self._hard_limit
            if self._over:
                _give_back()
        return self._over


def _give_back() -> None:
    """Asks the allocator for what it keeps of freed memory (glibc keeps holes for long)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
