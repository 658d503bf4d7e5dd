"""What is judged of each queue, what cannot be, and why: the other half of every verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal

from fastapi import FastAPI
from starlette.responses import Response

from strayline_collector.model import Control
from strayline_collector.query.params import Cursor, Few, Read, Time, offset_of, paged
from strayline_collector.query.times import BEGINNING, END, rfc3339, time_range
from strayline_collector.query.wire import (
    Coverage,
    CoveredVerdict,
    FailedDetector,
    Outage,
    QueueCoverage,
    UnnamedCoverage,
)
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

State = tuple[Literal["judged", "inferred", "unknown"], str | None]
"""``judged``, ``inferred`` or ``unknown``, and what is missing."""

Named = frozenset[str]
"""The queues that a contract names."""

NO_STAMPS: Final = "no delivery bears a stamp: its producers are not instrumented by Strayline"
NO_SETTLEMENTS: Final = "nobody tells acknowledgements: the spans of other SDKs do not"
NO_NAME: Final = "no span names its queue: some instrumentations of consumers do not"
NO_DELIVERIES: Final = "no delivery of it was seen: its consumers are silent, or there are none"


def read_coverage(
    session: Session,
    promised_queues: Iterable[str],
    failures: Mapping[str, str],
    range_ns: Mapping[str, int] | None = None,
) -> Coverage:
    """``promised_queues`` are those that a contract names; ``failures`` the tracebacks of detectors
    whose last run failed; ``range_ns`` (``start_ns``, ``end_ns``; None: all of it) is where outages are looked for."""
    named = frozenset(promised_queues)
    everything = {"start_ns": BEGINNING, "end_ns": END}
    outages = session.rows(load("query/outages"), {**(range_ns or everything)})
    away = _away(outages)
    return Coverage(
        items=[covered(row, named, away) for row in session.rows(load("query/coverage"))],
        unnamed=[unnamed(row, away) for row in session.rows(load("query/coverage_unnamed"))],
        outages=[
            Outage(start=rfc3339(row["start_ns"]), end=rfc3339(row["end_ns"])) for row in outages
        ],
        failed_detectors=[
            FailedDetector(detector=name, reason=text.strip().splitlines()[-1])
            for name, text in sorted(failures.items())
        ],
        next_cursor=None,
    )


def _away(outages: Sequence[Row]) -> str | None:
    seconds = sum(row["end_ns"] - row["start_ns"] for row in outages) / 1e9
    times = "once" if len(outages) == 1 else f"{len(outages):,} times"
    return f"no collector listened {times}, {_long(seconds)} in all" if outages else None


def _long(seconds: float) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"


def covered(row: Row, named: Named, away: str | None = None) -> QueueCoverage:
    """``row`` has the columns of ``query/coverage``. ``away``: that and how long no collector listened,
    which is said of every verdict that rests on what is not there."""
    told = [(kind, verdict, judge(row, named)) for kind, verdict, judge in VERDICTS]
    return QueueCoverage(
        environment=row["environment"],
        broker=row["broker"],
        vhost=row["vhost"],
        queue=row["queue"],
        deliveries=row["deliveries"],
        messages=row["messages"],
        stamped_share=_share(row["stamped"], row["deliveries"]),
        publish_known_share=_share(row["joined_up"], row["deliveries"]),
        settled_share=_share(row["settled"], row["deliveries"]),
        processes=row["processes"],
        processes_with_census=row["counted"],
        declared=row["declared"],
        verdicts=_covered(told, away),
    )


def unnamed(row: Row, away: str | None = None) -> UnnamedCoverage:
    """``row`` has the columns of ``query/coverage_unnamed``."""
    told = [
        (kind, verdict, UNNAMED.get(verdict or kind, _nameless)(row, frozenset()))
        for kind, verdict, _ in VERDICTS
    ]
    return UnnamedCoverage(
        environment=row["environment"],
        broker=row["broker"],
        vhost=row["vhost"],
        exchange=row["exchange"],
        consumer_service=row["consumer_service"],
        deliveries=row["deliveries"],
        messages=row["messages"],
        publish_known_share=row["joined_up"] / row["deliveries"],
        verdicts=_covered(told, away),
    )


def _covered(
    told: Iterable[tuple[str, str | None, State]], away: str | None
) -> list[CoveredVerdict]:
    verdicts: list[CoveredVerdict] = []
    for kind, verdict, (state, missing) in told:
        by_absence = state != "unknown" and (verdict or kind) in BY_ABSENCE
        reason = "; ".join(filter(None, (missing, away if by_absence else None))) or None
        verdicts.append(CoveredVerdict(kind=kind, verdict=verdict, state=state, reason=reason))
    return verdicts


def _share(part: int, whole: int) -> float | None:
    return None if not whole else part / whole


def _partly(row: Row) -> str | None:
    missing = row["deliveries"] - row["stamped"]
    return None if not missing else f"{missing:,} of {row['deliveries']:,} deliveries bear no stamp"


def _reordered(row: Row, _: Named) -> State:
    if row["is_stream"]:
        return "unknown", "a stream queue promises no order of this kind"
    if not row["deliveries"]:
        return "unknown", NO_DELIVERIES
    if not row["stamped"]:
        return "inferred", f"{NO_STAMPS}; only publishes that did not overlap are compared"
    if row["clocks"] > 1:
        return "judged", "consumers on several hosts are each compared on their own clock"
    return "judged", _partly(row)


def _stale_binding(row: Row, _: Named) -> State:
    if not row["bound"]:
        return "unknown", "nobody was seen to bind it, and no document says what is bound"
    return ("judged", None) if row["deliveries"] else ("unknown", NO_DELIVERIES)


def _contract(row: Row, named: Named) -> State:
    if row["queue"] not in named:
        return "unknown", "no contract names it"
    return ("judged", None) if row["deliveries"] else ("unknown", NO_DELIVERIES)


def _by_habit(row: Row, _: Named) -> State:
    if not row["joined_up"]:
        return "unknown", "of no delivery its publish is known"
    return "inferred", None


def _lost(row: Row, _: Named) -> State:
    if not row["declared"]:
        return "unknown", "nobody was seen to declare it, and no document tells of it"
    if row["processes"] == 0:
        return "unknown", NO_DELIVERIES
    if row["counted"] < row["processes"]:
        silent = row["processes"] - row["counted"]
        return "inferred", f"{silent} of {row['processes']} consuming processes sent no census"
    if row["dropping"]:
        return "inferred", f"{row['dropping']} consuming processes dropped spans"
    return "judged", _partly(row)


def _stalled(row: Row, _: Named) -> State:
    return ("inferred", None) if row["deliveries"] else ("unknown", NO_DELIVERIES)


def _settled(row: Row, _: Named) -> State:
    if not row["deliveries"]:
        return "unknown", NO_DELIVERIES
    if not row["by_shim"] or not row["settled"]:
        return "unknown", NO_SETTLEMENTS
    return "judged", _partly(row)


def _looping(row: Row, _: Named) -> State:
    if not row["deliveries"]:
        return "unknown", NO_DELIVERIES
    return ("judged", _partly(row)) if row["by_shim"] else ("inferred", NO_SETTLEMENTS)


def _dead_lettered(row: Row, _: Named) -> State:
    if not row["by_shim"]:
        return (
            ("inferred", "nobody tells x-death: only where a rejected message came next tells")
            if row["deliveries"]
            else ("unknown", NO_DELIVERIES)
        )
    return "judged", None


def _context_lost(row: Row, _: Named) -> State:
    if row["stamped"]:
        return "judged", _partly(row)
    return (
        ("inferred", f"{NO_STAMPS}; only ids tell")
        if row["deliveries"]
        else ("unknown", NO_DELIVERIES)
    )


def _uninstrumented(row: Row, _: Named) -> State:
    return ("judged", None) if row["deliveries"] else ("inferred", None)


Judge = Callable[[Row, Named], State]
VERDICTS: Final[Sequence[tuple[str, str | None, Judge]]] = (
    ("reordered", None, _reordered),
    ("misrouted", "stale_binding", _stale_binding),
    ("misrouted", "contract", _contract),
    ("misrouted", "outlier", _by_habit),
    ("misrouted", "refused", _by_habit),
    ("lost", None, _lost),
    ("stalled", None, _stalled),
    ("duplicated", "handled", _settled),
    ("redelivery_loop", None, _looping),
    ("dead_lettered", None, _dead_lettered),
    ("context_lost", None, _context_lost),
    ("uninstrumented", None, _uninstrumented),
)
"""Every verdict about a queue, in the order in which they are told."""


def _nameless(_: Row, __: Named) -> State:
    return "unknown", NO_NAME


def _looping_somewhere(row: Row, named: Named) -> State:
    if not row["joined_up"]:
        return _by_habit(row, named)
    return "inferred", f"{NO_NAME}; only what is a loop whichever queues it came from is told"


UNNAMED: Final[Mapping[str, Judge]] = {
    "outlier": _by_habit,
    "redelivery_loop": _looping_somewhere,
    "context_lost": lambda _, __: ("inferred", f"{NO_STAMPS}; only ids tell"),
}
"""The verdicts that something is said of where no span names the queue."""


BY_ABSENCE: Final = frozenset(
    {"stale_binding", "outlier", "lost", "stalled", "dead_lettered", "uninstrumented"}
)
"""Verdicts of which some conclude from what was not told: nothing is claimed of what may have been
told while no collector listened."""


def add_coverage_route(app: FastAPI, read: Read, control: Control) -> None:
    """Adds it to the API."""

    @app.get("/api/v1/coverage", response_model=Coverage, tags=["findings"])
    async def coverage(
        start: Time = None, end: Time = None, limit: Few = None, cursor: Cursor = None
    ) -> Response:
        """By queue, which verdicts are ``judged`` by what was recorded, which are only ``inferred``, and
        which are ``unknown``, with the reason; the same, as ``unnamed``, of what was handled from queues that no span names; detectors whose last run failed; when no collector listened, within
        ``start`` and ``end``."""
        queues, failures = control.judging()
        within, offset = time_range(start, end), offset_of(cursor)
        return await read(
            lambda s: paged(read_coverage(s, queues, failures, within), limit, offset)
        )
