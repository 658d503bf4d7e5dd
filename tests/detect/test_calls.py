"""``uninstrumented`` by calls: peers from which spans should come and never do, and those of whom none
are owed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.decode.otlp import decode
from strayline_collector.detect import DETECTORS
from strayline_collector.detect.peers import is_inside
from strayline_collector.detect.runner import Runner
from strayline_collector.detect.thresholds import DEFAULTS, Thresholds
from strayline_collector.query.findings import read_findings
from strayline_collector.query.graph import read_graph
from strayline_collector.store.duckdb.roll import roll
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.detect.histories import emptied
from tests.support.rounds import rounds
from tests.support.story import CLIENT, SERVER, START_NS, Told, otlp

ENOUGH = 20
Attributes = dict[str, str | int]
HTTP: Attributes = {"http.request.method": "GET", "http.response.status_code": 200, "url.full": "http://stock:8000/items/1"}  # fmt: skip
GRPC: Attributes = {"rpc.system.name": "grpc", "rpc.method": "shop.Stock/Take", "rpc.response.status_code": "OK"}  # fmt: skip
STOCK: Attributes = {"server.address": "stock", "server.port": 8000}


def call(number: int, said: Attributes, caller: str = "orders", **more: Any) -> Told:
    return Told(f"c{number}", caller, CLIENT, 10.0 * number, 10.0 * number + 5, trace=f"t{number}", attributes=said, **more)  # fmt: skip


def serving(number: int, service: str, said: Attributes | None = None, *, of: bool = True) -> Told:
    """The server's side of that call; not ``of`` it: as a trace of its own."""
    parent = f"c{number}" if of else None
    trace = f"t{number}" if of else f"u{number}"
    return Told(f"s{number}", service, SERVER, 10.0 * number + 1, 10.0 * number + 4, parent, trace, attributes=said or {"http.request.method": "GET"})  # fmt: skip


def calls(said: Attributes, count: int = ENOUGH, **more: Any) -> list[Told]:
    return [call(n, {**STOCK, **said}, **more) for n in range(1, count + 1)]


def load(store: DuckDBStore, spans: Sequence[Told], batch: int = 1) -> None:
    store.append(decode([otlp(spans)], batch), Position(1, batch), batch)


def hops(store: DuckDBStore, thresholds: Thresholds = DEFAULTS) -> list[tuple[str, str, int]]:
    """Caller, peer and calls of each."""
    only = [d for d in DETECTORS if d.name.startswith("uninstrumented")]
    runner = Runner(store, detectors=only, thresholds=thresholds)
    runner.settle()
    assert not runner.failures
    with store.read() as session:
        rows = session.rows(
            "SELECT producer_service, consumer_service, count, severity, confidence, verdict FROM findings WHERE status = 'open' ORDER BY ALL"
        )
    assert {(r["severity"], r["confidence"], r["verdict"]) for r in rows} <= {("info", "inferred", "call")}  # fmt: skip
    return [(r["producer_service"], r["consumer_service"], r["count"]) for r in rows]


@pytest.mark.shows("uninstrumented", "call", "", "info")
@pytest.mark.parametrize("said", [HTTP, GRPC], ids=["http", "grpc"])
def test_a_peer_that_answers_and_never_sends_spans_is_named_once(
    store: DuckDBStore, said: Attributes
) -> None:
    load(store, calls(said))
    assert hops(store) == [("orders", "stock:8000", ENOUGH)]
    with store.read() as session:
        (found,) = read_findings(session, {}, limit=5, offset=0, messages="all")["items"]
        rows = session.rows(found["sql"])
        graph = read_graph(session, {"start_ns": START_NS, "end_ns": START_NS + 10**12}, "service")
    assert (found["messages"], len(rows)) == ([], 1)
    assert found["title"] == "stock:8000 answers calls and sends no spans"
    assert [(e["target"], e["findings"]) for e in graph["edges"]] == [("external:stock:8000", 1)]
    assert {n["id"]: n["findings"] for n in graph["nodes"]} == {
        "service:orders": 1,
        "external:stock:8000": 1,
    }


