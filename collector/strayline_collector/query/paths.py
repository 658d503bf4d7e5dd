"""Where the time of an operation goes: the critical paths of many stories, added up."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from strayline_collector.query.stored_spans import (
    answers_of,
    keys_of,
    one_batch,
    shared,
    stored_spans,
)
from strayline_collector.query.story import found_in
from strayline_collector.query.wire import CriticalPath, PathPart, SegmentKind, Through
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session
from strayline_collector.trace.critical_path import Segment, critical_path
from strayline_collector.trace.spans import CLIENT, NONE, SERVER, Spans
from strayline_collector.trace.stitch import MAX_LINKS, SpanKey
from strayline_collector.trace.tree import bled_spans, children_of, display_parents, following

MAX_STORIES: Final = 500
MAX_SPANS: Final = 200_000
"""Of all stories together."""
MAX_TRACES: Final = 5_000
MAX_HOPS: Final = 20
"""Traces behind one another, each linked to the one before."""


@dataclass(frozen=True, slots=True)
class Stories:
    """What several operations led to."""

    roots: dict[SpanKey, int]
    """Where they began, by their places in ``spans``."""
    spans: Spans
    """Of all stories, made of the rows of which these are ``services`` and ``names``."""
    services: list[str]
    names: list[str]
    deliveries: dict[SpanKey, Row]
    matching: int
    truncated: bool


def read_stories(
    session: Session,
    range_ns: Mapping[str, int],
    *,
    service: str,
    operation: str | None,
    limit: int,
) -> Stories:
    """The newest ``limit`` stories that began with an operation in the range."""
    asked = {**range_ns, "service": service, "operation": operation, "limit": limit}
    roots = session.rows(load("query/path_roots"), asked)
    trace_ids, truncated = _reached(session, {row["trace_id"] for row in roots})
    loads = found_in(session, sorted(trace_ids))
    table = session.table(load("query/path_spans"), {**loads, "limit": MAX_SPANS + 1})
    truncated |= table.num_rows > MAX_SPANS
    rows = one_batch(table.slice(0, MAX_SPANS))
    deliveries = by_span(session.rows(load("query/trace_waits"), loads))
    replies = by_span(session.rows(load("query/trace_replies"), loads))
    links: dict[SpanKey, list[SpanKey]] = defaultdict(list)
    for row in session.rows(load("query/trace_links"), {**loads, "limit": MAX_LINKS}):
        links[key_of(row)].append(SpanKey(row["to_trace_id"], row["to_span_id"]))
    named = {key: tuple(several) for key, several in links.items()} | answers_of(replies)
    linked = {row: named[key] for row, key in enumerate(keys_of(rows)) if key in named}
    spans = stored_spans(rows, linked, deliveries, replies)
    keys = list(map(key_of, roots))
    places = spans.places(keys)
    return Stories(
        roots={key: places[key] for key in keys if key in places},
        spans=spans,
        services=shared(rows["service"]),
        names=shared(rows["name"]),
        deliveries=deliveries,
        matching=roots[0]["matching"] if roots else 0,
        truncated=truncated,
    )


def _reached(session: Session, trace_ids: set[str]) -> tuple[set[str], bool]:
    """These traces and those that link to them, again and again."""
    known, wave = set(trace_ids), trace_ids
    for _ in range(MAX_HOPS):
        asked = {**found_in(session, sorted(wave)), "limit": MAX_LINKS}
        rows = session.rows(load("query/trace_links"), asked)
        wave = {row["trace_id"] for row in rows} - known
        if not wave:
            return known, False
        if len(known) + len(wave) > MAX_TRACES:
            break
        known |= wave
    return known, True


def key_of(row: Row) -> SpanKey:
    return SpanKey(row["trace_id"], row["span_id"])


def by_span(rows: Iterable[Row]) -> dict[SpanKey, Row]:
    return {key_of(row): row for row in rows}


class _Part(NamedTuple):
    service: str
    operation: str
    kind: SegmentKind
    peer: str | None
    queue: str | None


def read_critical_path(
    session: Session,
    range_ns: Mapping[str, int],
    *,
    service: str,
    operation: str | None,
    through: Through,
    limit: int,
) -> CriticalPath:
    """The answer of ``GET /api/v1/critical_path``; empty where nothing matches."""
    stories = read_stories(session, range_ns, service=service, operation=operation, limit=limit)
    spent: dict[_Part, dict[SpanKey, int]] = defaultdict(lambda: defaultdict(int))
    whole: dict[SpanKey, int] = {}
    after = following(stories.spans)
    for key, root in stories.roots.items():
        places = after(root)
        tree = stories.spans.taken(places)
        parents = display_parents(tree, bled_spans(tree))
        path = critical_path(
            tree, parents, children_of(tree, parents), root=places.index(root), through=through
        )
        servers = {
            cause: place for place, cause in enumerate(parents) if tree.kind[place] == SERVER
        }
        for segment in path:
            part = _part(stories, tree, servers, parents, segment)
            spent[part][key] += segment.end_ns - segment.start_ns
        whole[key] = sum(segment.end_ns - segment.start_ns for segment in path)
    total_ns = sum(whole.values())
    items = [_told(part, by_root, total_ns, len(whole)) for part, by_root in spent.items()]
    items.sort(key=lambda i: (-i["total_ms"], i["service"], i["operation"], i["kind"]))
    return CriticalPath(
        service=service,
        operation=operation,
        through=through,
        matching=stories.matching,
        traces=len(whole),
        mean_ms=total_ns / 1e6 / len(whole) if whole else 0.0,
        p50_ms=quantile(list(whole.values()), 0.5) / 1e6,
        p95_ms=quantile(list(whole.values()), 0.95) / 1e6,
        items=items,
        truncated=stories.truncated,
    )


def _part(
    stories: Stories,
    tree: Spans,
    servers: Mapping[int, int],
    parents: Sequence[int],
    segment: Segment,
) -> _Part:
    place, kind = segment.place, segment.kind
    peer = NONE
    if kind == "queue_wait":
        peer = parents[place]
    elif kind == "network":
        peer = servers.get(place, NONE) if tree.kind[place] == CLIENT else parents[place]
    delivery = stories.deliveries.get(tree.key(place)) if kind == "queue_wait" else None
    return _Part(
        stories.services[tree.row[place]],
        stories.names[tree.row[place]],
        kind,
        None if peer == NONE else stories.services[tree.row[peer]],
        None if delivery is None else delivery["queue"],
    )


def _told(part: _Part, by_root: Mapping[SpanKey, int], total_ns: int, stories: int) -> PathPart:
    spent_ns = sum(by_root.values())
    worst = max(by_root, key=lambda root: (by_root[root], root))
    return PathPart(
        service=part.service,
        operation=part.operation,
        kind=part.kind,
        peer=part.peer,
        queue=part.queue,
        total_ms=spent_ns / 1e6,
        share=spent_ns / total_ns,
        mean_ms=spent_ns / 1e6 / stories,
        p95_ms=quantile(list(by_root.values()), 0.95) / 1e6,
        traces=len(by_root),
        worst_trace_id=worst.trace_id,
    )


def quantile(values: Sequence[float], q: float) -> float:
    """The smallest value that at least ``q`` of them do not exceed; 0 of none."""
    return sorted(values)[max(0, math.ceil(q * len(values)) - 1)] if values else 0.0
