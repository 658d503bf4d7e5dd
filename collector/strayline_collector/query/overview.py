"""Figures over time, for sparklines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from strayline_collector.query.calls import (
    MINUTE_NS,
    Histogram,
    Minutes,
    quantile_ms,
    read_activity,
    read_given_back,
    seen_range,
)
from strayline_collector.query.outline import KINDS
from strayline_collector.query.wire import Operation, RatePoint, Rates, Service, ServiceSeen
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session


def read_services(session: Session, range_ns: Mapping[str, int]) -> list[Service]:
    """Services with their counts, by name."""
    return [Service(**row) for row in session.rows(load("query/services"), range_ns)]


def read_services_seen(session: Session, *, limit: int) -> list[ServiceSeen]:
    """Services by when they were first heard of: those seen before keep their places."""
    rows = session.rows(load("query/services_seen"), {"limit": limit})
    return [ServiceSeen(**row) for row in rows]


def read_operations(session: Session, range_ns: Mapping[str, int], service: str) -> list[Operation]:
    """Span names of one service with their counts, most frequent first."""
    rows = session.rows(load("query/operations"), {**range_ns, "service": service})
    return [Operation(**{**row, "kind": KINDS[row["kind"]]}) for row in rows]


def read_rates(
    session: Session, range_ns: Mapping[str, int], *, steps: int, service: str | None
) -> Rates:
    """Spans, requests, errors and p95 in ``steps`` equal steps of the range (of what is stored,
    where it has no ends). Each call and message counts once: where it was handled, or as one that the
    broker gave back."""
    seen = seen_range(session, range_ns)
    if seen is None:
        return Rates(step_s=0.0, points=[])
    start_ns, end_ns = seen["start_ns"], seen["end_ns"]
    step_ns = max(1, -(-(end_ns - start_ns + 1) // steps))
    if step_ns >= MINUTE_NS and Minutes.of(session, seen) is not None:
        rows = _by_minutes(read_activity(session, seen, step_ns, steps), service)
    else:
        params = {**seen, "step_ns": step_ns, "service": service}
        rows = {int(row["step"]): row for row in session.rows(load("query/rates"), params)}
    lost: dict[int, int] = defaultdict(int)
    for back in read_given_back(session, seen, step_ns, steps):
        if service in (None, back["service"]):
            lost[int(back["step"])] += back["messages"]
    points: list[RatePoint] = []
    for step in range(steps):
        row = rows.get(step)
        points.append(
            RatePoint(
                start_unix_nano=start_ns + step * step_ns,
                spans=row["spans"] if row else 0,
                requests=(row["requests"] if row else 0) + lost[step],
                errors=(row["errors"] if row else 0) + lost[step],
                p95_ms=row["p95_ms"] if row else None,
            )
        )
    return Rates(step_s=step_ns / 1e9, points=points)


def _by_minutes(activity: Iterable[Row], service: str | None) -> dict[int, Row]:
    found: dict[int, Row] = defaultdict(lambda: {"spans": 0, "requests": 0, "errors": 0})
    durations: dict[int, Histogram] = defaultdict(lambda: defaultdict(int))
    for row in activity:
        if service is not None and row["service"] != service:
            continue
        step = int(row["step"])
        found[step]["spans"] += row["spans"]
        if row["served"]:
            found[step]["requests"] += row["spans"]
            found[step]["errors"] += row["errors"]
            durations[step][row["bucket"]] += row["spans"]
    return {
        step: {**row, "p95_ms": quantile_ms(durations[step], 0.95)} for step, row in found.items()
    }
