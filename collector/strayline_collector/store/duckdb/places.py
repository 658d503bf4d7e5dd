"""Where messages are whose spans name no broker, such as the Java agent's.

What spans say stands. A queue of which its reader says nothing is thought of at the broker that its
messages came from, where that surely has it and no other broker does (``derive/placements.sql``). What is
thought follows from all that is known, in whatever order it came: once something new is known of a
queue, its silent readers are placed again.
"""

from __future__ import annotations

import pyarrow as pa

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session

_QUEUES = pa.schema([("queue", pa.string())])
_RENAMED = {
    "queue_places": "environment, coalesce(b.broker, t.broker) AS broker, vhost, queue",
    "queue_readers": "environment, service, queue, coalesce(b.broker, t.broker) AS broker",
}


def place(session: Session, batch: int, since: int, *, renamed: bool = False) -> bool:
    """Places what load ``batch`` tells of, in the caller's transaction; no load before ``since`` is about
    its messages. ``renamed``: names of brokers were learned. Whether something that may have been
    judged is elsewhere now."""
    bounds = {"batch": batch, "since": since}
    if renamed:
        for table in _RENAMED:
            _rename(session, table)
    silent = session.rows(load("derive/silent"), bounds)[0]
    queues = _learn(session, "queue_places", load("derive/places"), bounds)
    if silent["deliveries"] or silent["publishes"]:
        queues |= _learn(session, "queue_readers", load("derive/readers"), bounds)
    if queues or renamed:
        read = _queues(session.table("SELECT DISTINCT queue FROM queue_readers"))
        queues = read if renamed else queues & read
    moved = bool(queues or silent["deliveries"]) and _move(session, queues, bounds)
    if moved or silent["publishes"]:
        # of what moved the publishes are of any load
        session.execute(load("derive/senders"), {**bounds, "since": 0 if moved else since})
    if moved:
        note_moved(session, batch)
    return moved


def _learn(session: Session, table: str, sql: str, bounds: dict[str, int]) -> set[str]:
    """Adds what is new to ``table``; the queues that it is about."""
    found = session.table(sql, bounds)
    if found.num_rows:
        _add(session, table, found)
    return _queues(found)


def _move(session: Session, queues: set[str], bounds: dict[str, int]) -> bool:
    """Places the silent deliveries of the load, and of ``queues``; whether some had been judged, perhaps."""
    session.register("placed_queues", pa.table({"queue": sorted(queues)}, _QUEUES))
    placements = session.table(load("derive/placements"), bounds)
    if not placements.num_rows:
        return False
    session.register("placements", placements)
    session.execute(load("derive/placed"), {"batch": bounds["batch"]})
    return any(placements["moved"].to_pylist())


def place_newest(session: Session) -> None:
    """Places what the newest load tells of: one of the topology alone."""
    batch = int(session.rows(load("load/last"))[0]["batch"])
    place(session, batch, batch)


def note_moved(session: Session, batch: int) -> None:
    """What was told before is known of another broker from load ``batch`` on: what was judged by the
    broker's name is judged anew."""
    session.execute("DELETE FROM meta WHERE key = 'moved_batch'")
    session.execute("INSERT INTO meta VALUES ('moved_batch', $batch)", {"batch": str(batch)})


def _rename(session: Session, table: str) -> None:
    told = _RENAMED[table]
    found = session.table(
        f"SELECT DISTINCT {told} FROM {table} t LEFT JOIN broker_names b ON b.address = t.broker"  # noqa: S608 - our own names
    )
    session.execute(f"DELETE FROM {table}")  # noqa: S608
    _add(session, table, found)


def _add(session: Session, table: str, rows: pa.Table) -> None:
    session.register("found_places", rows)
    session.execute(f"INSERT INTO {table} BY NAME SELECT * FROM found_places")  # noqa: S608


def _queues(rows: pa.Table) -> set[str]:
    return set(rows["queue"].to_pylist())
