"""Where rejected messages go when their queue has a dead-letter exchange, as far as that is sure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import pyarrow as pa

from strayline_collector.detect.intended import (
    Place,
    Said,
    by_place,
    said_by,
    text_headers,
    topology_of,
)
from strayline_collector.detect.route import Message, Queue, dead_letter
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

_NAMES: Final = ("environment", "broker", "vhost", "queue", "exchange", "routing_key")
DEAD_ENDS_SCHEMA: Final = pa.schema([*((n, pa.string()) for n in _NAMES), ("target", pa.string())])


def register_dead_ends(session: Session) -> None:
    """Registers ``dead_ends`` for ``detect/dead_lettered``: by queue and way, each queue that a
    message rejected there surely comes into."""
    ways = session.rows(load("detect/dead_letter_ways"))
    said = session.rows(load("detect/topology_said")) if ways else []
    session.register("dead_ends", pa.Table.from_pylist(dead_ends(ways, said), DEAD_ENDS_SCHEMA))


def dead_ends(ways: Iterable[Row], said: Sequence[Row]) -> list[Row]:
    """``ways`` have the columns of ``detect/dead_letter_ways``, ``said`` those of
    ``detect/topology_said``. A way whose goal is not sure is left out."""
    said_of = by_place(said)
    topology: dict[Place, list[Said]] = {}
    found: list[Row] = []
    for way in ways:
        place = (way["environment"], way["broker"], way["vhost"])
        if place not in topology:
            topology[place] = said_by(said_of(place))
        now = [s for s in topology[place] if s.from_ns <= way["last_ns"] <= s.to_ns]
        names = {n: way[n] for n in _NAMES}
        found += [{**names, "target": target} for target in _targets(now, way)]
    return found


def _targets(said: Sequence[Said], way: Row) -> list[str]:
    message = Message.of(way["exchange"], way["routing_key"], text_headers(way["routing_headers"]))
    gone = dead_letter(topology_of(said), way["queue"], "rejected", message)
    if gone is None or gone.route.unknown is not None or gone.route.delayed:
        return []
    known = {s.part.name for s in said if isinstance(s.part, Queue)}
    return sorted(gone.route.queues & known)
