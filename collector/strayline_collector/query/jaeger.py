"""What Jaeger's query service would say of what is stored, for Grafana's Jaeger data source and
for scripts that were written for Jaeger (its HTTP JSON API, ``cmd/query/app``).

A search asks for one span that is of the service and the operation, carries every tag and took
as long, as Jaeger's stores do; the traces of such spans are given whole, newest first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from strayline_collector.decode.encode import request_of
from strayline_collector.errors import BadInput, NotFound
from strayline_collector.formats.build import SPAN_KINDS
from strayline_collector.formats.jaeger import jaeger_traces
from strayline_collector.query.graph import read_graph
from strayline_collector.query.overview import read_operations, read_services
from strayline_collector.query.search import Search, pointer
from strayline_collector.query.times import BEGINNING, END
from strayline_collector.query.traces import search_traces
from strayline_collector.query.whole_texts import MAX_WHOLE, whole_rows
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session

MAX_TRACES: Final = 1000
MAX_SPANS: Final = 50_000
"""Of one answer: some 60 MB of JSON. What is cut is told in ``errors``."""
EVERYTHING: Final = {"start_ns": BEGINNING, "end_ns": END}
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS: Final = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_STATUSES: Final = {"OK": 1, "ERROR": 2}


@dataclass(frozen=True, slots=True)
class Query:
    """What ``/api/traces`` asks for. Durations in nanoseconds, of one span."""

    service: str
    operation: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    range_ns: Mapping[str, int] = field(default_factory=lambda: dict(EVERYTHING))
    min_ns: int | None = None
    max_ns: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """``data`` with Jaeger's ``errors``: what is missing in it, and why."""

    data: list[Any]
    errors: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    total: int = 0


def services(session: Session) -> Answer:
    """Names of all services."""
    names = [service["name"] for service in read_services(session, EVERYTHING)]
    return Answer(names, total=len(names))


def operation_names(session: Session, service: str) -> Answer:
    """Names of a service's operations."""
    names = sorted({row["name"] for row in read_operations(session, EVERYTHING, service)})
    return Answer(names, total=len(names))


def operations(session: Session, service: str, kind: str | None) -> Answer:
    """``{name, spanKind}`` of a service's operations, of one kind or all."""
    found = [
        {"name": row["name"], "spanKind": row["kind"] if row["kind"] in SPAN_KINDS else ""}
        for row in read_operations(session, EVERYTHING, service)
    ]
    kept = [o for o in found if not kind or o["spanKind"] == kind.lower()]
    return Answer(kept, total=len(kept))


def find_traces(session: Session, query: Query) -> Answer:
    """Whole traces with a span that is as asked, newest first."""
    search = Search(dict(query.range_ns))
    parts = [f"service = {search.bind(query.service)}"]
    if query.operation:
        parts.append(f"name = {search.bind(query.operation)}")
    if query.min_ns:
        parts.append(f"end_ns - start_ns >= {search.bind(query.min_ns)}")
    if query.max_ns:
        parts.append(f"end_ns - start_ns <= {search.bind(query.max_ns)}")
    parts += [_tag(search, name, value) for name, value in query.tags.items()]
    condition = " AND ".join(parts)
    search.conditions.append(search.any_span(condition))
    search.led_by(condition, 1)
    found = search_traces(session, search, limit=min(query.limit, MAX_TRACES))["items"]
    return read_traces(session, [item["trace_id"] for item in found])


def one_trace(session: Session, trace_id: str) -> Answer:
    """One trace. Raises ``NotFound``."""
    answer = read_traces(session, [trace_id])
    if not answer.data:
        raise NotFound("trace not found")
    return answer


