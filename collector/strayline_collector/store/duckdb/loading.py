"""One load's spans into the store: retries left out, counted, looked up, history derived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute

from strayline_collector.store.duckdb import history
from strayline_collector.store.duckdb.history import OWN_SPANS
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session

compute: Final[Any] = pyarrow.compute  # makes its functions at run time, unknown to types


@dataclass(frozen=True, slots=True)
class Added:
    """What a load brought that was not there, Strayline's own spans not among it."""

    spans: int
    traces: int


def add_spans(session: Session, batch: int, spans: pa.Table) -> Added:
    """Adds ``spans`` (columns of ``decode.python.SCHEMA``, at least one) as load ``batch``, in the
    caller's transaction."""
    session.register("arrived", spans)
    known = session.rows(load("load/known"))[0]
    fresh = _fresh(session, spans, known["since"])
    if fresh is not spans:
        session.register("arrived", fresh)
    if fresh.num_rows:
        session.execute(load("load/spans"), {"batch": batch})
        session.execute(load("load/directory"), {"batch": batch})
        session.execute(load("load/processes"))
        history.derive(session, batch, fresh)
    own = compute.is_in(fresh["name"], value_set=pa.array(OWN_SPANS))
    return Added(fresh.num_rows - (compute.sum(own).as_py() or 0), int(known["new_traces"]))


def _fresh(session: Session, spans: pa.Table, since: int | None) -> pa.Table:
    """The spans that are not stored yet, each once. The first to come stands."""
    seen = None
    if since is not None:
        seen = session.table(load("load/seen"), {"since": since})
    # ids of spans are random: while all differ, so do the spans
    repeated = compute.count_distinct(spans["span_id"]).as_py() < spans.num_rows
    if not repeated and (seen is None or not seen.num_rows):
        return spans
    session.register("seen", spans.slice(0, 0) if seen is None else seen)
    return session.table(load("load/fresh"))
