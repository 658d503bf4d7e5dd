"""The ways into one queue: exchange and key, where such messages are meant to go, where they went, and
how the binding that comes nearest differs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from strayline_collector.detect.absence import register_unheard
from strayline_collector.detect.intended import Said, said_by
from strayline_collector.detect.route import (
    Binding,
    Exchange,
    Policy,
    Queue,
    Topology,
    matches,
    route,
    topic_words,
)
from strayline_collector.query.wire import (
    KeyWord,
    NearestBinding,
    QueueRoutes,
    RouteBinding,
    RouteEnd,
    RouteWay,
)
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

MOST: Final = 2000
"""Exchanges and keys that are looked at, the busiest first."""


def read_routes(
    session: Session,
    range_ns: Mapping[str, int],
    *,
    name: str,
    broker: str | None,
    vhost: str | None,
) -> QueueRoutes:
    """The ways into a queue, the busiest first; empty where nothing is known of it."""
    params = {"broker": broker, "vhost": vhost, **range_ns, "limit": MOST}
    register_unheard(session)
    published = session.rows(load("query/route_published"), params)
    delivered = session.rows(load("query/route_delivered"), params)
    rows = [
        row
        for row in session.rows(load("detect/topology_said"))
        if _speaks_of(row, "broker", broker) and _speaks_of(row, "vhost", vhost)
    ]
    parts = {
        role: said_by([r for r in rows if r["role"] == role]) for role in ("intended", "actual")
    }
    known = [*parts["intended"], *parts["actual"]]
    return QueueRoutes(
        queue=name,
        broker=broker,
        vhost=vhost,
        bindings=_bindings(name, parts),
        items=ways(name, published, delivered, parts["intended"], known),
        truncated=len(published) >= MOST or len(delivered) >= MOST,
        next_cursor=None,
    )


def _speaks_of(row: Row, name: str, asked: str | None) -> bool:
    """A document that names no broker or vhost speaks for every one."""
    return asked is None or row[name] == asked or (row[name] is None and row["source"] != "shim")


def ways(
    name: str,
    published: Iterable[Row],
    delivered: Iterable[Row],
    meant: Sequence[Said],
    known: Sequence[Said],
) -> list[RouteWay]:
    """Every exchange and key whose messages came into queue ``name`` or are meant to."""
    sent = {(row["exchange"], row["routing_key"] or ""): row for row in published}
    arrived: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in delivered:
        arrived[row["exchange"], row["routing_key"] or ""].append(row)
    found: list[RouteWay] = []
    for way in sorted({*sent, *arrived}):
        row, ends = sent.get(way), arrived.get(way, [])
        at_ns = row["last_ns"] if row is not None else max(end["last_ns"] for end in ends)
        wanted = route(topology_at(meant, at_ns), *way)
        into = any(end["queue"] == name for end in ends)
        if not into and name not in wanted.queues:
            continue
        through = _matching(topology_at(known, at_ns), way, name)
        expected = sorted(wanted.queues)
        actual = sorted(ends, key=lambda end: (-end["messages"], end["queue"]))
        found.append(
            RouteWay(
                exchange=way[0],
                routing_key=way[1],
                published=row["published"] if row is not None else 0,
                returned=row["returned"] if row is not None else 0,
                last_unix_nano=at_ns,
                expected_queues=expected,
                unknown=wanted.refused or wanted.unknown or (None if expected else _NOBODY),
                actual=[RouteEnd(queue=end["queue"], messages=end["messages"]) for end in actual],
                into_queue=into,
                meant_for_queue=name in wanted.queues,
                binding=None if through is None else through.routing_key,
                nearest=None
                if name in wanted.queues
                else nearest(way, name, topology_at(meant, at_ns)),
            )
        )
    return sorted(found, key=lambda way: (-way["published"], way["exchange"], way["routing_key"]))


_NOBODY: Final = "nothing that is declared leads messages with this key anywhere"


def topology_at(said: Iterable[Said], at_ns: int) -> Topology:
    """What surely held at a time, from parts of one role."""
    parts = [s for s in said if s.from_ns <= at_ns <= s.to_ns]
    return Topology.of(
        (s.part for s in parts if isinstance(s.part, Exchange)),
        (s.part for s in parts if isinstance(s.part, Queue)),
        (s.part for s in parts if isinstance(s.part, Binding)),
        (s.part for s in parts if isinstance(s.part, Policy)),
        complete=any(s.complete for s in parts),
    )


def nearest(way: tuple[str, str], queue: str, topology: Topology) -> NearestBinding | None:
    """Of the exchange's bindings to the queue, else of all its bindings, the one whose key differs
    in the fewest words; None where the exchange has none."""
    exchange, key = way
    bindings = topology.bindings.get(exchange, ())
    own = [b for b in bindings if b.destination == queue and b.destination_kind == "queue"]
    words = topic_words(key)
    best: tuple[int, Binding, list[KeyWord]] | None = None
    for binding in own or bindings:
        compared = compare_words(topic_words(binding.routing_key), words)
        differing = sum(not word["same"] for word in compared)
        if best is None or differing < best[0]:
            best = (differing, binding, compared)
    if best is None:
        return None
    _, binding, compared = best
    return NearestBinding(routing_key=binding.routing_key, destination=binding.destination, words=compared)  # fmt: skip


def compare_words(pattern: Sequence[str], words: Sequence[str]) -> list[KeyWord]:
    """Word for word, as they lie against each other with the fewest differences; ``*`` is any word,
    ``#`` any number of them."""
    rows, columns = len(pattern), len(words)
    cost = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        cost[i][columns] = cost[i + 1][columns] + (pattern[i] != "#")
    for j in range(columns - 1, -1, -1):
        cost[rows][j] = cost[rows][j + 1] + 1
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            if pattern[i] == "#":
                cost[i][j] = min(cost[i + 1][j], cost[i][j + 1])
            else:
                cost[i][j] = min(
                    cost[i + 1][j + 1] + (not _same(pattern[i], words[j])),
                    cost[i + 1][j] + 1,
                    cost[i][j + 1] + 1,
                )
    found: list[KeyWord] = []
    i = j = 0
    while i < rows or j < columns:
        if i < rows and pattern[i] == "#":
            if cost[i][j] == cost[i + 1][j]:
                found.append(KeyWord(pattern="#", word=None, same=True))
                i += 1
            else:
                found.append(KeyWord(pattern="#", word=words[j], same=True))
                j += 1
        elif i < rows and j < columns and cost[i][j] == cost[i + 1][j + 1] + (not _same(pattern[i], words[j])):  # fmt: skip
            found.append(KeyWord(pattern=pattern[i], word=words[j], same=_same(pattern[i], words[j])))  # fmt: skip
            i, j = i + 1, j + 1
        elif i < rows and cost[i][j] == cost[i + 1][j] + 1:
            found.append(KeyWord(pattern=pattern[i], word=None, same=False))
            i += 1
        else:
            found.append(KeyWord(pattern=None, word=words[j], same=False))
            j += 1
    return found


def _same(pattern: str, word: str) -> bool:
    return pattern in ("*", word)


def _matching(topology: Topology, way: tuple[str, str], queue: str) -> Binding | None:
    """The binding from the exchange to the queue that a message of this key goes along."""
    exchange, key = way
    kind = topology.exchange_type(exchange)
    for binding in topology.bindings.get(exchange, ()):
        straight = binding.destination == queue and binding.destination_kind == "queue"
        if straight and kind is not None and matches(kind, binding, [key], None):
            return binding
    return None


def _bindings(name: str, parts: Mapping[str, Sequence[Said]]) -> list[RouteBinding]:
    found: dict[tuple[str, str], RouteBinding] = {}
    for role, said in parts.items():
        for each in said:
            part: Any = each.part
            if not isinstance(part, Binding) or part.destination != name or not part.source:
                continue
            told = found.setdefault(
                (part.source, part.routing_key),
                RouteBinding(exchange=part.source, routing_key=part.routing_key, roles=[]),
            )
            if role not in told["roles"]:
                told["roles"].append(role)
    return [found[key] for key in sorted(found)]
