"""Whether every part of the demo still lives: the first that does not ends the whole."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final, Protocol

LOOK_S: Final = 0.1
GRACE_S: Final = 2.0
"""A part that dies closes its connections a moment before the system says that it has ended."""


class Part(Protocol):
    """Something that has to live as long as the demo."""

    def check(self) -> None:
        """Raises an error that says what died, and its last words."""
        ...


def check_all(parts: Sequence[Part]) -> None:
    """Raises the error of the first part that has died."""
    for part in parts:
        part.check()


def blame(parts: Sequence[Part]) -> None:
    """After a failure: raises the error of a part that has died, or is about to be seen dead;
    returns when all of them live."""
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline:
        check_all(parts)
        time.sleep(LOOK_S)


def run_watched(work: Callable[[], None], parts: Sequence[Part]) -> None:
    """Runs ``work`` beside the watch, and returns or raises as it does, or raises the error of
    the first part that dies. Work that waits for an answer which never comes is left behind."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            failed.append(error)

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    while worker.is_alive():
        check_all(parts)
        worker.join(LOOK_S)
    if failed:
        blame(parts)
        raise failed[0]
    check_all(parts)


@contextmanager
def interruptible() -> Generator[None]:
    """SIGTERM and SIGHUP (a closed terminal) end what is within as Ctrl-C does. Once one of the
    three has come, further ones no longer interrupt the cleaning up."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
