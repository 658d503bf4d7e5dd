"""One channel object of a client library, with what it has published and not yet settled."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from strayline.amqp import topology
from strayline.amqp.consuming import Consuming
from strayline.amqp.facts import Broker
from strayline.amqp.publishing import Publishing
from strayline.guard import survived
from strayline.lifecycle import after_fork
from strayline.stamp import stamper

MAX_FINISHED: Final = 10_000
"""Channels that ended since the last census; whoever opens one a message loses the oldest."""


class Channel(Publishing, Consuming):
    """What a shim keeps for each channel object of its client library."""

    def __init__(self, broker: Broker) -> None:
        self.last_queue = ""
        super().__init__(broker)
        with _lock:
            _open.add(self)

    def _begin(self) -> None:
        super()._begin()
        if _watcher is not None:
            with survived("telling of a channel"):
                _watcher()

    def declared(self, item: Mapping[str, Any]) -> None:
        """Reports one thing that the broker has just agreed to: see ``docs/messages.md``."""
        if item.get("kind") == "exchange" and item.get("type") == "headers":
            self.header_exchanges.add(str(item.get("name")))
        topology.report(self.broker, item)

    def tx_selected(self) -> None:
        """``tx.select`` agreed: publishes and settlements hold once committed."""
        self.in_transaction = True

    def tx_committed(self) -> None:
        self._end_transaction("committed")
        self._end_settlements(committed=True)

    def tx_rolled_back(self) -> None:
        self._end_transaction("rolled_back")
        self._end_settlements(committed=False)

    def closed(self) -> None:
        """The channel is closed: what was not told by now never will be."""
        self._close_publishing()
        self._end_settlements(committed=False)

    def told(self) -> dict[str, Any]:
        """What the census says of it: highest ``n``, highest delivery tag, unsettled tags."""
        document: dict[str, Any] = {"channel": self.number, "n": self.n}
        if self.queues:
            document["queues"] = sorted(self.queues)
            document["broker"] = self.broker.known_as()
            document["vhost"] = self.broker.vhost
            document["delivery_tag"] = self.highest_tag
            document["unsettled"] = sorted(
                tag for tag, delivery in list(self.deliveries.items()) if not delivery.settled
            )[:1000]
        return document

    def __del__(self) -> None:
        if self.epoch is stamper.epoch and (self.n or self.queues):
            _finished.append({**self.told(), "closed": True})


def set_channel_watcher(watcher: Callable[[], None] | None) -> None:
    """``watcher`` hears of each channel that is new in this process, a forked one's too."""
    global _watcher
    _watcher = watcher


def open_channels() -> list[Channel]:
    """Every channel object of this process still alive, in the order of their making."""
    with _lock:
        found = list(_open)
    return sorted((ch for ch in found if ch.epoch is stamper.epoch), key=lambda ch: ch.number)


def finished_channels() -> list[dict[str, Any]]:
    """The last words of channels that went since this was last asked."""
    found: list[dict[str, Any]] = []
    while _finished:
        found.append(_finished.popleft())
    return found


_open: Final[weakref.WeakSet[Channel]] = weakref.WeakSet()
_lock = threading.Lock()
_watcher: Callable[[], None] | None = None
_finished: Final[deque[dict[str, Any]]] = deque(maxlen=MAX_FINISHED)


def _in_child() -> None:
    global _lock
    _lock = threading.Lock()
    _finished.clear()


after_fork(_in_child)
