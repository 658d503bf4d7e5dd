"""Texts that were too long for their rows, put back into what is read of them.

They lie in parts beside the spans (``store/duckdb/long_texts.py``); a row's ``shortened`` names the
columns that hold the beginning alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

MAX_WHOLE: Final = 32 * 2**20
"""Characters that may be put back into one answer to a person. Where it would be more, each text
but its links and events stays as the row has it; an export gives all."""

_ALWAYS: Final = frozenset({"events", "links"})
"""Of a story: what follows from them must not depend on a limit."""


def whole_rows(session: Session, rows: list[Row], most: int | None = None) -> list[Row]:
    """The same rows (with ``batch`` and ``shortened``), their columns whole."""
    texts = _Texts(session, [(row["batch"], row["shortened"]) for row in rows], most)
    return [{**row, **texts.of(row["batch"], row["shortened"])} for row in rows] if texts else rows


def whole_spans(session: Session, spans: pa.Table) -> pa.Table:
    """The same spans (columns of ``trace_spans.sql`` or ``trace_outline.sql``), whole."""
    told = spans["shortened"]
    if told.null_count == spans.num_rows:
        return spans
    places = list(zip(spans["batch"].to_pylist(), told.to_pylist(), strict=True))
    texts = _Texts(session, places, MAX_WHOLE)
    columns = {name: spans[name].to_pylist() for name in (*_ALWAYS, "text")}
    for index, (batch, shortened) in enumerate(places):
        found = texts.of(batch, shortened)
        if found:
            columns["text"][index] = _told(columns["text"][index], found)
        for name in _ALWAYS & found.keys():
            columns[name][index] = found[name]
    for name, values in columns.items():
        at = spans.column_names.index(name)
        spans = spans.set_column(at, name, pa.array(values, pa.string()))
    return spans


class _Texts:
    def __init__(
        self, session: Session, rows: Sequence[tuple[int, str | None]], most: int | None
    ) -> None:
        named = [(b, json.loads(told)) for b, told in rows if told is not None]
        self._texts = _read(session, {(b, n) for b, ns in named for n in ns.values()})
        total = sum(len(self._texts.get((b, n), "")) for b, ns in named for n in ns.values())
        self._all = most is None or total <= most

    def __bool__(self) -> bool:
        return bool(self._texts)

    def of(self, batch: int, shortened: str | None) -> dict[str, str]:
        """Whole texts by column."""
        return {
            name: self._texts[batch, n]
            for name, n in json.loads(shortened or "{}").items()
            if (batch, n) in self._texts and (self._all or name in _ALWAYS)
        }


def _read(session: Session, wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], str]:
    places = sorted(wanted)
    if not places:
        return {}
    columns = zip(*places, strict=True)
    arrays = [pa.array(column, pa.int64()) for column in columns]
    session.register("wanted_texts", pa.table(arrays, names=["batch", "n"]))
    rows = session.rows(load("query/long_texts"))
    return {(row["batch"], row["n"]): row["text"] for row in rows}


def _told(text: str, found: Mapping[str, str]) -> str:
    """What is told of a span with these columns whole: the inside of a JSON object, or of an
    outline's list, where events are counted."""
    if text.startswith("["):
        *said, events = json.loads(text)
        return json.dumps(
            [*said, len(json.loads(found["events"])) if "events" in found else events]
        )
    span: dict[str, Any] = json.loads(f"{{{text}}}")
    for name, value in found.items():
        if name == "attributes":
            span[name] = json.loads(value)
        elif name == "resource":
            span[name] = json.loads(value).get("attributes", {})
        elif name in span and name not in _ALWAYS:
            span[name] = value
    return json.dumps(span)[1:-1]
