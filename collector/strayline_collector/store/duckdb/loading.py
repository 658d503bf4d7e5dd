"""One load's spans into the store: retries left out, counted, looked up, history derived."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute

from strayline_collector.store.duckdb import history
from strayline_collector.store.duckdb.history import OWN_SPANS
from strayline_collector.store.duckdb.long_texts import Stored, shorten
from strayline_collector.store.duckdb.places import place
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session

compute: Final[Any] = pyarrow.compute  # makes its functions at run time, unknown to types


@dataclass(frozen=True, slots=True)
class Added:
    """What a load brought that was not there, Strayline's own spans not among it."""

    spans: int
    traces: int
    about_since: int
    """The load before which nothing was about its messages."""


def add_spans(session: Session, batch: int, spans: pa.Table) -> Added:
    """Adds ``spans`` (columns of ``decode.python.SCHEMA``, at least one) as load ``batch``, in the
    caller's transaction. Spans that tell the topology again come every minute of every process: they
    add what was not known, and are kept when that was something, so that an export has it too."""
    again = history.is_told_again(spans)
    told_again = spans.filter(again)
    if not told_again.num_rows:
        return _add(session, batch, spans)
    rest = spans.filter(compute.invert(again))
    added = _add(session, batch, rest) if rest.num_rows else Added(0, 0, batch)
    news = history.derive_told_again(session, batch, told_again)
    kept = told_again.filter(compute.is_in(told_again["process"], value_set=news))
    if kept.num_rows:
        # no row of the others names more long texts than it has columns
        _store(session, batch, shorten(kept, first_n=rest.num_rows * rest.num_columns))
    if len(news) and place(session, batch, batch):
        return replace(added, about_since=0)
    return added


def _add(session: Session, batch: int, spans: pa.Table) -> Added:
    stored = shorten(spans)  # first: what follows copies rows
    session.register("arrived", stored.spans)
    known = session.rows(load("load/known"))[0]
    fresh = _fresh(session, stored.spans, known["since"])
    if fresh is not None:
        stored = stored.take(fresh)
        session.register("arrived", stored.spans)
    about_since = batch
    if stored.spans.num_rows:
        _store(session, batch, stored)
        session.execute(load("load/directory"), {"batch": batch})
        session.execute(load("load/processes"))
        about_since = history.derive(session, batch, stored.told)
    own = compute.is_in(stored.spans["name"], value_set=pa.array(OWN_SPANS))
    told = stored.spans.num_rows - (compute.sum(own).as_py() or 0)
    return Added(told, int(known["new_traces"]), about_since)


def _store(session: Session, batch: int, stored: Stored) -> None:
    session.register("arrived", stored.spans)
    session.execute(load("load/spans"), {"batch": batch})
    if stored.parts is not None:
        session.register("long_parts", stored.parts)
        session.execute(load("load/long_texts"), {"batch": batch})
    resources = pa.table({"resource": compute.unique(stored.spans["resource"])})
    session.register("told_resources", resources)
    session.execute(load("load/resources"), {"batch": batch})


def _fresh(session: Session, spans: pa.Table, since: int | None) -> pa.Array | None:
    """Places of the spans that are not stored yet, each once; None: all of them. The first to come
    stands."""
    seen = None
    if since is not None:
        seen = session.table(load("load/seen"), {"since": since})
    # ids of spans are random: while all differ, so do the spans
    repeated = compute.count_distinct(spans["span_id"]).as_py() < spans.num_rows
    if not repeated and (seen is None or not seen.num_rows):
        return None
    keys = spans.select(["trace_id", "span_id", "kind", "end_ns", "name"])
    session.register("keys", keys.append_column("n", pa.array(range(spans.num_rows), pa.int64())))
    session.register("seen", keys.slice(0, 0) if seen is None else seen)
    found = session.table(load("load/fresh"))["n"].combine_chunks()
    return None if len(found) == spans.num_rows else found
