"""Who calls whom: services alone, or with the exchanges and queues between them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from strayline_collector.query.awaited import without_awaited
from strayline_collector.query.calls import (
    Histogram,
    quantile_ms,
    read_calls,
    read_given_back,
    read_served,
    seen_range,
)
from strayline_collector.query.message_ways import read_ways
from strayline_collector.query.params import DEFAULT_EXCHANGE, exchange_named
from strayline_collector.query.wire import Edge, Graph, Node, NodeKind, Protocol, Severity
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

STEPS: Final = 24
_RANK: Final[dict[Severity, int]] = {"info": 1, "warning": 2, "error": 3}
_BEHIND_A_QUEUE: Final = ("redelivery_loop", "misrouted")


Named = tuple[str, str, str | None, str | None]
"""Kind, name, broker, vhost."""


@dataclass(slots=True)
class Line:
    """How often something happened in each step, and how often it failed."""

    calls: list[int] = field(default_factory=lambda: [0] * STEPS)
    errors: int = 0

    def add(self, row: Row, calls: int) -> None:
        self.calls[max(0, int(row["step"]))] += calls
        self.errors += row["errors"]


def node_id(kind: NodeKind, name: str, broker: str | None = None, vhost: str | None = None) -> str:
    """Services and peers by name; exchanges and queues by broker, vhost and name."""
    if kind in ("service", "external"):
        return f"{kind}:{name}"
    return f"{kind}:{broker or ''}|{vhost or ''}|{name}"


def read_graph(session: Session, range_ns: Mapping[str, int], level: str) -> Graph:
    """The graph of a time range at ``level`` ``service`` or ``messaging``."""
    seen = seen_range(session, range_ns)
    if seen is None:
        return Graph(nodes=[], edges=[])
    step_ns = max(1, -(-(seen["end_ns"] - seen["start_ns"] + 1) // STEPS))
    calls = without_awaited(session, read_calls(session, range_ns), seen)
    ways = read_ways(session, range_ns, seen, step_ns)
    findings = session.rows(load("query/standing_findings"))
    silent = Counter(
        (f["producer_service"], f["consumer_service"]) for f in findings if f["of_calls"]
    )
    unseen = _unseen(session, range_ns, findings)
    span_s = max((seen["end_ns"] - seen["start_ns"]) / 1e9, 1e-3)
    edges = [_call_edge(row, silent, span_s) for row in calls]
    if level == "service":
        edges += service_edges(ways.deliveries, findings, span_s)
    else:
        edges += messaging_edges(ways.deliveries, ways.publishes, findings, span_s)
    edges += unseen_edges(unseen, level, span_s)
    activity = read_served(session, seen, step_ns)
    names = _names(activity, edges, level)
    given_back = read_given_back(session, seen, step_ns)
    steps = _lines(ways.steps, activity, given_back)
    if level == "service":  # there the silent hop is a peer, which its findings are about
        findings += [
            {**f, "peer": row["peer"]} for row in unseen for f in findings if f["id"] == row["id"]
        ]
    nodes = [_node(key, parts, steps, findings, edges, span_s) for key, parts in names.items()]
    durations: dict[str, Histogram] = defaultdict(lambda: defaultdict(int))
    for row in activity:
        if row["bucket"] is not None:
            durations[row["service"]][row["bucket"]] += row["spans"]
    for node in nodes:
        if node["kind"] == "service":
            node["p95_ms"] = quantile_ms(durations[node["name"]], 0.95)
    return Graph(nodes=sorted(nodes, key=lambda n: n["id"]), edges=sorted(edges, key=_edge_key))


def service_edges(deliveries: Iterable[Row], findings: Iterable[Row], span_s: float) -> list[Edge]:
    """Producer to consumer, exchanges and queues collapsed. Rows of several queues merge:
    counts add up, quantiles are the worst part's (an upper bound, said so in the docs)."""
    pairs: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in deliveries:
        if row["producer"] is not None:
            pairs[row["producer"], row["consumer"]].append(row)
    between: dict[tuple[str | None, str | None], set[str]] = defaultdict(set)
    for finding in findings:
        between[finding["producer_service"], finding["consumer_service"]].add(finding["id"])
    return [
        _edge(
            node_id("service", producer),
            node_id("service", consumer),
            "amqp",
            rows,
            len(between[producer, consumer]),
            span_s,
        )
        for (producer, consumer), rows in pairs.items()
    ]


