"""What goes wrong around a collector: disks, clocks, memory, seen and caused from outside it."""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
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


def small_disks(sizes: Mapping[Path, int]) -> list[str] | None:
    """A command that starts another with a file system of its own at each directory, so many MiB
    large; seen by that process alone (``inside``). None where this is not permitted."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return None
    unshare = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    mounts = [
        f"mkdir -p {shlex.quote(str(place))} && mount -t tmpfs -o size={mib}m none {shlex.quote(str(place))}"
        for place, mib in sizes.items()
    ]
    script = " && ".join([*mounts, 'exec "$@"'])
    try:
        subprocess.run([*unshare, "sh", "-c", script, "sh", "true"], check=True, capture_output=True, timeout=20)  # fmt: skip
    except (subprocess.SubprocessError, OSError):
        return None
    return [*unshare, "sh", "-c", script, "sh"]


def inside(process: subprocess.Popen[Any], path: Path) -> Path:
    """``path`` as the process sees it."""
    return Path(f"/proc/{process.pid}/root{path}")


class Ballast:
    """A file that takes the room of a file system."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "ballast"
        self._full = threading.Event()
        self._thread: threading.Thread | None = None

    def fill(self, *, leave: int) -> None:
        """Takes all but ``leave`` bytes, once."""
        self._grow(leave)

    def keep_full(self) -> None:
        """Takes what others give back too, until ``remove``."""
        self._full.set()
        self._thread = threading.Thread(target=self._forever, daemon=True)
        self._thread.start()

    def remove(self) -> None:
        """Makes room."""
        self._full.clear()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._file.unlink(missing_ok=True)

    def _forever(self) -> None:
        while self._full.is_set():
            with suppress(OSError):
                self._grow(0)
            time.sleep(0.02)

    def _grow(self, leave: int) -> None:
        free = os.statvfs(self._file.parent)
        more = free.f_bavail * free.f_frsize - leave
        if more > 0:
            with self._file.open("ab") as file:
                os.posix_fallocate(file.fileno(), file.tell(), more)
