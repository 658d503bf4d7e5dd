"""What a detector is: SQL that names the keys new facts touch, and SQL that judges a key.

A verdict is a pure function of all the facts of its key, never of their order of arrival: the
runner judges touched keys again from the whole history and replaces what was said of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from strayline_collector.detect.memory import Memory
from strayline_collector.store.ports import Session

Prepare = Callable[[Session], bool | None]
"""Registers what a detector's SQL joins but SQL would say unreadably (routes through a topology). False:
by that there is nothing to say, and the history need not be read."""


@dataclass(frozen=True, slots=True)
class Detector:
    """One kind of judgement.

    ``touched`` selects ``key`` of every key with facts of a load after ``$since``; nothing that loads
    before ``$from`` brought is about the same messages. ``judge`` (which may use both too)
    reads the registered table ``touched(key)`` and selects rows with the columns of
    ``judgements`` except ``detector``. ``near`` selects what ``judge`` reads of the touched keys' facts, as a table of
    that name: without any nothing is said, and detectors with the same ``touched`` and ``near`` share it. A ``population`` judges everything at once under one
    key, since each of its verdicts rests on all messages: it runs less often. ``clocked``: time
    alone changes its verdicts (something that should have come by now), so that it is judged
    again although nothing came; it is a population too, and judges at ``moment.now_ns``; its ``touched``
    may use ``$judged_ns``, the moment at which it judged last (0 before the first). ``touched`` may use ``$dead``, whether
    anything ever was (``Digest.stirred``): bound values are constants when a statement is planned, and what can have no rows is
    left out. ``pause_s``: runs
    at most so often while traffic flows, since it reads much and what it says is nobody's alarm.

    Beside ``touched`` the SQL may join what is prepared once a run: ``queue_traits`` (see there), what
    the history comes to (``detect/digest.py``),
    ``unheard``, the times in which no collector listened, and ``unheard_services``, those in which a
    service may have declared what nobody was told of (``detect/absence.py``), ``thresholds``, one row of the numbers a user may
    set (``detect/thresholds.py``), and ``moment``, one row with ``now_ns``, the event time up to which absence is judged.
    """

    name: str
    touched: str = ""
    judge: str = ""
    near: str = ""
    prepare: Prepare | None = None
    population: bool = False
    clocked: bool = False
    pause_s: float = 0.0
    only_with: frozenset[str] = frozenset()
    """It has nothing to say unless one of these was ever told (``Digest.stirred``); empty: always asked."""
    memory: Callable[[], Memory] | None = None
    """Judges new loads by what it remembers of the others, in place of ``touched`` and ``judge``."""
    version: Callable[[Session], str] | None = None
    """What its verdicts rest on beside facts; when that changes, everything is judged again."""
