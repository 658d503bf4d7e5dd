"""What the history comes to, kept up with each load: by which ways messages went, and whether anything
ever happened that some detectors speak of. Small, and read in place of the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session

compute: Final[Any] = pyarrow.compute  # makes its functions at run time, unknown to types

REMEMBERED: Final = 10_000
"""So many ways may be remembered before they are counted again by what retention left, and after that twice
as many as were left: names of queues and keys that are one client's own come and go."""

_PLACE: Final = ("environment", "broker", "vhost")
_WAY: Final = ("exchange", "routing_key")


@dataclass(frozen=True, slots=True)
class _Sum:
    """A table that news add up to: by which of their columns, and how the others add up."""

    by: tuple[str, ...]
    others: Mapping[str, str]
    needs: tuple[str, ...] = ()
    """News that lack one of these add nothing."""

    def of(self, news: pa.Table, before: pa.Table | None) -> pa.Table:
        for name in self.needs:
            news = news.filter(compute.is_valid(news[name]))
        columns = [*self.by, *self.others]
        rows = news.select(columns)
        if before is not None:
            rows = pa.concat_tables([before, rows])
        found = rows.group_by(list(self.by)).aggregate(list(self.others.items()))
        names = {f"{name}_{how}": name for name, how in self.others.items()}
        renamed = found.rename_columns([names.get(name, name) for name in found.column_names])
        return renamed.select(columns)


@dataclass(frozen=True, slots=True)
class _News:
    """What a statement tells of the loads after ``$since``."""

    statement: str
    sums: Mapping[str, _Sum]
    stirs: tuple[str, ...]
    """Columns of which is remembered whether one ever held."""


_NEWS: Final = (
    _News(
        load("detect/sent_news"),
        {
            "sent_ways": _Sum(
                (*_PLACE, *_WAY, "routing_headers", "told"),
                {"first_ns": "min", "last_ns": "max", "messages": "sum"},
                _WAY,
            ),
            "kinds_sent": _Sum(
                ("message_kind",), {"least_way": "min", "greatest_way": "max"}, ("least_way",)
            ),
        },
        ("returned", "doubtful", "spoken"),
    ),
    _News(
        load("detect/came_news"),
        {
            "came_ways": _Sum(
                (*_PLACE, "queue", *_WAY, "died", "dead"), {"batch": "max", "last_ns": "max"}
            )
        },
        ("refused", "dead", "unnamed", "orphaned"),
    ),
)
"""``sent_ways``: every way of publishing that was seen, with the times of its first and last publish; ``told``: their
success was. ``kinds_sent``: every kind of message (``detect/outlier.sql``), and whether it went more than one way.
``came_ways``: every way by which messages were delivered; ``died``: after they had died somewhere; ``dead``: they may
have died there; ``batch``, ``last_ns``: the last load that told of it, and when the last was received. A way stays, also
where its messages have gone or turned out otherwise: what it leads to is always asked of the facts."""


@dataclass(frozen=True, slots=True)
class _Known:
    until: int = -1
    """The last load it is of."""
    tables: Mapping[str, pa.Table] = field(default_factory=dict[str, pa.Table])
    stirred: frozenset[str] = frozenset()

    def rows(self) -> int:
        return sum(table.num_rows for table in self.tables.values())

    def brought_up(self, session: Session, newest: int) -> _Known:
        tables: dict[str, pa.Table] = {}
        stirred = set(self.stirred)
        for told in _NEWS:
            news = session.table(told.statement, {"since": self.until})
            tables |= {n: s.of(news, self.tables.get(n)) for n, s in told.sums.items()}
            stirred |= {name for name in told.stirs if compute.any(news[name]).as_py()}
        return _Known(newest, tables, frozenset(stirred))


class Digest:
    """Of the loads that were there when it was brought up to date last."""

    def __init__(self) -> None:
        self._enough = REMEMBERED
        self._known = _Known()
        self._now: frozenset[str] = frozenset()

    def register(self, session: Session, newest: int) -> None:
        """Brings it up to load ``newest``, the snapshot's last, and registers its tables."""
        known = self._known
        many = known.rows() > self._enough
        if known.until > 0 and (many or not told_since(session, known.until + 1)):
            known = _Known()  # or names of brokers changed, in old facts too
        if known.until < newest:
            known = known.brought_up(session, newest)
        if many:
            self._enough = max(REMEMBERED, 2 * known.rows())
        for name, table in known.tables.items():
            session.register(name, table)
        self._known = known
        self._now = frozenset(name for name, holds in _now(session, known).items() if holds)

    def stirred(self, causes: frozenset[str]) -> bool:
        """Whether any of ``causes`` (``stirs`` of the news; `several`, `documents`) ever was."""
        return bool((self._known.stirred | self._now) & causes)


def _now(session: Session, known: _Known) -> dict[str, bool]:
    """What may not hold for ever once it did."""
    kinds = known.tables["kinds_sent"]
    several = compute.any(compute.not_equal(kinds["least_way"], kinds["greatest_way"])).as_py()
    documents = session.rows(load("detect/documents_told"))[0]["told"]
    return {"several": bool(several), "documents": bool(documents)}


def told_since(session: Session, batch: int) -> int:
    """The load before which nothing is about the messages of the loads from ``batch`` on; 0: unknown."""
    rows = session.rows(load("detect/told_since"), {"batch": batch})
    return int(rows[0]["since"])