def test_two_peers_of_one_caller_are_two_findings_and_a_name_is_used_where_one_is_known(
    store: DuckDBStore,
) -> None:
    named = {**HTTP, "server.address": "10.1.2.3", "service.peer.name": "prices"}
    load(store, [*calls(HTTP), *(call(100 + n, named) for n in range(ENOUGH))])
    assert hops(store) == [("orders", "prices", ENOUGH), ("orders", "stock:8000", ENOUGH)]
    with store.read() as session:
        verdicts = session.rows("SELECT finding_id, consumer_service FROM finding_verdicts")
        findings = session.rows("SELECT id AS finding_id, consumer_service FROM findings")
    assert sorted(map(str, verdicts)) == sorted(map(str, findings))


@pytest.mark.parametrize(
    ("count", "said"),
    [
        pytest.param(ENOUGH - 1, HTTP, id="too few to tell"),
        pytest.param(40, {**HTTP, "http.response.status_code": 503}, id="a gateway's own answer"),
        pytest.param(40, {**HTTP, "http.response.status_code": 404}, id="nothing there"),
        pytest.param(40, {"http.request.method": "GET"}, id="never answered"),
        pytest.param(40, {**GRPC, "rpc.response.status_code": "UNAVAILABLE"}, id="nobody there"),
        pytest.param(40, {**HTTP, "server.address": "api.stripe.com"}, id="somebody else's"),
        pytest.param(40, {**HTTP, "server.address": "93.184.216.34"}, id="a public address"),
        pytest.param(40, {**HTTP, "server.address": "elasticsearch"}, id="a store by its name"),
        pytest.param(40, {**HTTP, "server.port": 9200}, id="a store by its port"),
        pytest.param(40, {**HTTP, "db.system.name": "elasticsearch"}, id="a store's client"),
        pytest.param(40, {"rpc.system.name": "aws-api", "server.address": "s3.internal"}, id="another protocol"),
        pytest.param(40, {**HTTP, "service.peer.name": "stripe", "server.address": "api.stripe.com"}, id="somebody else's by name"),
    ],
)  # fmt: skip
def test_what_is_no_silent_hop(store: DuckDBStore, count: int, said: Attributes) -> None:
    load(store, calls(said, count))
    assert hops(store) == []


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(serving(7, "stock"), id="one call was served"),
        pytest.param(serving(900, "stock", of=False), id="a service of its name serves others"),
        pytest.param(serving(900, "x", {**STOCK, "http.request.method": "GET"}, of=False), id="it was called by this address"),
        pytest.param(serving(900, "x", GRPC, of=False), id="somebody serves these methods"),
        pytest.param(serving(5, "x", {"http.request.method": "GET", "url.path": "/items/1"}, of=False), id="its spans continue no trace"),
    ],
)  # fmt: skip
def test_whoever_sends_spans_is_not_without_instrumentation(store: DuckDBStore, more: Told) -> None:
    load(store, [*calls({**HTTP, **GRPC}), more])
    assert hops(store) == []


def test_a_service_that_serves_nothing_though_its_name_is_known_is_named(
    store: DuckDBStore,
) -> None:
    """It sends spans of other work; a public address does not make it somebody else's."""
    said: Attributes = {**HTTP, "service.peer.name": "stock", "server.address": "shop.example.com"}
    works = Told("w", "stock", CLIENT, 0, 1, attributes={"db.system.name": "postgresql"})
    load(store, [*calls(said), works])
    assert hops(store) == [("orders", "stock", ENOUGH)]


def test_the_http_beneath_a_stores_client_is_the_stores(store: DuckDBStore) -> None:
    above = [
        Told(f"d{n}", "orders", CLIENT, 10.0 * n, 10.0 * n + 6, trace=f"t{n}", attributes={"db.system.name": "elasticsearch", **STOCK})
        for n in range(1, 31)
    ]  # fmt: skip
    below = [call(n, {**HTTP, "server.address": "search"}, parent=f"d{n}") for n in range(1, 31)]
    load(store, [*above, *below])
    assert hops(store) == []


def test_a_server_that_is_seen_later_takes_it_back(store: DuckDBStore) -> None:
    load(store, calls(HTTP), 1)
    assert len(hops(store)) == 1
    load(store, [serving(3, "stock")], 2)
    assert hops(store) == []


