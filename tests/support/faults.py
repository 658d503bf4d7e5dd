"""What goes wrong around a collector: disks, clocks, memory, seen and caused from outside it."""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def full_disk(process: subprocess.Popen[Any]) -> Iterator[None]:
    """No file of the process can grow while this lasts: what a full disk does to it, on any
    machine (the error is EFBIG instead of ENOSPC)."""
    soft, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (soft, hard))


def peak_mib(process: subprocess.Popen[Any]) -> float:
    """The most memory that was ever resident."""
    return _status_kb(process, "VmHWM") / 1024


def resident_mib(process: subprocess.Popen[Any]) -> float:
    """Memory resident now."""
    return _status_kb(process, "VmRSS") / 1024


def wait_for(condition: Callable[[], Any], timeout: float = 20.0) -> Any:
    """What ``condition()`` gives once that is true; fails after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s"
        time.sleep(0.05)
    return found


def _status_kb(process: subprocess.Popen[Any], name: str) -> int:
    with open(f"/proc/{process.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name + ":"))
