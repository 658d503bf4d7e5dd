"""Made-up traffic of any size, as what the decoder gives: a shop of eight services whose requests
are HTTP and gRPC calls, ten attributes a span and ~495 bytes a span on the wire.

Deterministic: the same arguments give the same spans.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from strayline_collector.decode.python import SCHEMA

SERVICES: Final = ("gateway", "orders", "billing", "stock", "shipping", "search", "users", "mail")
ROUTES: Final = tuple(
    f"/api/v1/{name}/{{id}}{tail}"
    for name in ("orders", "carts", "users", "items")
    for tail in ("", "/lines", "/notes")
)
SPANS_A_TRACE: Final = 8
"""A request through four services: server and client spans in turn, the last client's peer silent."""
_EPOCH_NS: Final = 1_795_400_000_000_000_000


def tables(
    spans: int, *, seed: int = 1, rows: int = 122_880, per_s: int = 2_000, start_ns: int = _EPOCH_NS
) -> Iterator[pa.Table]:
    """``spans`` spans in tables of ``rows``, in order of their traces' starts, ``per_s`` spans for
    each second of event time."""
    random_ = random.Random(seed)
    step_ns = int(1e9 * SPANS_A_TRACE / per_s)
    made = 0
    columns: dict[str, list[object]] = {name: [] for name in SCHEMA.names}
    trace = 0
    while made < spans:
        _trace(columns, random_, start_ns + trace * step_ns)
        trace += 1
        made += SPANS_A_TRACE
        if len(columns["name"]) >= rows or made >= spans:
            yield pa.table(columns, schema=SCHEMA)
            columns = {name: [] for name in SCHEMA.names}


_RESOURCES: Final = tuple(
    (
        name,
        f"{name}-{'%04x' % (7919 * n)}",
        f'{{"attributes":{{"service.name":"{name}","service.version":"1.4.{n}","service.instance.id":'
        f'"{name}-{"%04x" % (7919 * n)}","host.name":"node-{n % 3}","deployment.environment.name":"bench",'
        '"telemetry.sdk.name":"opentelemetry","telemetry.sdk.language":"python"}}',
        f"node-{n % 3}",
    )
    for n, name in enumerate(SERVICES)
)
_SCOPE: Final = '{"name":"opentelemetry.instrumentation.http","version":"0.66b1"}'


def _trace(columns: dict[str, list[object]], random_: random.Random, at_ns: int) -> None:
    trace_id = f"{random_.getrandbits(128):032x}"
    parent: str | None = None
    route = random_.choice(ROUTES)
    number = random_.randrange(1_000_000)
    failed = random_.random() < 0.02
    start = at_ns + random_.randrange(1_000_000)
    length = int(random_.lognormvariate(17, 0.8))
    for depth in range(SPANS_A_TRACE):
        service, process, resource, host = _RESOURCES[(number + depth // 2) % len(_RESOURCES)]
        client = depth % 2 == 1
        span_id = f"{random_.getrandbits(64):016x}"
        status = 500 if failed and depth >= 4 else 200
        path = route.replace("{id}", str(number))
        peer = SERVICES[(number + depth // 2 + 1) % len(SERVICES)]
        columns["received_ns"].append(at_ns + 1_000_000_000)
        columns["trace_id"].append(trace_id)
        columns["span_id"].append(span_id)
        columns["parent_span_id"].append(parent)
        columns["flags"].append(257)
        columns["name"].append(f"GET {route}")
        columns["kind"].append(3 if client else 2)
        columns["start_ns"].append(start + depth * (length // 20))
        columns["end_ns"].append(start + length - depth * (length // 20))
        columns["status_code"].append(2 if status == 500 else 0)
        columns["service"].append(service)
        columns["environment"].append("bench")
        columns["process"].append(process)
        columns["host"].append(host)
        columns["scope_name"].append("opentelemetry.instrumentation.http")
        columns["http_method"].append("GET")
        columns["http_status_code"].append(status)
        columns["http_route"].append(None if client else route)
        columns["url_path"].append(path)
        columns["server_address"].append(f"{peer if client else service}.shop.internal")
        columns["server_port"].append(8080)
        columns["attributes"].append(
            f'{{"http.request.method":"GET","http.response.status_code":{status},"http.route":"{route}",'
            f'"url.path":"{path}","server.address":"{peer if client else service}.shop.internal","server.port":8080,'
            f'"network.peer.address":"10.0.{number % 250}.{depth}","user_agent.original":"shop/2.1",'
            f'"enduser.id":"user-{number}","shop.cart.total":{number % 977 / 10}}}'
        )
        columns["resource"].append(resource)
        columns["scope"].append(_SCOPE)
        for name in _EMPTY:
            columns[name].append(None)
        parent = span_id


_EMPTY: Final = tuple(
    name
    for name in SCHEMA.names
    if name
    not in {
        "received_ns", "trace_id", "span_id", "parent_span_id", "flags", "name", "kind", "start_ns", "end_ns",
        "status_code", "service", "environment", "process", "host", "scope_name", "http_method",
        "http_status_code", "http_route", "url_path", "server_address", "server_port", "attributes", "resource", "scope",
    }
)  # fmt: skip