def test_what_was_said_stays_when_its_calls_are_no_longer_looked_at(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strayline_collector.detect.peers.RECENT_SPANS", 1)
    hop = ("orders", "stock:8000", ENOUGH)
    load(store, calls(HTTP), 1)
    assert hops(store) == [hop]
    for batch in (2, 3):
        rolled(store)
        load(store, [serving(1000 + batch, "elsewhere", of=False)], batch)
        assert hops(store) == [hop]
    rolled(store)
    load(store, [call(2000, {**STOCK, **HTTP}), serving(2000, "stock")], 4)
    assert hops(store) == []


def rolled(store: DuckDBStore) -> None:
    with store.write() as session:
        roll(session, spans=0)


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("stock", True), ("stock.shop.svc.cluster.local", True), ("stock.shop.svc", True), ("localhost", True),
        ("127.0.0.1", True), ("10.0.0.7", True), ("192.168.1.9", True), ("::1", True), ("[fd00::7]", True), ("stock.internal.", True),
        ("STOCK", True), ("api.example.com", False), ("8.8.8.8", False), ("169.254.169.254", False), ("2001:4860:4860::8888", False),
        ("metadata.google.internal", False), ("kubernetes.default.svc", False), ("shop-elasticsearch-0", False), ("minio1", False),
        ("/run/app.sock", False), ("", False), (None, False), ("0.0.0.0", False), ("natsume", True),
    ],
)  # fmt: skip
def test_an_address_tells_whether_it_leads_inside(address: str | None, inside: bool) -> None:
    assert is_inside(address) is inside


@pytest.fixture(scope="module")
def reused() -> Iterator[DuckDBStore]:
    found = DuckDBStore.open(":memory:")
    yield found
    found.close()


FEW = 3
PEERS = {"stock": True, "prices": True, "api.example.com": False}


@st.composite
def traffic(draw: st.DrawFn) -> tuple[list[Told], dict[tuple[str, str], int]]:
    """Calls by two services to peers of both kinds, some answered, few of them seen to be served; the
    hops that stay silent."""
    spans: list[Told] = []
    answered: Counter[tuple[str, str]] = Counter()
    heard: set[tuple[str, str]] = set()
    for n in range(1, draw(st.integers(1, 24)) + 1):
        caller, peer = draw(st.sampled_from(["orders", "billing"])), draw(st.sampled_from([*PEERS]))
        protocol, ok = draw(st.sampled_from(["http", "grpc"])), draw(st.integers(0, 5)) > 0
        said: Attributes = {"server.address": peer}
        if protocol == "http":
            said |= {"http.request.method": "GET", "http.response.status_code": 200 if ok else 502}
        else:
            said |= {"rpc.system": "grpc", "rpc.service": f"{caller}.{peer}", "rpc.method": "Do", "rpc.grpc.status_code": 0 if ok else 14}  # fmt: skip
        spans.append(call(n, said, caller))
        answered[caller, peer] += ok
        if draw(st.integers(0, 9)) == 0:
            spans.append(serving(n, f"{peer}-api"))
            heard.add((caller, peer))
    silent = {
        hop: count
        for hop, count in answered.items()
        if count >= FEW and PEERS[hop[1]] and hop not in heard
    }
    return spans, silent


@settings(max_examples=rounds(6), deadline=None)
@given(story=traffic(), loads=st.integers(1, 3), seed=st.integers(0, 99))
def test_exactly_the_hops_of_which_no_call_is_served_are_silent_in_any_order_of_arrival(
    reused: DuckDBStore, story: tuple[list[Told], dict[tuple[str, str], int]], loads: int, seed: int
) -> None:
    spans, silent = story
    store = emptied(reused)
    Random(seed).shuffle(spans)
    found: list[tuple[str, str, int]] = []
    for batch in range(1, loads + 1):
        load(store, [*spans[batch - 1 :: loads], *spans[:2]], batch)
        found = hops(store, Thresholds(uninstrumented_messages=FEW))
    assert {(caller, peer): count for caller, peer, count in found} == silent
