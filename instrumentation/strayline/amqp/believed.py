"""What this process said of the topology and still believes, to be told again: a collector that
began later, or lost what it had, learns it.

Told again is the last word on each thing, with the time that it had: who said otherwise later is
right, in the collector too. So ends (deletes, unbinds) are remembered as well, or another process's
older word would stand where a collector hears only that. Purges and passive declares are events
and no belief.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from strayline import conventions as c
from strayline.amqp.facts import Broker
from strayline.guard import log
from strayline.lifecycle import after_fork
from strayline.provider import say
from strayline.stamp import stamper

MAX_STANDING: Final = 5_000
"""Exchanges, queues and bindings remembered; about 900 bytes each, three microseconds to note."""
MAX_ENDED: Final = 1_000
"""Deletes and unbinds remembered."""
MAX_PLACES: Final = 100
"""Brokers and vhosts whose first word is remembered."""
ITEMS: Final = 100
"""Told again in one span."""

Subject = tuple[Any, ...]
"""A place, a kind, a name; of a binding source, destination, its kind, key and arguments."""


@dataclass(frozen=True, slots=True)
class Word:
    """The last word on one thing."""

    text: str
    """The item as JSON, its time in it."""
    broker: Broker
    fleeting: bool
    """Exclusive or auto-delete: gets lost with the connection, and nobody says so."""
    ends: tuple[Subject, ...] = ()
    """Of a binding: the things without which it is not."""


class Beliefs:
    """What stands and what was ended, so many of each at most. Not safe in threads by itself."""

    def __init__(self, standing: int = MAX_STANDING, ended: int = MAX_ENDED) -> None:
        self._most = standing, ended
        self._standing: OrderedDict[Subject, Word] = OrderedDict()
        self._ended: OrderedDict[Subject, Word] = OrderedDict()
        self._bound_at: defaultdict[Subject, set[Subject]] = defaultdict(set)
        """Standing bindings by either end."""
        self._first: dict[Subject, tuple[Subject, Word]] = {}
        """The first lasting declare at each broker and vhost, with its subject: it says since when this
        process has a word, and so which of two releases is the newer, however late the last word."""
        self.forgotten = 0
        """Words that found no room."""

    def note(self, broker: Broker, item: Mapping[str, Any], text: str, arguments: str) -> None:
        """``text`` is ``item`` as JSON with its time; ``arguments`` are its own, in one order."""
        action, kind = item.get("action"), str(item.get("kind"))
        if action not in ("declare", "delete", "bind", "unbind"):
            return
        place = (broker.name, broker.vhost, broker.host, broker.port)
        ends: tuple[Subject, ...] = ()
        if kind == "binding":
            source, destination = item.get("source_name"), item.get("destination")
            to = item.get("destination_kind")
            subject = (*place, kind, source, destination, to, item.get("routing_key"), arguments)
            ends = ((*place, "exchange", source), (*place, to, destination))
        else:
            subject = (*place, kind, item.get("name"))
        fleeting = bool(item.get("exclusive") or item.get("auto_delete"))
        word = Word(text, broker, fleeting, ends)
        if action == "declare" and not fleeting and len(self._first) < MAX_PLACES:
            self._first.setdefault(place, (subject, word))
        if action in ("declare", "bind"):
            self._stand(subject, word)
        else:
            self._end(subject, word)

    def words(self) -> list[Word]:
        """All of them, without what got lost with its connection."""
        for subject, word in list(self._standing.items()):
            if word.fleeting and word.broker.is_gone():
                self._lose(subject)
        first = [word for of, word in self._first.values() if self._standing.get(of) is not word]
        return [*first, *self._standing.values(), *self._ended.values()]

    def _stand(self, subject: Subject, word: Word) -> None:
        if word.ends:  # a queue's delete stands beside its next declare: it ended its bindings
            self._ended.pop(subject, None)
        self._remove(subject)
        self._standing[subject] = word
        for end in word.ends:
            self._bound_at[end].add(subject)
        if len(self._standing) > self._most[0]:
            self._remove(next(iter(self._standing)))
            self.forgotten += 1

    def _end(self, subject: Subject, word: Word) -> None:
        before = self._standing.get(subject)
        self._lose(subject)
        self._ended.pop(subject, None)
        if (
            before is None or not before.fleeting
        ):  # what is one connection's nobody else believes in
            self._ended[subject] = word
            if len(self._ended) > self._most[1]:
                self._ended.popitem(last=False)
                self.forgotten += 1

    def _lose(self, subject: Subject) -> None:
        """It is no more, nor the bindings from and to it."""
        self._remove(subject)
        for binding in tuple(self._bound_at.get(subject, ())):
            self._remove(binding)

    def _remove(self, subject: Subject) -> None:
        word = self._standing.pop(subject, None)
        for end in () if word is None else word.ends:
            bindings = self._bound_at[end]
            bindings.discard(subject)
            if not bindings:
                del self._bound_at[end]


_lock = threading.Lock()
_beliefs = Beliefs()


def believe(broker: Broker, item: Mapping[str, Any], text: str, arguments: str) -> None:
    """Remembers what was just told: see ``Beliefs.note``."""
    with _lock:
        before = _beliefs.forgotten
        _beliefs.note(broker, item, text, arguments)
        first = not before and _beliefs.forgotten
    if first:
        log.warning(
            "so many exchanges, queues and bindings that the oldest are not told again to a collector that begins later"
        )


def tell_again() -> int:
    """Says all of it once more, in as few spans; returns how many items that were."""
    with _lock:
        words, forgotten = _beliefs.words(), _beliefs.forgotten
    by_place: dict[tuple[Any, ...], list[Word]] = {}
    for word in words:
        by_place.setdefault(tuple(word.broker.attributes().items()), []).append(word)
    for place, told in by_place.items():
        for start in range(0, len(told), ITEMS):
            # the items are JSON already: telling 5,000 takes 6 ms of a thread
            items = ", ".join(word.text for word in told[start : start + ITEMS])
            document = f'{{"items": [{items}], "again": true, "forgotten": {forgotten}}}'
            # a census by its name: collectors that do not know of this leave it alone
            say(c.CENSUS_SPAN, {c.TOPOLOGY: document, c.EPOCH: stamper.epoch, **dict(place)})
    return len(words)


def _in_child() -> None:
    """It has said nothing yet."""
    global _lock, _beliefs
    _lock, _beliefs = threading.Lock(), Beliefs()


after_fork(_in_child)
