"""Where the time of calls sits: in the server, between, or nobody says."""

from __future__ import annotations

from collections.abc import Mapping

from strayline_collector.query.wire import Latencies, Latency
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session


def read_latency(
    session: Session, range_ns: Mapping[str, int], *, client: str | None, server: str | None
) -> Latencies:
    """One row for each pair of services and protocol, the most time first."""
    asked = {**range_ns, "client": client, "server": server}
    rows = session.rows(load("query/latency"), asked)
    return Latencies(
        items=[
            Latency(
                client=row["client"],
                server=row["server"],
                peer=row["peer"],
                protocol=row["protocol"],
                calls=row["calls"],
                explained_calls=row["explained_calls"],
                outlasting_calls=row["outlasting_calls"],
                errors=row["errors"],
                total_ms=row["total_ms"],
                server_total_ms=row["server_total_ms"],
                network_total_ms=row["network_total_ms"],
                unexplained_total_ms=row["unexplained_total_ms"],
                client_p50_ms=row["client_p50_ms"],
                client_p95_ms=row["client_p95_ms"],
                server_p50_ms=row["server_p50_ms"],
                server_p95_ms=row["server_p95_ms"],
                network_p50_ms=row["network_p50_ms"],
                network_p95_ms=row["network_p95_ms"],
            )
            for row in rows
        ],
        next_cursor=None,
    )
