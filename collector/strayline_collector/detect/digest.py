"""What the history comes to, kept up with each load: by which ways messages went, and whether anything
ever happened that some detectors speak of. Small, and read in place of the history."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session

compute: Final[Any] = pyarrow.compute  # makes its functions at run time, unknown to types

_PLACE: Final = tuple((name, pa.string()) for name in ("environment", "broker", "vhost"))
_WAY: Final = (("exchange", pa.string()), ("routing_key", pa.string()))
_TABLES: Final = {
    "sent_ways": pa.schema(
        [
            *_PLACE,
            *_WAY,
            ("routing_headers", pa.string()),
            ("told", pa.bool_()),
            *((name, pa.int64()) for name in ("first_ns", "last_ns", "messages")),
        ]
    ),
    "came_ways": pa.schema(
        [*_PLACE, ("queue", pa.string()), *_WAY, ("died", pa.bool_()), ("batch", pa.int64())]
    ),
    "kinds_sent": pa.schema(
        [(name, pa.int64()) for name in ("message_kind", "least_way", "greatest_way")]
    ),
}
"""Each is made of what it was and the new loads, by the statement of its name."""
_STATEMENTS: Final = {
    "sent_ways": load("detect/sent_ways"),
    "came_ways": load("detect/came_ways"),
    "kinds_sent": load("detect/kinds_sent"),
}


REMEMBERED: Final = 10_000
"""So many ways may be remembered before they are counted again by what retention left, and after that twice
as many as were left: names of queues and keys that are one client's own come and go."""


class Digest:
    """Of the loads that were there when it was brought up to date last."""

    def __init__(self) -> None:
        self._enough = REMEMBERED
        self._begin()

    def _begin(self) -> None:
        self._tables = {name: schema.empty_table() for name, schema in _TABLES.items()}
        self._stirred: set[str] = set()
        self._until = 0

    def register(self, session: Session, newest: int) -> None:
        """Brings it up to load ``newest``, the snapshot's last, and registers its tables."""
        many = self._rows() > self._enough
        since = self._until
        if since and (many or not told_since(session, since + 1)):
            self._begin()  # or names of brokers changed, in old facts too
            since = 0
        for name, table in self._tables.items():
            session.register(name, table)
        if since < newest:
            for name, schema in _TABLES.items():
                found = session.table(_STATEMENTS[name], {"since": since}).cast(schema)
                self._tables[name] = found
            told = session.rows(load("detect/stirred"), {"since": since})[0]
            self._stirred |= {name for name, value in told.items() if value}
            self._until = newest
            for name, table in self._tables.items():
                session.register(name, table)
        if many:
            self._enough = max(REMEMBERED, 2 * self._rows())
        self._tell(session)

    def _rows(self) -> int:
        return sum(table.num_rows for table in self._tables.values())

    def stirred(self, causes: frozenset[str]) -> bool:
        """Whether any of ``causes`` (columns of ``detect/stirred``; `several`, `documents`) ever was."""
        return bool(self._stirred & causes)

    def _tell(self, session: Session) -> None:
        kinds = self._tables["kinds_sent"]
        self._set("several", compute.any(compute.not_equal(kinds["least_way"], kinds["greatest_way"])).as_py())  # fmt: skip
        self._set("documents", session.rows(load("detect/documents_told"))[0]["told"])

    def _set(self, name: str, holds: bool | None) -> None:
        if holds:
            self._stirred.add(name)
        else:
            self._stirred.discard(name)


def told_since(session: Session, batch: int) -> int:
    """The load before which nothing is about the messages of the loads from ``batch`` on; 0: unknown."""
    rows = session.rows(load("detect/told_since"), {"batch": batch})
    return int(rows[0]["since"])
