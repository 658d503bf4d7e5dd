"""Stored spans as the pure functions know them, with what the history says of their messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute

from strayline_collector.store.ports import Row
from strayline_collector.trace.spans import NONE, Spans, number
from strayline_collector.trace.stitch import SpanKey

compute: Final[Any] = pyarrow.compute  # makes its functions at run time, unknown to types

Links = tuple[SpanKey, ...]


def stored_spans(
    rows: pa.RecordBatch,
    links: Mapping[int, Links],
    deliveries: Mapping[SpanKey, Row],
    replies: Mapping[SpanKey, Row],
) -> Spans:
    """``rows``: in order of start, trace and id, with ``trace_id``, ``span_id``, ``parent_span_id``, ``kind``,
    ``start_ns``, ``end_ns``, ``clock`` and ``process``; of those that share a key the last counts.
    ``links``: of rows. ``deliveries`` and ``replies``: of ``trace_waits.sql`` and ``trace_replies.sql``."""
    row = _counting(_names(rows, "span_id"))
    once = rows if len(row) == rows.num_rows else rows.take(pa.array(row, pa.int64()))
    trace_id, span_id = shared(once["trace_id"]), once["span_id"].to_pylist()
    above = compute.index_in(_names(once, "parent_span_id"), value_set=_names(once, "span_id"))
    parent: list[int] = compute.fill_null(above, NONE).to_pylist()
    orphans = compute.indices_nonzero(
        compute.and_(above.is_null(), once["parent_span_id"].is_valid())
    )
    place: dict[tuple[str, str], int] = {}
    if orphans or links or deliveries or replies:  # most name their parents and nothing else
        place = dict(zip(zip(trace_id, span_id, strict=True), range(len(row)), strict=True))
    received_ns = _of_few(deliveries, "received_ns", place)
    reply_to, replies_to = (_of_few(replies, name, place) for name in ("reply_to", "replies_to"))
    named = {at: links[one] for at, one in enumerate(row) if one in links} if links else {}
    # from here on what is not here has places too
    for at, span in zip(
        orphans.to_pylist(), once["parent_span_id"].take(orphans).to_pylist(), strict=True
    ):
        parent[at] = number(place, (trace_id[at], span))
    placed = {at: tuple(number(place, link) for link in told) for at, told in named.items()}
    unseen = list(islice(place, len(row), None))
    return Spans(
        trace_id=[*trace_id, *(name[0] for name in unseen)],
        span_id=[*span_id, *(name[1] for name in unseen)],
        row=row,
        parent=parent,
        start_ns=once["start_ns"].to_pylist(),
        end_ns=compute.max_element_wise(once["start_ns"], once["end_ns"]).to_pylist(),
        kind=once["kind"].to_pylist(),
        clock=shared(once["clock"]),
        process=shared(once["process"]),
        links=placed,
        received_ns=received_ns,
        reply_to=reply_to,
        replies_to=replies_to,
    )


def _counting(names: pa.StringArray) -> Sequence[int]:
    """Of rows that share a key the last."""
    coded = names.dictionary_encode()
    rows = range(len(names))
    if len(coded.dictionary) == len(rows):
        return rows
    return sorted(dict(zip(coded.indices.to_pylist(), rows, strict=True)).values())


def _names(rows: pa.RecordBatch, column: str) -> pa.StringArray:
    """A text for each name of a span: within one trace its id."""
    if len(rows["trace_id"].unique()) < 2:
        return rows[column]
    return compute.binary_join_element_wise(rows["trace_id"], rows[column], "-")


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """Each of its columns in one piece."""
    return pa.RecordBatch.from_arrays(
        [column.combine_chunks() for column in table.columns], table.column_names
    )


def keys_of(rows: pa.RecordBatch) -> Iterator[SpanKey]:
    """Of each row."""
    return map(SpanKey, shared(rows["trace_id"]), rows["span_id"].to_pylist())


def shared(column: pa.StringArray) -> list[Any]:
    """Each text as one object, however many spans have it."""
    coded = column.dictionary_encode(null_encoding="encode")
    return list(map(coded.dictionary.to_pylist().__getitem__, coded.indices.to_pylist()))


def links_of(text: str) -> Links:
    """Out of JSON as it is stored."""
    return tuple(SpanKey(link["trace_id"], link["span_id"]) for link in json.loads(text))


def answers_of(replies: Mapping[SpanKey, Row]) -> dict[SpanKey, Links]:
    """What a reply or a handler continues whose span names nothing: its publish, its request."""
    told = {key: reply["answers"] for key, reply in replies.items()}
    return {key: links_of(text) for key, text in told.items() if text is not None}


def _of_few(
    said: Mapping[SpanKey, Row], name: str, place: Mapping[tuple[str, str], int]
) -> dict[int, Any]:
    return {
        place[key]: row[name] for key, row in said.items() if key in place and row[name] is not None
    }


def wait_ns(delivery: Row, offsets: Mapping[str, int]) -> int | None:
    """From the end of the publish to the start of the handling; from its start where handling
    began before the broker's confirm. None unless both are known. ``offsets``: by how much each clock
    is set back."""
    if delivery["sent_ns"] is None or delivery["handled_start_ns"] is None:
        return None
    shift_ns = offsets.get(delivery["publish_clock"], 0) - offsets.get(delivery["clock"], 0)
    handled_ns = delivery["handled_start_ns"] + shift_ns
    published_ns = delivery["published_ns"]
    sent_ns = published_ns if published_ns <= handled_ns else delivery["sent_ns"]
    return max(0, handled_ns - sent_ns)