def read_traces(session: Session, trace_ids: Sequence[str]) -> Answer:
    """These traces in their order; which are not stored, or cut, is told in ``errors``."""
    session.register("found", pa.table({"trace_id": pa.array(trace_ids, pa.string())}))
    loads = session.rows(load("query/trace_loads"))[0]
    rows: list[dict[str, Any]] = []
    if loads["first_batch"] is not None:
        asked = {**loads, "limit": MAX_SPANS + 1}
        rows = whole_rows(session, session.rows(load("query/jaeger_spans"), asked), MAX_WHOLE)
    cut = rows[MAX_SPANS]["start_ns"] if len(rows) > MAX_SPANS else None
    of_trace: dict[str, list[dict[str, Any]]] = {}
    for row in rows[:MAX_SPANS]:
        of_trace.setdefault(row["trace_id"], []).append(row)
    told = {trace_id: jaeger_traces(request_of(some))[0] for trace_id, some in of_trace.items()}
    errors = [
        {"msg": "trace not found", "traceID": trace_id}
        for trace_id in trace_ids
        if trace_id not in told and cut is None
    ]
    if cut is not None:
        limit = f"cut after {MAX_SPANS:,} spans: later ones are missing; ask for fewer traces"
        errors.append({"msg": limit})
    return Answer([told[trace_id] for trace_id in trace_ids if trace_id in told], errors)


def dependencies(session: Session, range_ns: Mapping[str, int], service: str | None) -> Answer:
    """``{parent, child, callCount}`` between services: the graph's own calls, over AMQP too."""
    calls: dict[tuple[str, str], int] = {}
    for edge in read_graph(session, range_ns, "service")["edges"]:
        (kind, _, parent), (to, _, child) = (
            edge["source"].partition(":"),
            edge["target"].partition(":"),
        )
        if kind == to == "service" and (not service or service in (parent, child)):
            calls[parent, child] = calls.get((parent, child), 0) + edge["calls"]
    links = [
        {"parent": parent, "child": child, "callCount": count}
        for (parent, child), count in sorted(calls.items())
    ]
    return Answer(links)


def parse_duration(text: str, name: str) -> int:
    """Go's durations (``1.5s``, ``1m30s``) in nanoseconds. Raises ``BadInput``."""
    parts = list(_PART.finditer(text)) if len(text) <= 64 else []
    if not parts or "".join(part[0] for part in parts) != text:
        raise BadInput(f"unable to parse param '{name}': {text[:64]!r} is no duration such as 1.5s")
    return min(round(sum(float(part[1]) * _UNITS[part[2]] for part in parts)), END)


def parse_tags(pairs: Iterable[str], documents: Iterable[str]) -> dict[str, str]:
    """``tag=key:value`` and ``tags={"key": "value"}``. Raises ``BadInput``."""
    tags: dict[str, str] = {}
    for pair in pairs:
        name, colon, value = pair.partition(":")
        if not colon:
            raise BadInput(f"malformed 'tag' parameter, expecting key:value, received: {pair}")
        tags[name] = value
    for document in documents:
        try:
            told: object = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise BadInput(
                f"malformed 'tags' parameter, cannot unmarshal JSON: {str(error)[:100]}"
            ) from None
        if not isinstance(told, dict) or not all(isinstance(v, str) for v in told.values()):
            raise BadInput("malformed 'tags' parameter, expecting an object of strings")
        tags.update({str(name): str(value) for name, value in told.items()})
    if len(tags) > 32:
        raise BadInput("more than 32 tags")
    return tags


def _tag(search: Search, name: str, value: str) -> str:
    """A tag of the span, of its process, or of one of its logs, as text; fields that Jaeger tells
    as tags by their columns."""
    bound = search.bind(value)
    places = [
        f"json_extract_string({column}, {search.bind(path)}) = {bound}"
        for column, path in (
            ("attributes", f"/{pointer(name)}"),
            ("resource", f"/attributes/{pointer(name)}"),
        )
    ]
    if name.isprintable() and name and not {'"', "\\"} & set(name):  # what a JSON path can name
        path = "$[*].name" if name == "event" else f'$[*].attributes."{name}"'
        places.append(f"list_contains(json_extract_string(events, {search.bind(path)}), {bound})")
    if name == "error" and value == "true":
        places.append("status_code = 2")
    elif name == "span.kind":
        places.append(f"kind = {int(SPAN_KINDS.get(value.lower(), 255))}")
    elif name == "otel.status_code":
        places.append(f"status_code = {_STATUSES.get(value.upper(), 255)}")
    elif name in ("otel.scope.name", "otel.library.name"):
        places.append(f"scope_name = {bound}")
    elif name == "otel.status_description":
        places.append(f"status_message = {bound}")
    return f"({' OR '.join(places)})"
