"""Calls of which no server span was ever seen, as far as one should have been: whose the peer is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from ipaddress import ip_address
from typing import Final

import pyarrow as pa

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.duckdb.roll import changed_calls
from strayline_collector.store.ports import Row, Session

_INSIDE: Final = (
    ".svc", ".cluster.local", ".internal", ".local", ".localdomain", ".localhost", ".lan", ".intranet", ".corp",
    ".home.arpa", ".consul", ".test",
)  # fmt: skip
"""Ends of names that no public server has."""
_PLATFORM: Final = (
    "/", "kubernetes.default", "metadata.google.internal", "host.docker.internal", "gateway.docker.internal",
)  # fmt: skip
"""Beginnings of names that the platform itself answers to; a socket's path is a neighbour's, a sidecar perhaps."""
_STORES: Final = re.compile(
    r"(^|[-_.])(elastic(search)?|opensearch|solr|clickhouse|influx(db)?|couch(db|base)|arango(db)?|neo4j|qdrant|weaviate|milvus|"
    r"etcd|consul|vault|minio|azurite|localstack|dynamodb|prometheus|pushgateway|victoriametrics|grafana|loki|tempo|jaeger|"
    r"zipkin|otel|otelcol|opentelemetry|fluentd|fluentbit|ollama|rabbit(mq)?|kafka|nats|pulsar|squid)([-_.]|\d|$)"
)
"""Stores, brokers and receivers of telemetry that are asked over HTTP or gRPC too, by their usual names."""
_STORE_PORTS: Final = frozenset(
    {
        2375, 2379, 3100, 3128, 4317, 4318, 5984, 6333, 6334, 7474, 8086, 8123, 8125, 8126, 8200, 8500, 8983, 9090, 9091,
        9200, 9411, 11434, 14250, 14268, 15672, 19530,
    }
)  # fmt: skip
"""Where those listen unless told otherwise."""
RECENT_SPANS: Final = 2_000_000
"""So many spans are read in half a second; a history may be a hundred times as long."""
_NAMES: Final = ("environment", "service", "peer", "label")
PEERS_SCHEMA: Final = pa.schema([(name, pa.string()) for name in _NAMES])


def register_peers(session: Session) -> None:
    """Registers ``call_peers`` for ``detect/uninstrumented_calls``: caller and peer of each hop whose calls
    were often answered and left no server span (``environment``, ``service``, ``peer``), with the name
    by which the peer may be a service (``label``)."""
    state = session.rows(load("roll/last"))
    rows: list[Row] = []
    if state:
        rolled, newest = int(state[0]["rolled"]), int(state[0]["newest"])
        session.register("calls_waiting", changed_calls(session, rolled=rolled, until=newest))
        session.register("suspects", session.table(load("detect/call_suspects")))
        since_then = {"recent": recent_batch(session)}
        heard = session.rows(load("detect/services_heard"), since_then)
        services = {row["service"] for row in heard}
        rows = own_peers(session.rows(load("detect/call_addresses"), since_then), services)
    session.register("call_peers", pa.Table.from_pylist(rows, PEERS_SCHEMA))


def recent_batch(session: Session) -> int:
    """The load after which ``RECENT_SPANS`` came: single spans are looked at from there on."""
    return int(session.rows(load("detect/recent_batch"), {"spans": RECENT_SPANS})[0]["batch"])


def own_peers(addresses: Iterable[Row], services: Set[str]) -> list[Row]:
    """The hops that lead to a service of the house. ``addresses`` have environment, service (the caller),
    peer (its name in the graph), peer_service, server_address and server_port; ``services`` are
    those that send spans."""
    found: dict[tuple[str | None, ...], Row] = {}
    for row in addresses:
        name, address = row["peer_service"], row["server_address"]
        if name in services or is_inside(address, row["server_port"]):
            hop = {n: row[n] for n in _NAMES[:-1]}
            label = name if name is not None else address.partition(".")[0]
            found[tuple(hop.values())] = {**hop, "label": label}
    return list(found.values())


def is_inside(address: str | None, port: int | None = None) -> bool:
    """Whether an address leads to a service of one's own, as far as it tells: one that is reached from
    inside only, and neither the platform's nor where stores and receivers of telemetry listen."""
    if not address or port in _STORE_PORTS:
        return False
    name = address.strip("[]").rstrip(".").lower()
    try:
        ip = ip_address(name.partition("%")[0])
    except ValueError:
        if name.startswith(_PLATFORM) or _STORES.search(name):
            return False
        return "." not in name or name.endswith(_INSIDE) or ".svc." in name
    return ip.is_private and not (ip.is_link_local or ip.is_unspecified or ip.is_multicast)
