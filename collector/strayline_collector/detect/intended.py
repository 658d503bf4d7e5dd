"""What the topology was meant to be at a time, from what services declared and documents say.

A service means what its *current* epoch declared: its newest process at that time, and every
older one still heard then (a rolling deploy). A reference document means what it holds while it
stands. What only possibly held convicts nobody: where the intent is not known, nothing is said.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from strayline_collector.detect.route import (
    UNRECORDED,
    Binding,
    Exchange,
    Policy,
    Queue,
    Topology,
    matches,
    route,
)
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

Place = tuple[str | None, str | None, str | None]
"""Environment, broker and vhost."""
FOREVER: Final = 2**63 - 1
CLOCK_MARGIN_NS: Final = 1_000_000_000
"""How far a service's clock may be from the collector's; NTP keeps them much closer."""

STRAYS_SCHEMA: Final = pa.schema(
    [
        *(
            (name, pa.string())
            for name in (
                "key",
                "environment",
                "broker",
                "vhost",
                "queue",
                "exchange",
                "routing_key",
                "routing_headers",
                "severity",
            )
        ),
        ("expected_queues", pa.list_(pa.string())),
        ("intended_bindings", pa.list_(pa.string())),
        ("from_ns", pa.int64()),
        ("to_ns", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Said:
    """One statement about the topology and the time in which it is meant."""

    part: Binding | Exchange | Queue | Policy
    complete: bool
    """From a complete source: what it lacks does not exist, or is not meant."""
    from_ns: int
    to_ns: int
    """Surely; both included."""
    possibly_from_ns: int
    possibly_to_ns: int
    service: str | None = None
    """Who declared it."""


def register_strays(session: Session) -> bool:
    """Registers ``strays`` for ``detect/stale_binding``: see there. False where there are none."""
    candidates = session.rows(load("detect/stale_binding_candidates"))
    said = session.rows(load("detect/topology_said")) if candidates else []
    found = strays(candidates, said, session.rows("SELECT * FROM unheard_services"))
    session.register("strays", pa.Table.from_pylist(found, STRAYS_SCHEMA))
    return bool(found)


def strays(
    candidates: Iterable[Row], said: Sequence[Row], unheard: Sequence[Row] = ()
) -> list[Row]:
    """The ways into queues, with times, that no intended binding explains.

    ``candidates`` have key, environment, broker, vhost, queue, exchange, routing_key,
    routing_headers (JSON or None), first_ns and last_ns; ``said`` the columns of
    ``detect/topology_said``, ``unheard`` those of ``detect/unheard_services``: then its services may
    have bound what nobody was told of.
    """
    said_of = by_place(said)
    meant_of: dict[Place, list[Said]] = {}
    found: list[Row] = []
    for candidate in candidates:
        place = (candidate["environment"], candidate["broker"], candidate["vhost"])
        if place not in meant_of:
            meant_of[place] = meant(said_of(place))
        found += _stray_times(candidate, meant_of[place], unheard)
    return found


def meant(said: Iterable[Row]) -> list[Said]:
    """What services and references mean, each part with its time."""
    return said_by(row for row in said if row["role"] == "intended")


def said_by(said: Iterable[Row]) -> list[Said]:
    """Turns statements (columns of ``detect/topology_said``) into parts with their time."""
    rows = list(said)
    times = _epoch_times(rows)
    ended = _unbound_times(rows)
    found: list[Said] = []
    for row in rows:
        if row["action"] not in ("declare", "bind"):
            continue
        if row["source"] == "shim":
            from_ns, to_ns = times[row["service"], row["epoch"] or row["instance"]]
        elif row["source"] == "management":
            found.append(_polled(row))
            continue
        else:
            from_ns, to_ns = row["seen_ns"], row["until_ns"] or FOREVER
        if row["kind"] == "binding":
            to_ns = min(to_ns, ended.get(binding_of(row), FOREVER))
        whose = row["service"] if row["source"] == "shim" else None
        complete = bool(row["complete"])
        found.append(Said(part_of(row), complete, from_ns, to_ns, from_ns, to_ns, whose))
    return found


def ever_said(said: Iterable[Row]) -> list[Said]:
    """Whatever anybody ever told, from the beginning on; bindings until they were seen to end."""
    rows = list(said)
    ended = _unbound_times(rows)
    found: list[Said] = []
    for row in rows:
        if row["action"] in ("declare", "bind"):
            to_ns = ended.get(binding_of(row), FOREVER) if row["kind"] == "binding" else FOREVER
            found.append(Said(part_of(row), bool(row["complete"]), 0, to_ns, 0, to_ns))
    return found


def _polled(row: Row) -> Said:
    """Sights are on the collector's clock, publishes on their services'."""
    first, last = row["possibly_from_ns"], row["possibly_to_ns"]
    return Said(
        part_of(row),
        bool(row["complete"]),
        row["seen_ns"] + CLOCK_MARGIN_NS,
        (row["until_ns"] or row["seen_ns"]) - CLOCK_MARGIN_NS,
        0 if first is None else first - CLOCK_MARGIN_NS,
        FOREVER if last is None else last + CLOCK_MARGIN_NS,
    )


def _stray_times(candidate: Row, said: Sequence[Said], unheard: Sequence[Row]) -> list[Row]:
    queue, exchange, key = candidate["queue"], candidate["exchange"], candidate["routing_key"]
    headers = text_headers(candidate["routing_headers"])
    owners = {
        item.service
        for item in said
        if isinstance(item.part, Binding) and item.part.destination == queue
    }
    doubts = [
        (row["from_ns"], FOREVER if row["to_ns"] is None else row["to_ns"])
        for row in unheard
        if row["service"] in owners
    ]
    found: list[Row] = []
    for from_ns, to_ns in stretches(said, candidate["first_ns"], candidate["last_ns"], doubts):
        now = [item for item in said if item.from_ns <= from_ns <= item.to_ns]
        bindings = [item.part for item in now if isinstance(item.part, Binding)]
        own = [b for b in bindings if b.destination_kind == "queue" and b.destination == queue]
        reference = any(item.complete for item in now)
        if not own and not reference:
            continue  # nobody said what this queue is for
        if not reference and any(a <= from_ns <= b for a, b in doubts):
            continue  # who said it may have said more
        topology = topology_of(now)
        answer = route(topology, exchange, key, headers)
        if queue in answer.queues or answer.unknown is not None or answer.delayed:
            continue
        # Another exchange may lead here by a binding between exchanges that nobody declared; what a
        # complete reference lacks is not meant.
        if not reference and any(
            _may_lead(topology, binding, key, headers)
            for binding in own
            if binding.source != exchange
        ):
            continue
        found.append(
            {
                **{
                    n: candidate[n]
                    for n in (
                        "key",
                        "environment",
                        "broker",
                        "vhost",
                        "queue",
                        "exchange",
                        "routing_key",
                        "routing_headers",
                    )
                },
                "severity": "error" if reference else "warning",
                "expected_queues": sorted(answer.queues),
                "intended_bindings": sorted({f"{b.source} — {b.routing_key}" for b in own}),
                "from_ns": from_ns,
                "to_ns": to_ns,
            }
        )
    return found


def stretches(
    said: Sequence[Said], first_ns: int, last_ns: int, more: Iterable[tuple[int, int]] = ()
) -> list[tuple[int, int]]:
    """The parts of first..last (both included) in which what is said stays the same, and each of
    ``more`` holds or does not."""
    times = [(item.from_ns, item.to_ns) for item in said]
    times += [(item.possibly_from_ns, item.possibly_to_ns) for item in said]
    cuts = {first_ns, last_ns + 1}
    for a, b in (*times, *more):
        cuts |= {t for t in (a, b + 1) if first_ns < t <= last_ns}
    edges = sorted(cuts)
    return [(a, b - 1) for a, b in itertools.pairwise(edges)]


def topology_of(said: Sequence[Said]) -> Topology:
    """Everything said, as one topology; complete when one of its sources is."""
    parts = [item.part for item in said]
    return Topology.of(
        (part for part in parts if isinstance(part, Exchange)),
        (part for part in parts if isinstance(part, Queue)),
        (part for part in parts if isinstance(part, Binding)),
        (part for part in parts if isinstance(part, Policy)),
        complete=any(item.complete for item in said),
    )


def _may_lead(
    topology: Topology, binding: Binding, key: str, headers: dict[str, Any] | None
) -> bool:
    kind = topology.exchange_type(binding.source)
    return kind is None or matches(kind, binding, (key,), headers) is not False


def _epoch_times(rows: Iterable[Row]) -> dict[tuple[str, str], tuple[int, int]]:
    """When each process's word holds: from its first word until it was last heard, or as long
    as no newer process of its service has spoken."""
    first: dict[tuple[str, str], int] = {}
    heard: dict[tuple[str, str], int] = {}
    for row in rows:
        if row["source"] == "shim":
            who = (row["service"], row["epoch"] or row["instance"])
            first[who] = min(first.get(who, FOREVER), row["seen_ns"])
            heard[who] = max(heard.get(who, 0), row["seen_ns"], row["until_ns"] or 0)
    times: dict[tuple[str, str], tuple[int, int]] = {}
    for who, from_ns in first.items():
        newer = [
            t for other, t in first.items() if other[0] == who[0] and (t, other) > (from_ns, who)
        ]
        times[who] = (from_ns, max(heard[who], min(newer) - 1) if newer else FOREVER)
    return times


def _unbound_times(rows: Iterable[Row]) -> dict[tuple[Any, ...], int]:
    """When each binding ended without being made again: unbound, or gone with its exchange or queue."""
    ended: dict[tuple[Any, ...], int] = {}
    bound: set[tuple[Any, ...]] = set()
    for row in sorted(rows, key=lambda r: r["seen_ns"]):
        if row["kind"] == "binding" and row["action"] == "bind":
            bound.add(binding_of(row))
            ended.pop(binding_of(row), None)
        elif row["kind"] == "binding" and row["action"] == "unbind":
            ended[binding_of(row)] = row["seen_ns"]
        elif row["action"] == "delete":
            for binding in bound:
                source, destination, kind, *_ = binding
                to_it = (destination, kind) == (row["name"], row["kind"])
                from_it = row["kind"] == "exchange" and source == row["name"]
                if to_it or from_it:
                    ended.setdefault(binding, row["seen_ns"])
    return ended


def binding_of(row: Row) -> tuple[Any, ...]:
    """What a binding is known by. Those of a headers exchange differ by their arguments alone."""
    to = (row["destination"], row["destination_kind"] or "queue")
    return (
        row["source_name"],
        *to,
        row["routing_key"],
        json.dumps(_arguments(row["arguments"]), sort_keys=True),
    )


def part_of(row: Row) -> Binding | Exchange | Queue | Policy:
    arguments = _arguments(row["arguments"])
    name = row["name"] or ""
    if row["kind"] == "binding":
        return Binding(
            row["source_name"] or "",
            row["destination"] or "",
            row["destination_kind"] or "queue",
            row["routing_key"] or "",
            arguments,
        )
    if row["kind"] == "policy":
        return Policy(
            name,
            arguments.get("pattern", ""),
            row["type"] or "all",
            arguments.get("priority", 0),
            arguments.get("definition", {}),
        )
    if row["kind"] == "exchange":
        return Exchange(name, row["type"], arguments=arguments, internal=bool(row.get("internal")))
    return Queue(name, arguments=arguments)


def by_place(said: Sequence[Row]) -> Callable[[Place], list[Row]]:
    """A function from a place to what was said of it, in the order of ``said``. A document that names no
    environment, broker or vhost speaks for every one."""
    shims: dict[Place, list[int]] = defaultdict(list)
    others: dict[str | None, list[int]] = defaultdict(list)
    for at, row in enumerate(said):
        if row["source"] == "shim":
            shims[row["environment"], row["broker"], row["vhost"]].append(at)
        else:
            others[row["vhost"]].append(at)

    def told(place: Place) -> list[Row]:
        environment, broker, vhost = place
        vhosts = others if vhost is None else (vhost, None)
        documents = (at for name in vhosts for at in others.get(name, ()))
        fitting = [
            at
            for at in documents
            if _may_be(said[at]["environment"], environment) and _may_be(said[at]["broker"], broker)
        ]
        return [said[at] for at in sorted(shims.get(place, []) + fitting)]

    return told


def _may_be(told: str | None, name: str | None) -> bool:
    return told is None or name is None or told == name


def _arguments(text: str | None) -> dict[str, Any]:
    try:
        value: object = json.loads(text) if text else {}
    except ValueError:
        return {}
    return {str(k): v for k, v in value.items()} if isinstance(value, dict) else {}


def text_headers(text: str | None) -> dict[str, Any] | None:
    """None: nobody recorded headers, so that a headers exchange cannot be judged. An empty object
    stands for a value that is there and no plain one."""
    if not text:
        return None
    return {k: UNRECORDED if v == {} else v for k, v in _arguments(text).items()}
