"""What documents say of where a key leads: nowhere (a complete actual topology without a queue
for it), or somewhere (a reference that names a queue for it)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import pyarrow as pa

from strayline_collector.detect.intended import (
    Said,
    said_by,
    same_place,
    stretches,
    text_headers,
    topology_of,
)
from strayline_collector.detect.route import route
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

_NAMES: Final = ("environment", "broker", "vhost", "exchange", "routing_key")
NOWHERE_SCHEMA: Final = pa.schema(
    [*((n, pa.string()) for n in _NAMES), ("from_ns", pa.int64()), ("to_ns", pa.int64())]
)
NAMED_SCHEMA: Final = pa.schema([(n, pa.string()) for n in _NAMES])


def register_nowhere(session: Session) -> None:
    """Registers ``nowhere`` and ``named`` for ``detect/unroutable``."""
    said = session.rows(load("detect/topology_said"))
    documents = any(row["source"] != "shim" for row in said)
    candidates = session.rows(load("detect/nowhere_candidates")) if documents else []
    lost, named = leads(candidates, said)
    session.register("nowhere", pa.Table.from_pylist(lost, NOWHERE_SCHEMA))
    session.register("named", pa.Table.from_pylist(named, NAMED_SCHEMA))


def leads(candidates: Iterable[Row], said: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """(keys that a complete actual topology leads nowhere, with times; keys that a reference
    leads to a queue)."""
    lost: list[Row] = []
    named: list[Row] = []
    for candidate in candidates:
        place = (candidate["environment"], candidate["broker"], candidate["vhost"])
        here = [row for row in said if same_place(row, place)]
        told = [row for row in here if row["source"] != "shim"]
        actual = said_by(row for row in told if row["role"] == "actual" and row["complete"])
        names = {n: candidate[n] for n in _NAMES}
        if not (_polled(told) and any(_short_lived(row) for row in here)):
            for from_ns, to_ns in stretches(actual, candidate["first_ns"], candidate["last_ns"]):
                answer = _answer(actual, from_ns, candidate)
                if answer is not None and not answer:
                    lost.append({**names, "from_ns": from_ns, "to_ns": to_ns})
        intended = said_by(row for row in told if row["role"] == "intended")
        if intended and _answer(intended, candidate["last_ns"], candidate):
            named.append(names)
    return lost, named


def _answer(said: Sequence[Said], at_ns: int, candidate: Row) -> frozenset[str] | None:
    """The queues at that time; None when what is said does not decide: neither by what surely held,
    nor by all that possibly held."""
    sure = [item for item in said if item.from_ns <= at_ns <= item.to_ns]
    if not sure:
        return None
    possible = [item for item in said if item.possibly_from_ns <= at_ns <= item.possibly_to_ns]
    answer = _queues(sure, candidate)
    return answer if len(sure) == len(possible) or answer == _queues(possible, candidate) else None


def _queues(said: Sequence[Said], candidate: Row) -> frozenset[str] | None:
    answer = route(
        topology_of(said),
        candidate["exchange"],
        candidate["routing_key"],
        text_headers(candidate["routing_headers"]),
    )
    decided = answer.unknown is None and not answer.delayed and not answer.reply
    return answer.queues if answer.queues or decided else None


def _polled(rows: Sequence[Row]) -> bool:
    return any(row["source"] == "management" for row in rows)


def _short_lived(row: Row) -> bool:
    """A queue that may come and go between two looks: then not having seen one proves nothing."""
    if row["kind"] != "queue":
        return False
    made_up = (row["name"] or "").startswith("amq.gen-")
    expires = "x-expires" in (row["arguments"] or "")
    return bool(row["auto_delete"]) or bool(row["exclusive"]) or made_up or expires
