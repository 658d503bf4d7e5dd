"""How the traces of a search are spread over time and duration, and what tells some of them from the
rest. Both look at the newest ``MAX_TRACES`` that match."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from strayline_collector.errors import BadInput
from strayline_collector.query.search import Search
from strayline_collector.query.story import found_in
from strayline_collector.query.traces import search_traces
from strayline_collector.query.wire import Difference, Distinction, Spread, TraceSummary
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session

MAX_TRACES: Final = 5_000
EACH_SIDE: Final = 400
"""Traces of each side whose attributes are read: a share is then told to some 5 in 100."""
MAX_SPANS: Final = 40_000
_LEAST_NS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Picked:
    """A corner of the spread: traces that began within these times and lasted that long."""

    began_after_ns: int
    began_before_ns: int
    least_ns: int
    most_ns: int

    def has(self, trace: TraceSummary) -> bool:
        began = self.began_after_ns <= trace["start_unix_nano"] <= self.began_before_ns
        return began and self.least_ns <= round(trace["duration_ms"] * 1e6) <= self.most_ns

    def narrow(self, search: Search) -> None:
        """Only these."""
        after, before = search.bind(self.began_after_ns), search.bind(self.began_before_ns)
        search.conditions.append(f"t.start_ns BETWEEN {after} AND {before}")
        least, most = search.bind(self.least_ns), search.bind(self.most_ns)
        search.conditions.append(f"(t.end_ns - t.start_ns) BETWEEN {least} AND {most}")


def parse_picked(text: str) -> Picked:
    """Of ``after~before~least~most``, all in ns. Raises ``BadInput``."""
    parts = text.split("~")
    if len(parts) != 4 or not all(p.isascii() and p.isdigit() and len(p) <= 19 for p in parts):
        raise BadInput(
            f"picked={text}: expected BEGAN_AFTER~BEGAN_BEFORE~LEAST_DURATION~MOST_DURATION, each in ns"
        )
    return Picked(*(min(int(part), 2**63 - 1) for part in parts))


def read_spread(session: Session, search: Search, *, columns: int, rows: int) -> Spread:
    """Counts in ``columns`` equal steps of time by ``rows`` equal steps of the duration's
    logarithm; cells without a trace are left out."""
    answer = search_traces(session, search, limit=MAX_TRACES)
    traces = answer["items"]
    truncated = answer["next_cursor"] is not None
    if not traces:
        return Spread(
            traces=0, truncated=False, start_unix_nano=0, end_unix_nano=0, least_ns=0, most_ns=0,
            columns=columns, rows=rows, cells=[],
        )  # fmt: skip
    starts = [trace["start_unix_nano"] for trace in traces]
    lengths = [max(_LEAST_NS, round(trace["duration_ms"] * 1e6)) for trace in traces]
    start, end = min(starts), max(starts) + 1
    low, high = math.log10(min(lengths)), math.log10(max(lengths) + 1)
    # one duration alone would be a line: a factor of two around it makes it a band
    if high - low < 0.3:
        low, high = low - 0.15, high + 0.15
    counts: Counter[tuple[int, int]] = Counter()
    errors: Counter[tuple[int, int]] = Counter()
    for trace, began, length in zip(traces, starts, lengths, strict=True):
        column = min(columns - 1, (began - start) * columns // (end - start))
        row = min(rows - 1, max(0, int((math.log10(length) - low) / (high - low) * rows)))
        counts[column, row] += 1
        if trace["errors"]:
            errors[column, row] += 1
    return Spread(
        traces=len(traces),
        truncated=truncated,
        start_unix_nano=start,
        end_unix_nano=end,
        least_ns=round(10**low),
        most_ns=round(10**high),
        columns=columns,
        rows=rows,
        cells=[[*cell, count, errors[cell]] for cell, count in sorted(counts.items())],
    )


def distinguish(session: Session, search: Search, picked: Picked, *, limit: int) -> Distinction:
    """Values of attributes that more, or fewer, of the picked traces have than of the rest."""
    traces = search_traces(session, search, limit=MAX_TRACES)["items"]
    sides = ([t for t in traces if picked.has(t)], [t for t in traces if not picked.has(t)])
    read = tuple(_evenly([trace["trace_id"] for trace in side]) for side in sides)
    found = Distinction(
        picked=len(sides[0]), others=len(sides[1]), picked_read=len(read[0]), others_read=len(read[1]), items=[],
    )  # fmt: skip
    if not read[0]:
        return found
    ids = [*read[0], *read[1]]
    loads = found_in(session, ids)
    side = pa.array([True] * len(read[0]) + [False] * len(read[1]))
    session.register("found", pa.table({"trace_id": pa.array(ids, pa.string()), "picked": side}))
    params = {
        **loads,
        "spans": MAX_SPANS,
        "picked_traces": float(len(read[0])),
        "other_traces": float(len(read[1])),
        "limit": limit,
    }
    found["items"] = [
        Difference(
            field=row["field"],
            value=row["value"],
            picked=row["picked"],
            others=row["others"],
            picked_share=row["picked_share"],
            other_share=row["other_share"],
        )
        for row in session.rows(load("query/distinguish"), params)
    ]
    return found


def _evenly(ids: list[str]) -> list[str]:
    if len(ids) <= EACH_SIDE:
        return ids
    return [ids[at * len(ids) // EACH_SIDE] for at in range(EACH_SIDE)]