def messaging_edges(
    deliveries: Iterable[Row],
    publishes: Iterable[Row],
    findings: Iterable[Row],
    span_s: float,
) -> list[Edge]:
    """Service → exchange → queue → service; exchange → service where no span names the queue."""
    parts: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in publishes:
        source = node_id("service", row["producer"])
        parts[source, _exchange_id(row["broker"], row["vhost"], row["exchange"])].append(row)
    for row in deliveries:
        consumer = node_id("service", row["consumer"])
        exchange = None
        if row["exchange"] is not None:
            exchange = _exchange_id(row["exchange_broker"], row["exchange_vhost"], row["exchange"])
        if row["queue"] is None:
            if exchange is not None:
                parts[exchange, consumer].append(row)
            continue
        queue = node_id("queue", row["queue"], row["broker"], row["vhost"])
        if exchange is not None:
            parts[exchange, queue].append({**row, "p50_ms": None, "p95_ms": None, "errors": 0})
        parts[queue, consumer].append(row)
    ids = _finding_edges(findings)
    return [
        _edge(source, target, "amqp", rows, len(ids[source, target]), span_s)
        for (source, target), rows in parts.items()
    ]


def _unseen(session: Session, range_ns: Mapping[str, int], findings: Iterable[Row]) -> list[Row]:
    if not any(f["kind"] == "uninstrumented" and not f["of_calls"] for f in findings):
        return []
    return session.rows(load("query/graph_silent"), range_ns)


def unseen_edges(rows: Iterable[Row], level: str, span_s: float) -> list[Edge]:
    """Messages that nobody is seen to handle, none of which is a call: to a queue, or on the level of
    services to a peer of its name, else of the exchange's and key's."""
    parts: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        source, target = node_id("service", row["producer"]), node_id("external", row["peer"])
        if level == "messaging":
            if row["queue"] is None:
                continue
            source = _exchange_id(row["broker"], row["vhost"], row["exchange"])
            target = node_id("queue", row["queue"], row["broker"], row["vhost"])
        parts[source, target].append({**row, "calls": 0, "errors": 0})
    return [
        _edge(source, target, "amqp", several, len({row["id"] for row in several}), span_s)
        for (source, target), several in parts.items()
    ]


def _finding_edges(findings: Iterable[Row]) -> dict[tuple[str, str], set[str]]:
    """A finding shows where its promise broke: behind its queue, else before its exchange."""
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for f in findings:
        if f["queue"] is not None:
            queue = node_id("queue", f["queue"], f["broker"], f["vhost"])
            if f["consumer_service"] is not None:
                ids[queue, node_id("service", f["consumer_service"])].add(f["id"])
            if f["exchange"] is not None and f["kind"] == "misrouted":
                ids[_exchange_id(f["broker"], f["vhost"], f["exchange"]), queue].add(f["id"])
        elif f["exchange"] is not None and f["kind"] in _BEHIND_A_QUEUE:  # that no span names
            if f["consumer_service"] is not None:
                exchange = _exchange_id(f["broker"], f["vhost"], f["exchange"])
                ids[exchange, node_id("service", f["consumer_service"])].add(f["id"])
        elif f["exchange"] is not None and f["producer_service"] is not None:
            exchange = _exchange_id(f["broker"], f["vhost"], f["exchange"])
            ids[node_id("service", f["producer_service"]), exchange].add(f["id"])
    return ids


def _exchange_id(broker: str | None, vhost: str | None, name: str) -> str:
    return node_id("exchange", name or DEFAULT_EXCHANGE, broker, vhost)


def _call_edge(row: Row, silent: Mapping[tuple[str, str], int], span_s: float) -> Edge:
    """``silent``: how many findings there are of calls that left no span, by caller and peer."""
    kind: NodeKind = "external" if row["external"] else "service"
    findings = silent.get((row["source"], row["target"]), 0) if row["external"] else 0
    return Edge(
        source=node_id("service", row["source"]),
        target=node_id(kind, row["target"]),
        protocol=row["protocol"],
        calls=row["calls"],
        rate_per_s=row["calls"] / span_s,
        messages=None,
        errors=row["errors"],
        p50_ms=row["p50_ms"],
        p95_ms=row["p95_ms"],
        queue_wait_p95_ms=None,
        findings=findings,
    )


