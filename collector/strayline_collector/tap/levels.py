"""How many messages RabbitMQ says lie in its queues, as times in which one thing held.

A queue is `empty`, or all it has is `handed` to consumers, or some are `waiting` while it hands
nothing out. What changes from look to look (a queue that works) says nothing and is not kept, so
that a busy broker costs no more room than an idle one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pyarrow as pa

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session

_COUNTS: Final = ("messages_ready", "messages_unacknowledged", "consumers")
COLUMNS: Final = ",".join((*_COUNTS, "message_stats.deliver_get"))
"""Of the management API's list of queues; RabbitMQ renews them every 5 s unless told otherwise."""

QUIET_NS: Final = 60_000_000_000
"""Without a look for longer (the broker did not answer), what held before and holds again are two times."""

State = Literal["empty", "handed", "waiting"]
Place = tuple[str, str]
"""A vhost and a queue of it."""

_SCHEMA: Final = pa.schema(
    [
        ("vhost", pa.string()),
        ("queue", pa.string()),
        ("state", pa.string()),
        ("from_ns", pa.int64()),
        ("ready", pa.int64()),
        ("unacknowledged", pa.int64()),
        ("consumers", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Level:
    """What one look says of one queue."""

    ready: int
    unacknowledged: int
    consumers: int
    given: int | None
    """Deliveries since the queue was made, repeated ones too; None where RabbitMQ does not count them."""

    @property
    def state(self) -> State:
        if self.ready:
            return "waiting"
        return "handed" if self.unacknowledged else "empty"

    def goes_on(self, before: Level) -> bool:
        """Whether what held ``before`` holds still. Where nobody counts what is handed out, nothing is known to wait:
        a queue without consumers may be asked for its messages one by one (``basic.get``)."""
        if self.state != before.state:
            return False
        return self.state != "waiting" or (self.given is not None and self.given == before.given)


def read_levels(queues: Iterable[Mapping[str, Any]]) -> dict[Place, Level]:
    """The levels of the management API's list of queues; of those that belong to one connection, and
    of those that RabbitMQ has counted nothing of yet, none."""
    found: dict[Place, Level] = {}
    for queue in queues:
        counts = [queue.get(name) for name in _COUNTS]
        counted = [count for count in counts if isinstance(count, int)]
        if len(counted) == len(_COUNTS) and not queue.get("exclusive"):
            place = (str(queue["vhost"]), str(queue["name"]))
            found[place] = Level(*counted, given=_given(queue.get("message_stats")))
    return found


def _given(stats: object) -> int | None:
    """RabbitMQ writes an empty list where nothing was ever delivered, and nothing where it does not count."""
    if isinstance(stats, Sequence):
        return 0
    return stats.get("deliver_get", 0) if isinstance(stats, Mapping) else None


@dataclass(slots=True)
class _Standing:
    level: Level
    from_ns: int
    kept: Level | None = None
    """As it was written last; None: not yet."""

    def due(self, now_ns: int) -> bool:
        """Whether it is to be written: at once, of what waits at the second look (it may be on its way) and
        whenever its numbers change."""
        if self.level.state == "waiting":
            return self.from_ns < now_ns and self.kept != self.level
        return self.kept is None


@dataclass(slots=True)
class Levels:
    """What holds of each queue of one broker, and the writing of it. After a restart all begins anew."""

    document: str
    _standing: dict[Place, _Standing] = field(default_factory=dict[Place, _Standing])
    _last_ns: int | None = None

    def keep(
        self,
        session: Session,
        levels: Mapping[Place, Level],
        *,
        broker: str | None,
        batch: int,
        checked_ns: int | None,
        now_ns: int,
    ) -> None:
        """Writes what ended and what began, in the caller's transaction. ``checked_ns``: the last look
        before, of an earlier process perhaps; ``now_ns``: this one. ``batch`` is the load that it belongs to."""
        begins_anew = self._last_ns is None or now_ns - self._last_ns > QUIET_NS
        before = {} if begins_anew else self._standing
        standing = {
            place: _Standing(level, was.from_ns, was.kept)
            if (was := before.get(place)) is not None and level.goes_on(was.level)
            else _Standing(level, now_ns)
            for place, level in levels.items()
        }
        ended = [
            p
            for p, was in before.items()
            if was.kept and (p not in standing or not standing[p].kept)
        ]
        due = {place: it for place, it in standing.items() if it.due(now_ns)}
        named = {"document": self.document}
        if begins_anew:
            session.execute(
                load("tap/levels_end_all"), {**named, "batch": batch, "last_ns": checked_ns}
            )
        if ended:
            session.register("places", _table({p: before[p] for p in ended}))
            session.execute(
                load("tap/levels_end"), {**named, "batch": batch, "last_ns": checked_ns}
            )
        if due:
            session.register("levels", _table(due))
            session.execute(load("tap/levels_forget"), named)
            session.execute(load("tap/levels_begin"), {**named, "broker": broker})
        for it in due.values():
            it.kept = it.level
        self._standing, self._last_ns = standing, now_ns


def _table(standing: Mapping[Place, _Standing]) -> pa.Table:
    rows = [
        (*place, it.level.state, it.from_ns, it.level.ready, it.level.unacknowledged, it.level.consumers)
        for place, it in standing.items()
    ]  # fmt: skip
    columns = zip(*rows, strict=True)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, _SCHEMA, strict=True)], _SCHEMA)
