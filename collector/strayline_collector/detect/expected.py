"""Which queues each message surely was for: by what surely was bound when it was published."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import pyarrow as pa

from strayline_collector.detect.intended import (
    FOREVER,
    Place,
    Said,
    binding_of,
    by_place,
    part_of,
    said_by,
    stretches,
    text_headers,
    topology_of,
)
from strayline_collector.detect.route import Route, Topology, route
from strayline_collector.detect.route.match import CHANCE
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

_WAY: Final = ("environment", "broker", "vhost", "exchange", "routing_key")
_NAMES: Final = (*_WAY, "routing_headers")
EXPECTED_SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name in (*_NAMES, "queue")),
        ("from_ns", pa.int64()),
        ("to_ns", pa.int64()),
        ("if_mandatory", pa.bool_()),
    ]
)


def register_ways(session: Session) -> None:
    """Registers ``expected``: see ``expectations``."""
    _register(session, _expected(session))


def register_expected(session: Session) -> bool:
    """Registers ``expected``, see ``expectations``; ``missing``: what was expected in a touched
    queue and never seen in it; and ``rejected``: what was in one, and no longer is. Whether there is any."""
    rows = _expected(session)
    _register(session, rows)
    missing = session.table(load("detect/missing"), {"several": _several(rows)})
    rejected = session.table(load("detect/rejected"), session.rows(load("detect/ever_dead"))[0])
    session.register("missing", missing)
    session.register("rejected", rejected)
    return bool(missing.num_rows or rejected.num_rows)


def expectations(candidates: Iterable[Row], said: Sequence[Row]) -> list[Row]:
    """The queues that each exchange and key surely led to, with the times in which it did.

    ``candidates`` have environment, broker, vhost, exchange, routing_key, routing_headers, first_ns
    and last_ns; ``said`` the columns of ``detect/topology_said``. After the last sight of a binding a
    message whose broker had to find it a queue (``mandatory``) can only have come to the one queue
    that is known: such rows are ``if_mandatory``.
    """
    said_of = by_place(said)
    held_in: dict[Place, list[Said]] = {}
    found: list[Row] = []
    for candidate in candidates:
        place = (candidate["environment"], candidate["broker"], candidate["vhost"])
        if place not in held_in:
            held_in[place] = held_by(said_of(place))
        held = held_in[place]
        exchange, key = candidate["exchange"], candidate["routing_key"]
        headers = text_headers(candidate["routing_headers"])
        for from_ns, to_ns in stretches(held, candidate["first_ns"], candidate["last_ns"]):
            sure = topology_of([item for item in held if item.from_ns <= from_ns <= item.to_ns])
            certain = _certain(sure, route(sure, exchange, key, headers))
            likely = topology_of(
                [item for item in held if item.possibly_from_ns <= from_ns <= item.possibly_to_ns]
            )
            guess = _certain(likely, route(likely, exchange, key, headers))
            alone = guess - certain if len(guess) == 1 else frozenset[str]()
            found += [
                {
                    **{name: candidate[name] for name in _NAMES},
                    "queue": queue,
                    "from_ns": from_ns,
                    "to_ns": to_ns,
                    "if_mandatory": queue in alone,
                }
                for queue in sorted(certain | alone)
            ]
    return found


def held_by(rows: Iterable[Row]) -> list[Said]:
    """What was there, each thing between its first and last sight: what shims saw agreed to, cut
    where one saw it go, and what actual documents say."""
    told = list(rows)
    documents = (row for row in told if row["source"] != "shim" and row["role"] == "actual")
    found = said_by(documents)
    shim = [row for row in told if row["source"] == "shim"]
    gone = [row for row in shim if row["action"] in ("delete", "unbind")]
    sights: dict[Any, list[Row]] = {}
    for row in shim:
        if row["action"] in ("declare", "bind"):
            sights.setdefault((_identity(row), row["arguments"]), []).append(row)
    for (identity, _), seen in sights.items():
        ends = sorted(row["seen_ns"] for row in gone if _takes(row, identity))
        for group in _between(seen, ends):
            from_ns = min(row["seen_ns"] for row in group)
            end = next((at for at in ends if at >= from_ns), FOREVER)
            last = max(max(row["seen_ns"], row["until_ns"] or 0) for row in group)
            found.append(Said(part_of(group[0]), False, from_ns, min(last, end), from_ns, end))
    return found


def _between(seen: Sequence[Row], ends: Sequence[int]) -> list[list[Row]]:
    groups: dict[int, list[Row]] = {}
    for row in seen:
        groups.setdefault(sum(at <= row["seen_ns"] for at in ends), []).append(row)
    return list(groups.values())


def _certain(topology: Topology, answer: Route) -> frozenset[str]:
    """The queues reached for certain, although more may be bound than is known."""
    if answer.delayed or (answer.alternate and not topology.complete):
        return frozenset()
    if any(topology.exchange_type(binding.source) in CHANCE for binding in answer.matched):
        return frozenset()
    return answer.certain


def _identity(row: Row) -> tuple[Any, ...]:
    if row["kind"] == "binding":
        return ("binding", *binding_of(row))
    return (row["kind"], row["name"])


def _takes(gone: Row, identity: tuple[Any, ...]) -> bool:
    if _identity(gone) == identity:
        return True
    if gone["kind"] == "binding" or identity[0] != "binding":
        return False
    is_source = gone["kind"] == "exchange" and gone["name"] == identity[1]
    return is_source or (gone["name"], gone["kind"]) == identity[2:4]


def register_pauses(session: Session) -> bool:
    """Registers ``pauses`` for ``detect/stalled``, and what was expected, where there are any: whether there are."""
    pauses = session.table(load("detect/pauses"))
    session.register("pauses", pauses)
    _register(session, _expected(session) if pauses.num_rows else [])
    return bool(pauses.num_rows)


def _register(session: Session, rows: list[Row]) -> None:
    session.register("expected", pa.Table.from_pylist(rows, EXPECTED_SCHEMA))


def _several(rows: Iterable[Row]) -> bool:
    """Whether an exchange and key lead to more than one queue."""
    queues = {(*(row[name] for name in _WAY), row["queue"]) for row in rows}
    return len(queues) > len({way[:-1] for way in queues})


def _expected(session: Session) -> list[Row]:
    said = session.rows(load("detect/topology_said"))
    queues = any(row["kind"] == "queue" and row["action"] == "declare" for row in said)
    return expectations(session.rows(load("detect/expected_candidates")) if queues else [], said)