def _edge(
    source: str, target: str, protocol: Protocol, rows: list[Row], findings: int, span_s: float
) -> Edge:
    calls = sum(row["calls"] for row in rows)
    return Edge(
        source=source,
        target=target,
        protocol=protocol,
        calls=calls,
        rate_per_s=calls / span_s,
        messages=sum(row["messages"] for row in rows),
        errors=sum(row["errors"] for row in rows),
        p50_ms=_worst(rows, "p50_ms"),
        p95_ms=_worst(rows, "p95_ms"),
        queue_wait_p95_ms=_worst(rows, "queue_wait_p95_ms"),
        findings=findings,
    )


def _worst(rows: Iterable[Row], name: str) -> float | None:
    return max((row[name] for row in rows if row.get(name) is not None), default=None)


def _edge_key(edge: Edge) -> tuple[str, str, str]:
    return edge["source"], edge["target"], edge["protocol"]


def _names(
    activity: Iterable[Row], edges: Iterable[Edge], level: str
) -> dict[str, tuple[NodeKind, str, str | None, str | None]]:
    names: dict[str, tuple[NodeKind, str, str | None, str | None]] = {}
    for row in activity:
        names[node_id("service", row["service"])] = ("service", row["service"], None, None)
    for edge in edges:
        for identity in (edge["source"], edge["target"]):
            kind, _, rest = identity.partition(":")
            if kind == "external":
                names[identity] = ("external", rest, None, None)
            elif kind == "service":
                names.setdefault(identity, ("service", rest, None, None))
            elif level == "messaging":
                broker, vhost, name = rest.split("|", 2)
                kept: NodeKind = "exchange" if kind == "exchange" else "queue"
                names[identity] = (kept, name, broker or None, vhost or None)
    return names


def _lines(
    messaging: Iterable[Row], activity: Iterable[Row], given_back: Iterable[Row]
) -> dict[Named, Line]:
    """What each node did, step by step."""
    lines: dict[Named, Line] = defaultdict(Line)
    for row in messaging:
        lines[row["kind"], row["name"], row["broker"], row["vhost"]].add(row, row["calls"])
    for row in activity:
        if row["step"] is not None:
            lines["service", row["service"], None, None].add(row, row["spans"])
    for row in given_back:
        failed = {"step": row["step"], "errors": row["messages"]}
        lines["service", row["service"], None, None].add(failed, row["messages"])
    return lines


def _node(
    identity: str,
    parts: tuple[NodeKind, str, str | None, str | None],
    steps: Mapping[Named, Line],
    findings: Iterable[Row],
    edges: Iterable[Edge],
    span_s: float,
) -> Node:
    kind, name, broker, vhost = parts
    wanted = exchange_named(name) if kind == "exchange" else name
    found = steps.get((kind, wanted, broker, vhost), Line())
    calls, errors = sum(found.calls), found.errors
    if kind == "external":
        into = [edge for edge in edges if edge["target"] == identity]
        calls, errors = sum(e["calls"] for e in into), sum(e["errors"] for e in into)
    standing = {
        f["id"]: f["severity"] for f in findings if _concerns(f, kind, wanted, broker, vhost)
    }
    return Node(
        id=identity,
        kind=kind,
        name=name,
        broker=broker,
        vhost=vhost,
        calls=calls,
        errors=errors,
        rate_per_s=calls / span_s,
        p95_ms=_worst([dict(e) for e in edges if e["target"] == identity], "p95_ms"),
        findings=len(standing),
        worst_severity=max(standing.values(), key=lambda s: _RANK[s], default=None),
        sparkline=found.calls,
    )


def _concerns(f: Row, kind: NodeKind, name: str, broker: str | None, vhost: str | None) -> bool:
    if kind == "queue":
        return (f["queue"], f["broker"], f["vhost"]) == (name, broker, vhost)
    if kind == "exchange":
        here = (f["exchange"], f["broker"], f["vhost"]) == (name, broker, vhost)
        return here and f["kind"] in ("misrouted", "unroutable")
    if kind == "external":
        return f.get("peer") == name or (f["of_calls"] and f["consumer_service"] == name)
    if kind == "service":
        consumer = f["kind"] == "reordered"
        return f["consumer_service" if consumer else "producer_service"] == name
    return False
