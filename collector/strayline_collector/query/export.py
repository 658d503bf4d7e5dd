"""What came in, given back: pages of stored spans as OTLP, each span once.

A page is a snapshot of its own, so that an export of hours keeps no transaction open; the cursor is
the last span's place in the order of start and identity, which later arrivals do not move. Of what a
retry brought again, only the first is given.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline_collector.decode.encode import request_of
from strayline_collector.errors import BadInput, NotFound
from strayline_collector.formats.jaeger import jaeger_traces
from strayline_collector.formats.otlp_json import protobuf_to_document
from strayline_collector.query.times import BEGINNING, END
from strayline_collector.query.whole_texts import whole_rows
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Store

Format = Literal["json", "jsonl", "protobuf", "jaeger"]

MEDIA: Final[dict[Format, str]] = {
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "protobuf": "application/x-protobuf",
    "jaeger": "application/json",
}
PAGE_SPANS: Final = 2_000
"""Some megabytes in memory at a time."""
TRACES_AT_ONCE: Final = 100
MAX_TRACES: Final = 100_000
"""Whole traces of one range: their ids are held in memory, and Jaeger's UI reads no more."""


class Wanted(NamedTuple):
    """What to export: one trace, else what started in a range, ends included (unix ns)."""

    trace_id: str | None = None
    start_ns: int = BEGINNING
    end_ns: int = END


class _Place(NamedTuple):
    start_ns: int
    trace_id: str
    span_id: str
    kind: int


def export(
    store: Store, wanted: Wanted, form: Format, *, page_spans: int = PAGE_SPANS
) -> Iterator[bytes]:
    """The document in pieces, in bounded memory. Raises ``NotFound`` for a trace that is not
    stored and ``BadInput`` for a range of too many traces, both before the first piece."""
    if form == "jaeger":
        traces = _whole_traces(store, wanted)
        return _begun(_list(b'{"data":[', (jaeger_traces(trace) for trace in traces)))
    pages = _requests(store, wanted, page_spans)
    if form == "protobuf":
        # requests one after another are one request: protobuf merges repeated fields
        return _begun(page.SerializeToString() for page in pages)
    documents = (protobuf_to_document(page) for page in pages)
    if form == "jsonl":
        return _begun(_json(document) + b"\n" for document in documents)
    return _begun(_list(b'{"resourceSpans":[', (d["resourceSpans"] for d in documents)))


def _requests(store: Store, wanted: Wanted, page_spans: int) -> Iterator[ExportTraceServiceRequest]:
    found = False
    for rows in _pages(store, wanted, page_spans):
        found = True
        yield request_of(rows)
    if wanted.trace_id is not None and not found:
        raise NotFound(f"no trace {wanted.trace_id}: nothing stored bears that id")


def _pages(store: Store, wanted: Wanted, page_spans: int) -> Iterator[list[Row]]:
    sql = load("query/export_page").replace(
        "/* one trace */", "" if wanted.trace_id is None else "AND trace_id = $only"
    )
    place = _Place(wanted.start_ns, "", "", -1)
    while True:
        with store.read() as session:
            until_ns = wanted.end_ns
            if wanted.trace_id is None:
                bounds = {
                    "from_ns": place.start_ns,
                    "end_ns": wanted.end_ns,
                    # one more than a page: the cursor's own start may hold what is given already
                    "limit": page_spans + 1,
                }
                until_ns = session.rows(load("query/export_until"), bounds)[0]["until_ns"]
                if until_ns is None:
                    return
            params: dict[str, Any] = {
                "from_ns": place.start_ns,
                "until_ns": until_ns,
                "trace_id": place.trace_id,
                "span_id": place.span_id,
                "kind": place.kind,
                "limit": page_spans,
            }
            if wanted.trace_id is not None:
                params["only"] = wanted.trace_id
            rows = whole_rows(session, session.rows(sql, params))
        if rows:
            place = _place(rows[-1])
            yield list(_once(rows))
        elif until_ns >= wanted.end_ns or wanted.trace_id is not None:
            return
        else:
            # everything at the cursor's start was given: on to what started after it
            place = _Place(until_ns + 1, "", "", -1)


def _whole_traces(store: Store, wanted: Wanted) -> Iterator[ExportTraceServiceRequest]:
    if wanted.trace_id is not None:
        trace_ids = [wanted.trace_id]
    else:
        params = {
            "start_ns": wanted.start_ns,
            "end_ns": wanted.end_ns,
            "limit": MAX_TRACES + 1,
        }
        with store.read() as session:
            found = session.rows(load("query/export_trace_ids"), params)
        trace_ids = [row["trace_id"] for row in found]
    if len(trace_ids) > MAX_TRACES:
        raise BadInput(
            f"more than {MAX_TRACES:,} traces: narrow since and until, or choose another format"
        )
    for first in range(0, len(trace_ids), TRACES_AT_ONCE):
        some = trace_ids[first : first + TRACES_AT_ONCE]
        with store.read() as session:
            stored = session.rows(load("query/export_traces"), {"trace_ids": some})
            rows = whole_rows(session, stored)
        if not rows and wanted.trace_id is not None:
            raise NotFound(f"no trace {wanted.trace_id}: nothing stored bears that id")
        for trace_id in some:
            yield request_of(_once(row for row in rows if row["trace_id"] == trace_id))


def _once(rows: Iterable[Row]) -> Iterator[Row]:
    last: _Place | None = None
    for row in rows:
        place = _place(row)
        if place != last:
            yield row
        last = place


def _place(row: Mapping[str, Any]) -> _Place:
    return _Place(row["start_ns"], row["trace_id"], row["span_id"], row["kind"])


def _list(opening: bytes, parts: Iterable[list[Any]]) -> Iterator[bytes]:
    """A JSON document that is one long list, piece by piece."""
    before = opening
    for part in parts:
        if part:
            yield before + b",".join(_json(item) for item in part)
            before = b","
    yield (opening if before == opening else b"") + b"]}\n"


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, with the first one made: what cannot be exported fails at once."""
    first = next(pieces, b"")

    def all_of_them() -> Iterator[bytes]:
        yield first
        yield from pieces

    return all_of_them()
