"""What is said of where a key leads: nowhere (a complete actual topology without a queue for it),
to queues by an alternate exchange alone, or somewhere that it is meant to (a reference that names a
queue for it, a contract that names the key)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import pyarrow as pa

from strayline_collector.contract.model import Contract
from strayline_collector.detect.detector import Detector
from strayline_collector.detect.intended import (
    Place,
    Said,
    by_place,
    ever_said,
    said_by,
    stretches,
    text_headers,
    topology_of,
)
from strayline_collector.detect.route import Route, Topology, route
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

_NAMES: Final = ("environment", "broker", "vhost", "exchange", "routing_key")
_WAY: Final = (*_NAMES, "routing_headers")
NAMED_SCHEMA: Final = pa.schema([(n, pa.string()) for n in _NAMES])
NOWHERE_SCHEMA: Final = pa.schema(
    [*((n, pa.string()) for n in _WAY), ("from_ns", pa.int64()), ("to_ns", pa.int64())]
)
ALTERNATES_SCHEMA: Final = pa.schema(
    [*NOWHERE_SCHEMA, ("queues", pa.list_(pa.string())), ("complete", pa.bool_())]
)


@dataclass(frozen=True, slots=True)
class Leads:
    """Ways (``nowhere_candidates``) by what is said of them, as rows of the schemas above."""

    nowhere: list[Row] = field(default_factory=list[Row])
    """Lead to no queue by a complete actual topology."""
    alternates: list[Row] = field(default_factory=list[Row])
    """Lead to ``queues`` by an alternate exchange alone. ``complete``: by a complete actual topology,
    else as far as anybody told."""
    named: list[Row] = field(default_factory=list[Row])
    """A reference leads them to a queue, or a contract names them."""


def register_nowhere(session: Session, contract: Contract | None = None) -> None:
    """Registers ``nowhere``, ``alternates`` and ``named`` for ``detect/unroutable``."""
    said = session.rows(load("detect/topology_said"))
    telling = any(row["source"] != "shim" for row in said) or _has_alternates(said) or contract
    candidates = session.rows(load("detect/nowhere_candidates")) if telling else []
    found = leads(candidates, said, contract or Contract())
    session.register("nowhere", pa.Table.from_pylist(found.nowhere, NOWHERE_SCHEMA))
    session.register("alternates", pa.Table.from_pylist(found.alternates, ALTERNATES_SCHEMA))
    session.register("named", pa.Table.from_pylist(found.named, NAMED_SCHEMA))


def named_by(detector: Detector, contract: Contract) -> Detector:
    """``unroutable`` by what ``contract`` names too, judged anew when it changes; others as they are."""
    if detector.name != "unroutable":
        return detector
    return replace(
        detector,
        prepare=lambda session: register_nowhere(session, contract),
        version=lambda _: contract.digest,
    )


def leads(candidates: Iterable[Row], said: Sequence[Row], contract: Contract) -> Leads:
    """``candidates`` have the columns of ``detect/nowhere_candidates``, ``said`` those of
    ``detect/topology_said``."""
    found = Leads()
    said_of = by_place(said)
    places: dict[Place, _Place] = {}
    for candidate in candidates:
        names = (candidate["environment"], candidate["broker"], candidate["vhost"])
        if names not in places:
            places[names] = _Place.of(said_of(names))
        place = places[names]
        first_ns, last_ns = candidate["first_ns"], candidate["last_ns"]
        way = {n: candidate[n] for n in _WAY}
        for from_ns, to_ns in stretches(place.actual, first_ns, last_ns):
            answer = None if place.fleeting else _answer(place.actual, from_ns, candidate)
            times = {"from_ns": from_ns, "to_ns": to_ns}
            if answer is not None and not answer.queues:
                found.nowhere.append({**way, **times})
            elif answer is not None and _by_alternate(answer):
                told = {"queues": sorted(answer.queues), "complete": True}
                found.alternates.append({**way, **times, **told})
        if place.known is not None:
            since_ns, answer = _ever(place.ever, place.known, candidate)
            if answer is not None and _by_alternate(answer):
                told = {"queues": sorted(answer.queues), "complete": False}
                found.alternates.append({**way, "from_ns": since_ns, "to_ns": last_ns, **told})
        meant = _answer(place.intended, last_ns, candidate)
        if (meant is not None and meant.queues) or any(
            channel.address is not None
            and channel.names(candidate["exchange"], candidate["routing_key"], candidate["vhost"])
            for _, channel in contract.keys
        ):
            found.named.append({n: candidate[n] for n in _NAMES})
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """What is said of one vhost: by complete actual sources, by references, by anybody."""

    actual: list[Said]
    intended: list[Said]
    ever: list[Said]
    """Whatever anybody ever told, so that what may have led there at the time is in it; nothing
    where no alternate exchange is told of."""
    known: Topology | None
    """The same as one topology."""
    fleeting: bool
    """Polled, and queues come and go there: then not having seen one proves nothing."""

    @staticmethod
    def of(rows: Sequence[Row]) -> _Place:
        told = [row for row in rows if row["source"] != "shim"]
        ever = ever_said(rows) if _has_alternates(rows) else []
        return _Place(
            actual=said_by(r for r in told if r["role"] == "actual" and r["complete"]),
            intended=said_by(r for r in told if r["role"] == "intended"),
            ever=ever,
            known=topology_of(ever) if ever else None,
            fleeting=_polled(told) and any(_short_lived(row) for row in rows),
        )


def _by_alternate(answer: Route) -> bool:
    return answer.alternate and answer.unknown is None and not answer.one_of


def _answer(said: Sequence[Said], at_ns: int, candidate: Row) -> Route | None:
    """The route at that time; None when what is said does not decide: neither by what surely held,
    nor by all that possibly held."""
    sure = [item for item in said if item.from_ns <= at_ns <= item.to_ns]
    if not sure:
        return None
    possible = [item for item in said if item.possibly_from_ns <= at_ns <= item.possibly_to_ns]
    answer = _routed(topology_of(sure), candidate)
    if answer is None or len(sure) == len(possible):
        return answer
    other = _routed(topology_of(possible), candidate)
    same = other is not None and (other.queues, other.alternate) == (answer.queues, answer.alternate)  # fmt: skip
    return answer if same else None


def _ever(ever: Sequence[Said], known: Topology, candidate: Row) -> tuple[int, Route | None]:
    """The route by all that was ever told, and from when on it holds: since the last of the bindings
    that led elsewhere was taken away, if that was seen."""
    answer = _routed(known, candidate)
    if answer is None or _by_alternate(answer):
        return candidate["first_ns"], answer
    ends = [s.to_ns for s in ever if s.to_ns < candidate["last_ns"] and s.part in answer.matched]
    if not ends:
        return candidate["first_ns"], answer
    since_ns = max(ends)
    left = topology_of([s for s in ever if s.to_ns > since_ns])
    return since_ns + 1, _routed(left, candidate)


def _routed(topology: Topology, candidate: Row) -> Route | None:
    answer = route(
        topology,
        candidate["exchange"],
        candidate["routing_key"],
        text_headers(candidate["routing_headers"]),
    )
    decided = answer.unknown is None and not answer.delayed and not answer.reply
    return answer if answer.queues or decided else None


def _has_alternates(rows: Iterable[Row]) -> bool:
    return any("alternate-exchange" in (row["arguments"] or "") for row in rows)


def _polled(rows: Sequence[Row]) -> bool:
    return any(row["source"] == "management" for row in rows)


def _short_lived(row: Row) -> bool:
    """A queue that may come and go between two looks: then not having seen one proves nothing."""
    if row["kind"] != "queue":
        return False
    made_up = (row["name"] or "").startswith("amq.gen-")
    expires = "x-expires" in (row["arguments"] or "")
    return bool(row["auto_delete"]) or bool(row["exclusive"]) or made_up or expires
