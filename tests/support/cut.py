"""Recorded traces whose contexts are cut on purpose, and laid over one another in time."""

from __future__ import annotations

import hashlib
import json
import random
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from strayline_collector.decode.otlp import decode
from strayline_collector.decode.python import SCHEMA
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from strayline_collector.trace.spans import CLIENT, CONSUMER, PRODUCER, SERVER
from strayline_collector.trace.stitch import SpanKey
from tests.support.corpus import requests

RECEIVED_NS = 1_795_400_000_000_000_000
Span = dict[str, Any]
IDS = ("message.id", "message_id", "conversation_id", "strayline.stamp", "strayline.body_hash")
"""Ends of the names of attributes that both ends of a message have, and no other message."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Spans as they are told when some contexts are lost, and what truly caused those cut off."""

    spans: list[Span]
    causes: dict[SpanKey, SpanKey]


def recorded(name: str) -> list[Span]:
    """Every span of a recording once, as the decoder gives it."""
    found: dict[tuple[str, str, int], Span] = {}
    for span in decode(requests(name), RECEIVED_NS).to_pylist():
        found.setdefault((span["trace_id"], span["span_id"], span["kind"]), span)
    return list(found.values())


def overlaid(spans: list[Span], concurrency: float) -> list[Span]:
    """The same traces closer together or further apart, so that on average so many are under way."""
    traces: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        traces[span["trace_id"]].append(span)
    starts = {trace: min(s["start_ns"] for s in own) for trace, own in traces.items()}
    whole = sum(max(s["end_ns"] for s in own) - starts[t] for t, own in traces.items())
    step_ns = round(whole / len(traces) / concurrency)
    found: list[Span] = []
    for number, trace in enumerate(sorted(traces, key=lambda t: (starts[t], t))):
        by_ns = min(starts.values()) + number * step_ns - starts[trace]
        by_ns -= by_ns % 1_000_000  # whole milliseconds stay whole
        found += [
            {**s, "start_ns": s["start_ns"] + by_ns, "end_ns": s["end_ns"] + by_ns}
            for s in traces[trace]
        ]
    return found


def cut(spans: list[Span], share: float, *, seed: int = 1, ids: bool = True) -> Cut:
    """With ``share`` of all calls' and messages' contexts lost: their servers and consumers begin
    traces of their own. Without ``ids`` messages bear none either."""
    by_key = {(s["trace_id"], s["span_id"]): s for s in spans}
    chance = random.Random(seed)
    lost: dict[tuple[str, str], tuple[str, str]] = {}
    for key in sorted(by_key):
        span = by_key[key]
        above = (span["trace_id"], span["parent_span_id"])
        cause = {SERVER: CLIENT, CONSUMER: PRODUCER}.get(span["kind"])
        if above in by_key and by_key[above]["kind"] == cause and chance.random() < share:
            lost[key] = above
    traces = {key: _trace_of(key, by_key, lost) for key in by_key}
    told: list[Span] = []
    for key, span in by_key.items():
        own: Span = {**span, "trace_id": traces[key]}
        if key in lost:
            own |= {"parent_span_id": None, "links": "[]"}
        elif span["links"]:
            links = json.loads(span["links"])
            for link in links:
                to = (link["trace_id"], link["span_id"])
                link["trace_id"] = traces.get(to, to[0])
            own["links"] = json.dumps(links)
        if not ids:
            attributes = json.loads(span["attributes"])
            for name in [name for name in attributes if name.endswith(IDS)]:
                del attributes[name]
            own["attributes"] = json.dumps(attributes)
        told.append(own)
    causes = {
        SpanKey(traces[key], key[1]): SpanKey(traces[above], above[1])
        for key, above in lost.items()
    }
    return Cut(told, causes)


def _trace_of(
    key: tuple[str, str],
    spans: dict[tuple[str, str], Span],
    lost: dict[tuple[str, str], tuple[str, str]],
) -> str:
    at = key
    while at in spans:
        if at in lost:
            return hashlib.sha256("-".join(at).encode()).hexdigest()[:32]
        at = (at[0], spans[at]["parent_span_id"])
    return key[0]


def stored(spans: list[Span], *, shuffle_seed: int | None = None) -> DuckDBStore:
    """A store in memory that holds them."""
    spans = list(spans)
    if shuffle_seed is not None:
        random.Random(shuffle_seed).shuffle(spans)
    store = DuckDBStore.open(":memory:")
    for number, start in enumerate(range(0, len(spans), 2_000), start=1):
        table = pa.Table.from_pylist(spans[start : start + 2_000], schema=SCHEMA)
        store.append(table, Position(1, number), RECEIVED_NS)
    return store
