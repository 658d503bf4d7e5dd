"""Judging order without reading the whole history each time (docs/adr/016).

Of each producing channel and queue *cuts* are remembered: counts ``n`` such that everything sent
later also came later, in every way that order is judged by. What lies before a cut can neither
overtake nor be overtaken by what is behind it, so new facts are judged with those behind the last
cut that they themselves lie behind. A late fact goes back to an earlier cut, or to the first message.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute

from strayline_collector.detect.digest import told_since
from strayline_collector.detect.memory import Reach, packed, unpacked
from strayline_collector.detect.retries import register_retries
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

compute: Final[Any] = pyarrow.compute  # makes its functions at run time, unknown to types

SILENT_NS: Final = 60_000_000_000
GONE_NS: Final = 600_000_000_000
"""A consuming channel that took nothing for so long, while others of its host did, has probably ended, and
so has a host, or a producing channel, of which nothing came for so long. Those that have not only cost
more: what comes by them is judged from further back."""

REMEMBERED: Final = 10_000
"""So many rows may be remembered before it is asked which of them are about deliveries that retention dropped,
and after that twice as many as were left."""

_CUTS: Final = pa.schema(
    [
        ("k", pa.int64()),
        ("c", pa.int64()),
        ("n", pa.int64()),
        ("clock", pa.int64()),
        ("lane", pa.int64()),
        *((name, pa.int64()) for name in ("delivery_tag", "placed_ns", "completed_ns", "done_ns")),
        ("since_batch", pa.int64()),
    ]
)
_LANES: Final = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("environment", "broker", "vhost", "queue", "clock", "lane", "epoch")
        ),
        *(
            (name, pa.int64())
            for name in (
                "channel",
                "first_ns",
                "last_ns",
                "lane_id",
                "clock_id",
                "last_tag",
                "last_done_ns",
            )
        ),
    ]
)
_KEYS: Final = pa.schema(
    [
        ("k", pa.int64()),
        *(
            (name, pa.string())
            for name in ("key", "environment", "broker", "vhost", "queue", "producer")
        ),
    ]
)
_MESSAGES: Final = pa.schema([("k", pa.int64()), ("c", pa.int64()), ("n", pa.int64())])
_RETRIED: Final = pa.schema(
    [*_MESSAGES, ("first_channel", pa.int64()), ("first_n", pa.int64()), ("last_ns", pa.int64())]
)
_LEANING: Final = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("key", "message", "environment", "broker", "vhost", "queue", "clock")
        ),
        ("lane", pa.string()),
        ("lanes", pa.list_(pa.string())),
        *((name, pa.int64()) for name in ("fresh", "received_ns", "delivery_tag")),
        ("epoch", pa.string()),
        ("channel", pa.int64()),
        ("counted", pa.bool_()),
        ("rests_on", pa.string()),
    ]
)
_TABLES: Final = {
    "cuts": _CUTS,
    "lanes": _LANES,
    "named": _KEYS,
    "retried": _RETRIED,
    "leaning": _LEANING,
}
"""What is remembered, as tables. Where hashes are made of something else, one gets another name: what was written
by others is not read."""
_COLUMNS: Final = {name: schema.names for name, schema in _TABLES.items()}
_TOUCHED: Final = pa.schema([("key", pa.string()), ("c", pa.int64()), ("n", pa.int64())])


@dataclass(frozen=True, slots=True)
class _Said:
    """What order rests on that is said of queues and exchanges, and by which facts."""

    facts: Row
    queues: dict[Any, Row]
    exchanges: frozenset[Any]

    def told(self) -> dict[str, Any]:
        """As JSON tells it."""
        exchanges = sorted(map(list, self.exchanges), key=repr)
        return {"facts": self.facts, "queues": [*self.queues.values()], "exchanges": exchanges}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> _Said:
        queues = {_place(row): row for row in told["queues"]}
        return cls(told["facts"], queues, frozenset(map(tuple, told["exchanges"])))


@dataclass(frozen=True, slots=True)
class _Known:
    """What is remembered between two runs."""

    cuts: pa.Table = field(default_factory=_CUTS.empty_table)
    lanes: pa.Table = field(default_factory=_LANES.empty_table)
    named: pa.Table = field(default_factory=_KEYS.empty_table)
    retried: pa.Table = field(default_factory=_RETRIED.empty_table)
    leaning: pa.Table = field(default_factory=_LEANING.empty_table)
    said: _Said | None = None

    def rows(self) -> int:
        return sum(getattr(self, name).num_rows for name in _TABLES)


class OrderMemory:
    """Keeps ``Memory`` for `reordered`."""

    gone = load("detect/reordered_gone")

    def __init__(self) -> None:
        self._known = _Known()
        self._next = self._known
        self._enough = REMEMBERED

    def keep(self) -> None:
        self._known = self._next

    def written(self) -> bytes:
        known = self._next
        return packed(
            {name: getattr(known, name) for name in _TABLES},
            None if known.said is None else known.said.told(),
        )

    def read(self, written: bytes) -> bool:
        tables, said = unpacked(written)
        if {name: table.column_names for name, table in tables.items()} != _COLUMNS:
            return False
        tables = {name: tables[name].cast(schema) for name, schema in _TABLES.items()}
        self._known = _Known(**tables, said=None if said is None else _Said.of(said))
        self._next = self._known
        return True

    def judge(self, session: Session, reach: Reach) -> tuple[pa.Table, pa.Table]:
        found = self._judge(session, reach)
        if self._next.rows() > self._enough:
            self._next = _kept(session, self._next)
            self._enough = max(REMEMBERED, 2 * self._next.rows())
        return found

    def _judge(self, session: Session, reach: Reach) -> tuple[pa.Table, pa.Table]:
        known = self._known if reach.since else _Known()
        since, newest = reach.since, reach.newest
        changed = session.table(
            load("detect/reordered_rows"), {"after": since, "upto": newest, "from": 0}
        )
        session.register("changed", changed)
        session.register("ends", known.lanes)
        session.register("ends_before", known.lanes)
        lanes = session.table(load("detect/reordered_lanes"), {"since": since}).cast(_LANES)
        session.register("ends", lanes)
        session.register("order_keys", known.named)
        keys = _keys(session, known, changed, lanes)
        session.register("order_keys", keys)
        said = _said(session, known.said)
        register_retries(session)
        session.register("cuts", known.cuts)
        session.register("retried_before", known.retried)
        tried_again = session.table(load("detect/reordered_again"))
        session.register("tried_again", tried_again)
        also, whole = _MESSAGES.empty_table(), pa.table({"k": pa.array([], pa.int64())})
        if since:
            bounds = {"since": since, "from": told_since(session, since + 1)}
            published = session.table(load("detect/reordered_published"), bounds).cast(_MESSAGES)
            parts = [published, self._leaning_otherwise(session, known, keys)]
            if tried_again.num_rows or known.retried.num_rows:
                retried = session.table(load("detect/reordered_retried"), {"since": since})
                parts.append(retried.cast(_MESSAGES))
            also = pa.concat_tables(parts)
            whole = _otherwise(keys, known.said, said)
        session.register("also", also)
        session.register("whole", whole)
        kinds = {"ended": _any_ended(known.cuts), "keyed": _any_keyed(known.cuts)}
        starts = session.table(load("detect/reordered_starts"), kinds)
        if since and _may_spread(known, changed, tried_again):
            session.register("starts", starts)
            spread = session.table(load("detect/reordered_spread")).cast(whole.schema)
            if spread.num_rows:
                session.register("whole", pa.concat_tables([whole, spread]))
                starts = session.table(load("detect/reordered_starts"), kinds)
        if not starts.num_rows:
            self._next = replace(known, lanes=lanes, named=keys, said=said)
            return _TOUCHED.empty_table(), starts
        session.register("starts", starts)
        begin = int(compute.min(starts["since_batch"]).as_py())
        window = changed
        if begin <= since and since:
            older = {"after": -1, "upto": since, "from": begin}
            session.register("older", session.table(load("detect/reordered_rows"), older))
            window = pa.concat_tables([changed, session.table(load("detect/reordered_behind"))])
        session.register("window_rows", window)
        session.register("placed", _placed(session, window))
        retried = _MESSAGES.empty_table()
        if tried_again.num_rows:
            retried = session.table(load("detect/reordered_needed_retries"))
        session.register("retried", retried)
        needed = session.table(load("detect/reordered_needed"))
        session.register("needed", needed)
        told, leans = needed.slice(0, 0), needed.slice(0, 0)
        if needed.num_rows:
            bounds = {"from": begin, "told_from": told_since(session, begin)}
            found = session.table(load("detect/reordered"), bounds)
            is_leaning = compute.equal(found["role"], "leaning")
            told, leans = found.filter(compute.invert(is_leaning)), found.filter(is_leaning)
        touched = starts.join(keys.select(["k", "key"]), "k", join_type="inner").select(
            _TOUCHED.names
        )
        session.register("touched", touched)
        rests = {"newest": newest, "silent_ns": SILENT_NS, "gone_ns": GONE_NS}
        self._next = _Known(
            cuts=session.table(load("detect/reordered_cuts"), rests).cast(_CUTS),
            lanes=lanes,
            named=keys,
            retried=_retried(session, known.retried, tried_again),
            leaning=_leaning(session, known.leaning, leans),
            said=said,
        )
        return touched, told

    def _leaning_otherwise(self, session: Session, known: _Known, keys: pa.Table) -> pa.Table:
        """The messages whose cause rests on something that is no longer so."""
        if not known.leaning.num_rows:
            return _MESSAGES.empty_table()
        named = {row["key"]: row["k"] for row in keys.to_pylist()}
        rested = dict(_rests_on(known.leaning))
        session.register("leaning", known.leaning)
        now = session.table(load("detect/reordered_leaning"))
        moved = [place for place, rests_on in _rests_on(now) if rested[place] != rests_on]
        rows = [
            {"k": named[key], "c": int(message.split(".")[1]), "n": int(message.split(".")[2])}
            for key, message in moved
        ]
        return pa.Table.from_pylist(rows, _MESSAGES)


def _kept(session: Session, known: _Known) -> _Known:
    """Without what is about deliveries that are no longer there: processes come and go for weeks."""
    oldest = session.rows(load("detect/reordered_oldest"))[0]
    oldest_ns = oldest["oldest_ns"]
    session.register("ends", known.lanes)
    session.register("cuts", known.cuts)
    cuts = session.table(load("detect/reordered_cuts_kept"), oldest).cast(_CUTS)
    return replace(
        known,
        cuts=cuts,
        lanes=session.table(load("detect/reordered_ends_kept"), oldest).cast(_LANES),
        named=known.named.filter(compute.is_in(known.named["k"], cuts["k"])),
        retried=known.retried.filter(compute.greater_equal(known.retried["last_ns"], oldest_ns)),
        leaning=known.leaning.filter(
            compute.greater_equal(known.leaning["received_ns"], oldest_ns)
        ),
    )


def _keys(session: Session, known: _Known, changed: pa.Table, lanes: pa.Table) -> pa.Table:
    """What the ``k`` among ``changed`` are called; the same as before where neither these nor those who
    take from queues are others."""
    new = compute.invert(compute.is_in(changed["k"], known.named["k"]))
    if lanes.num_rows == known.lanes.num_rows and not compute.any(new).as_py():
        return known.named
    return session.table(load("detect/reordered_keys")).cast(_KEYS)


def _any_ended(cuts: pa.Table) -> bool:
    """Whether there are cuts of consuming channels, or of whole clocks, that ended."""
    return any(compute.any(compute.equal(cuts[name], -1)).as_py() for name in ("lane", "clock"))


def _any_keyed(cuts: pa.Table) -> bool:
    return cuts["done_ns"].null_count < cuts.num_rows


def _may_spread(known: _Known, changed: pa.Table, tried_again: pa.Table) -> bool:
    """Whether there are ordering keys or retries, by which alone it spreads what is judged again."""
    keyed = (known.cuts["done_ns"], changed["okey"])
    retried = tried_again.num_rows + known.retried.num_rows
    return retried > 0 or any(column.null_count < len(column) for column in keyed)


def _retried(session: Session, before: pa.Table, tried_again: pa.Table) -> pa.Table:
    """The retries that were delivered: ``window_rows`` is hashed whole to meet them, not where there are none."""
    if not before.num_rows and not tried_again.num_rows:
        return before
    return session.table(load("detect/reordered_retries_placed")).cast(_RETRIED)


def _placed(session: Session, window: pa.Table) -> pa.Table:
    """``window_rows`` with ``placed_ns``: when each came, mended where a clock stepped back. Few do, and
    then nothing is copied: a third of what is needed was spent on it."""
    stepped = session.table(load("detect/reordered_stepped"))
    if not stepped.num_rows:
        return window.append_column("placed_ns", window["received_ns"])
    session.register("stepped", stepped)
    return session.table(load("detect/reordered_placed"))


def _said(session: Session, before: _Said | None) -> _Said:
    facts = session.rows(load("detect/topology_counted"))[0]
    if before is not None and before.facts == facts:
        return before
    queues = {_place(row): row for row in session.rows(load("detect/reordered_traits"))}
    exchanges = session.rows(load("detect/reordered_exchanges"))
    return _Said(facts, queues, frozenset(tuple(row.values()) for row in exchanges))


def _place(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("environment", "broker", "vhost", "queue"))


def _otherwise(keys: pa.Table, before: _Said | None, now: _Said) -> pa.Table:
    """The keys of whose queues, or of the exchanges before them, something else is said than before."""
    found: list[int] = []
    if before is not None and before is not now:
        queues = {
            place
            for place in {*before.queues, *now.queues}
            if before.queues.get(place) != now.queues.get(place)
        }
        ways = {way[:3] for way in before.exchanges ^ now.exchanges}
        everywhere = {way[:2] for way in ways if way[2] is None}
        found = [
            row["k"]
            for row in (keys.to_pylist() if queues or ways else [])
            if _place(row) in queues
            or (row["broker"], row["vhost"], row["queue"]) in ways
            or (row["broker"], row["vhost"]) in everywhere
        ]
    return pa.table({"k": pa.array(found, pa.int64())})


def _rests_on(leaning: pa.Table) -> list[tuple[tuple[str, str], str]]:
    columns = (leaning[name].to_pylist() for name in ("key", "message", "rests_on"))
    return [((key, message), rests_on) for key, message, rests_on in zip(*columns, strict=True)]


def _leaning(session: Session, before: pa.Table, told: pa.Table) -> pa.Table:
    """Those before that were not judged again, and those that ``told`` names."""
    if not before.num_rows and not told.num_rows:
        return before
    names = ("key", "message", "environment", "broker", "vhost", "queue")
    rows: list[dict[str, Any]] = [
        {**{name: row[name] for name in names}, **json.loads(row["evidence"]), "rests_on": None}
        for row in told.to_pylist()
    ]
    session.register("leaning_before", before)
    kept = session.table(load("detect/reordered_leaning_kept")).cast(_LEANING)
    if not rows:
        return kept
    fresh = pa.Table.from_pylist(rows, _LEANING)
    session.register("leaning", fresh)
    rested = dict(_rests_on(session.table(load("detect/reordered_leaning"))))
    texts = [rested[row["key"], row["message"]] for row in rows]
    at = _LEANING.get_field_index("rests_on")
    return pa.concat_tables([kept, fresh.set_column(at, "rests_on", pa.array(texts, pa.string()))])
