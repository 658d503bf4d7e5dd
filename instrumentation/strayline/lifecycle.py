"""What has to be done when this process ends and when it forks, in one place and in order.

A process ends in more ways than ``atexit`` sees:

==========================================  ==================================================
way                                         how we hear of it
==========================================  ==================================================
return, ``sys.exit``, unhandled exception   ``atexit``; a child of ``os.fork`` inherits it
child of ``multiprocessing`` or billiard    a finalizer of ``multiprocessing.util``, since such
                                            children end by ``os._exit`` after running those
Celery's prefork children                   ``worker_process_shutdown``; billiard's pool ends
                                            by ``os._exit`` without any finalizer
a server that dies of its own SIGTERM       the server's shim calls ``leave()``
``os._exit``, SIGTERM by default, SIGKILL   not at all: what the last export left is lost
==========================================  ==================================================
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from strayline.guard import survived

Callback = Callable[[], None]
EXIT_S: Final = 2.0
"""Leaving takes at most this long in all: a script must not hang on its telemetry."""
_LAST_OF_ALL: Final = -1_000_000
"""``multiprocessing`` runs finalizers of higher priority first: the queues' own, for one."""

_leaving: Final[list[Callback]] = []
_leaving_last: Final[list[Callback]] = []
_forked: Final[list[Callback]] = []
_lock = threading.Lock()
_spent_s = 0.0
_since: float | None = None


def at_exit(callback: Callback, *, last: bool = False) -> None:
    """Calls ``callback`` when the process ends, in the order of registration, those with ``last``
    after all others: what speaks a last word, then what sends it.

    It may be called more than once, since nobody knows which end is the last, and in a forked
    child too: it should send what is there within ``time_left()`` and leave everything usable. No
    thread can be started by then (Python 3.12). What is registered twice is called once.
    """
    with _lock:
        callbacks = _leaving_last if last else _leaving
        if callback not in callbacks:
            callbacks.append(callback)


def after_fork(callback: Callback) -> None:
    """Calls ``callback`` in each forked child before anything else of ours runs there, in the
    order of registration. Locks may be held by threads that the child does not have."""
    with _lock:
        if callback not in _forked:
            _forked.append(callback)


def leave() -> None:
    """The process is about to end: calls what ``at_exit`` was given. Never raises."""
    global _since, _spent_s
    _since = time.monotonic()
    for callback in (*_leaving, *_leaving_last):
        with survived("leaving the process"):
            callback()
    _spent_s += time.monotonic() - _since
    _since = None


def time_left() -> float:
    """Seconds that leaving may still take: ``EXIT_S`` less what it took so far, however often."""
    now = 0.0 if _since is None else time.monotonic() - _since
    return max(0.0, EXIT_S - _spent_s - now)


def _in_child() -> None:
    global _lock, _since, _spent_s
    _lock, _since, _spent_s = threading.Lock(), None, 0.0
    for callback in _forked:
        with survived("starting over in a forked child"):
            callback()
    _hear_of_the_end()


def _hear_of_the_end() -> None:
    """Where children of libraries that end by ``os._exit`` tell of it; asked in each child and at
    import, because only a process that uses them has them loaded."""
    with survived("waiting for the end of a child process"):
        util: Any = sys.modules.get("multiprocessing.util")
        if util is not None:
            _owner.finalize()  # for children of a forkserver, and when imported by a child's work
            # a forked child forgets the finalizers it was born with, then runs these
            util.register_after_fork(_owner, _Owner.finalize)
        signals: Any = sys.modules.get("celery.signals")
        if signals is not None:
            signals.worker_process_shutdown.connect(
                _celery_child_ends, weak=False, dispatch_uid="strayline"
            )


class _Owner:
    """``multiprocessing`` knows its callbacks by an object that lives as long as they are wanted."""

    def finalize(self) -> None:
        util: Any = sys.modules["multiprocessing.util"]
        util.Finalize(None, _process_child_ends, exitpriority=_LAST_OF_ALL)


def _process_child_ends() -> None:
    if sys.modules["multiprocessing.process"].parent_process() is not None:  # else by atexit
        leave()


def _celery_child_ends(**_: Any) -> None:
    leave()


_owner: Final = _Owner()
atexit.register(leave)
os.register_at_fork(after_in_child=_in_child)
_hear_of_the_end()
