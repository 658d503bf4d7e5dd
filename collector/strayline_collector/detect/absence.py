"""When no collector listened: what services told meanwhile may be gone, so that nothing follows from its absence."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session, Store

_NOBODY: Final = pa.table(
    {
        "service": pa.array([], pa.string()),
        "from_ns": pa.array([], pa.int64()),
        "to_ns": pa.array([], pa.int64()),
    }
)
_HEARD: Final = "SELECT max(heard_ns) AS heard_ns FROM processes"


def note_absence(store: Store, now_ns: int) -> None:
    """To be called when a collector starts: it was away since somebody was heard last. ``now_ns`` is unix nanoseconds.
    A store in which nobody was ever heard has missed nothing."""
    with store.write() as session:
        heard_ns = session.rows(_HEARD)[0]["heard_ns"]
        if heard_ns is None or heard_ns >= now_ns:
            return
        key = {"key": f"absent:{heard_ns}"}
        session.execute("DELETE FROM meta WHERE key = $key", key)
        session.execute("INSERT INTO meta VALUES ($key, $to)", {**key, "to": str(now_ns)})


def register_unheard(session: Session) -> None:
    """Registers ``unheard`` and ``unheard_services`` for whatever judges what is not there: see there."""
    unheard = session.table(load("detect/unheard"))
    session.register("unheard", unheard)
    services = session.table(load("detect/unheard_services")) if unheard.num_rows else _NOBODY
    session.register("unheard_services", services)
