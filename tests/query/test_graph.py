"""The graph against what truly happened: recordings, golden cases, and generated traffic."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.decode.otlp import decode
from strayline_collector.detect.runner import Runner
from strayline_collector.query.calls import seen_range
from strayline_collector.query.graph import read_graph
from strayline_collector.query.times import BEGINNING, END
from strayline_collector.query.wire import Edge, Graph
from strayline_collector.store.duckdb.roll import roll
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.query.test_replies import TOKEN, WAYS, call, shim, stock
from tests.support.corpus import RECORDINGS, load_recording, truth
from tests.support.rounds import rounds
from tests.support.story import CLIENT, CONSUMER, PRODUCER, SERVER, START_NS, Told, otlp

ALWAYS = {"start_ns": BEGINNING, "end_ns": END}
Named = tuple[str, str, str, int]
"""Source, target, protocol, calls; nodes by kind and bare name."""


def test_a_call_whose_called_side_is_on_its_way_is_no_peers() -> None:
    """Once it is late, or nobody there was ever heard of, it is."""
    now_ms = (time.time_ns() - START_NS) / 1e6
    address: dict[str, str | int] = {"http.request.method": "GET", "server.address": "stock", "server.port": 80}  # fmt: skip
    strange: dict[str, str | int] = {**address, "server.address": "elsewhere"}
    before = [
        Told("a", "shop", CLIENT, now_ms - 30_000, now_ms - 29_900, attributes=address),
        Told("b", "stock", SERVER, now_ms - 29_990, now_ms - 29_910, "a"),
    ]
    young = Told("c", "shop", CLIENT, now_ms - 500, now_ms - 400, attributes=address)
    other = Told("d", "shop", CLIENT, now_ms - 500, now_ms - 400, attributes=strange)
    late = Told("e", "shop", CLIENT, now_ms - 20_000, now_ms - 19_000, attributes=address)
    answered = ("shop", "stock", "http", 1)
    assert edges_of([*before, young]) == [answered]
    assert edges_of([*before, other]) == [("shop", "external:elsewhere:80", "http", 1), answered]
    assert edges_of([*before, young, late]) == [("shop", "external:stock:80", "http", 2), answered]
    assert edges_of([young]) == [("shop", "external:stock:80", "http", 1)]


def short(identity: str) -> str:
    kind, _, name = identity.partition(":")
    return name if kind == "service" else f"{kind}:{name.rpartition('|')[2]}"


def named(edges: Iterable[Edge]) -> list[Named]:
    return sorted(
        (short(e["source"]), short(e["target"]), e["protocol"], e["calls"]) for e in edges
    )


def filled(spans: Sequence[Told], *, each: int = 1_000_000, rolling: bool = False) -> DuckDBStore:
    store = DuckDBStore.open(":memory:")
    for number, start in enumerate(range(0, len(spans), each), start=1):
        store.append(decode([otlp(spans[start : start + each])], 1), Position(1, number), number)
        if rolling:
            with store.write() as session:
                roll(session, spans=1)
    return store


def graph_of(store: DuckDBStore, level: str) -> Graph:
    with store.read() as session:
        return read_graph(session, ALWAYS, level)


def edges_of(spans: Sequence[Told], level: str = "service") -> list[Named]:
    store = filled(spans)
    found = named(graph_of(store, level)["edges"])
    store.close()
    return found


def on(exchange: str, key: str, queue: str | None = None, **more: str) -> dict[str, str | int]:
    told: dict[str, str | int] = {
        "messaging.system": "rabbitmq", "strayline.exchange": exchange, "messaging.rabbitmq.destination.routing_key": key,
    }  # fmt: skip
    told |= {} if queue is None else {"strayline.queue": queue}
    return told | {f"strayline.{name}": value for name, value in more.items()}


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_way_of_a_recordings_messages_is_there_with_its_true_count(name: str) -> None:
    store = DuckDBStore.open(":memory:")
    load_recording(store, name, shuffle_seed=3)
    edges = graph_of(store, "messaging")["edges"]
    found = named(edge for edge in edges if edge["protocol"] == "amqp")
    with store.read() as session:
        seen = session.rows("SELECT max(start_ns) - min(start_ns) AS ns FROM distinct_spans")[0]
    seconds = seen["ns"] / 1e9
    store.close()
    wanted: Counter[tuple[str, str]] = Counter()
    for message in truth(name)["messages"]:
        exchange = f"exchange:{message['exchange']}"
        wanted[message["publisher"], exchange] += 1
        for delivery in message["deliveries"]:
            queue = f"queue:{delivery['queue']}"
            wanted[exchange, queue] += 1
            wanted[queue, delivery["by"]] += 1
    for text, calls in truth(name)[
        "true_edges"
    ].items():  # calls and events, which it does not list
        if "default exchange" in text:
            source, _, target = text.partition(" | ")[0].partition(" -> ")
            wanted[source, "exchange:(default)"] += calls
            wanted["exchange:(default)", "queue:inventory_queue"] += calls
            wanted["queue:inventory_queue", target] += calls
    assert {(source, target): calls for source, target, _, calls in found} == wanted
    for edge in edges:  # of what there is, in the time that it took
        assert edge["rate_per_s"] * seconds == pytest.approx(edge["calls"])


@pytest.mark.parametrize(("says", "address", "asks"), WAYS)
def test_an_rpc_over_amqp_is_one_edge_though_its_context_was_lost(
    says: Any, address: str, asks: dict[str, str | int]
) -> None:
    calls = [call(n, says=says, address=address, asks=asks) for n in range(3)]
    assert edges_of([*itertools.chain(*calls)]) == [("shop", "stock", "amqp", 3)]
    ways = edges_of([*itertools.chain(*calls)], "messaging")
    assert ways == [  # these spans name no queue
        ("exchange:(default)", "stock", "amqp", 3),
        ("shop", "exchange:(default)", "amqp", 3),
    ]


def rpc(address: str, reads: str) -> list[Told]:
    """A request that is answered to an address, which ``reads`` reads."""
    asked, told = shim("work", "c1", queue="work"), shim(address, "c1", queue=address)
    return [
        Told("ask", "shop", PRODUCER, 10, 12, attributes=shim("work", "c1", reply_to=address)),
        Told("work", "stock", CONSUMER, 20, 60, "ask", attributes=asked),
        Told("tell", "stock", PRODUCER, 50, 52, "work", attributes=shim(address, "c1")),
        Told("hear", reads, CONSUMER, 70, 75, "tell", attributes=told),
    ]


@pytest.mark.parametrize("address", [TOKEN, "amq.gen-Xa2", "shop.answers"])
def test_a_whole_rpc_is_one_edge_on_either_level(address: str) -> None:
    assert edges_of(rpc(address, "shop")) == [("shop", "stock", "amqp", 1)]
    assert edges_of(rpc(address, "shop"), "messaging") == [
        ("exchange:(default)", "queue:work", "amqp", 1),
        ("queue:work", "stock", "amqp", 1),
        ("shop", "exchange:(default)", "amqp", 1),
    ]


def test_an_answer_that_goes_on_to_somebody_else_is_an_edge() -> None:
    assert edges_of(rpc("results", "mail")) == [
        ("shop", "stock", "amqp", 1),
        ("stock", "mail", "amqp", 1),
    ]
    ways = edges_of(rpc("results", "mail"), "messaging")
    assert ("stock", "exchange:(default)", "amqp", 1) in ways
    assert ("exchange:(default)", "queue:results", "amqp", 1) in ways


def test_a_correlation_id_alone_makes_nobody_a_caller() -> None:
    """Two programs number what they do from 1, and nothing was asked."""
    apart = [
        Told("send", "shop", PRODUCER, 0, 1, attributes=stock("letters", "1")),
        Told("work", "mail", CONSUMER, 5, 6, trace="b", attributes=stock("parcels", "1")),
    ]
    assert edges_of(apart) == []


def test_a_fanout_shows_all_its_queues_and_counts_each_copy() -> None:
    spans: list[Told] = []
    for n in range(3):
        spans.append(Told(f"p{n}", "shop", PRODUCER, n, n + 1, attributes=on("news", "")))
        for who in ("mail", "audit", "stock"):
            handled = on("news", "", f"{who}.in")
            spans.append(
                Told(f"{who}{n}", who, CONSUMER, n + 5, n + 6, f"p{n}", attributes=handled)
            )
    assert edges_of(spans) == [("shop", who, "amqp", 3) for who in ("audit", "mail", "stock")]
    assert edges_of(spans, "messaging") == [
        *(("exchange:news", f"queue:{who}.in", "amqp", 3) for who in ("audit", "mail", "stock")),
        *((f"queue:{who}.in", who, "amqp", 3) for who in ("audit", "mail", "stock")),
        ("shop", "exchange:news", "amqp", 3),
    ]


def test_peers_without_spans_are_named_by_what_the_client_says() -> None:
    def out(name: str, **said: str | int) -> Told:
        return Told(name, "shop", CLIENT, 0, 5, attributes={k.replace("_", "."): v for k, v in said.items()})  # fmt: skip

    assert edges_of(
        [
            out("a", db_system="postgresql", server_address="db", server_port=5432),
            out("b", http_request_method="GET", server_address="api.example.org", server_port=443),
            out("c", http_request_method="GET", server_address="10.0.0.7", peer_service="prices"),
            out("d", rpc_system="grpc", server_address="rates"),
            out("e"),  # says nothing of whom it called
        ]
    ) == [
        ("shop", "external:api.example.org:443", "http", 1),
        ("shop", "external:postgresql", "other", 1),
        ("shop", "external:prices", "http", 1),
        ("shop", "external:rates", "grpc", 1),
    ]


def test_a_queue_that_nobody_is_seen_to_read_is_there_with_its_finding() -> None:
    spans = [
        Told(f"{name}{n}", "shop", PRODUCER, n, n + 1, attributes=on(*way))
        for n in range(25)
        for name, way in (("p", ("", "legacy")), ("q", ("news", "paid")), ("r", ("", "work")))
    ]
    spans += [Told("work", "stock", CONSUMER, 2, 3, "r0", attributes=on("", "work", "work"))]
    store = filled(spans)
    Runner(store).settle()
    services, ways = graph_of(store, "service"), graph_of(store, "messaging")
    store.close()
    edges = {(short(e["source"]), short(e["target"])): e for e in services["edges"]}
    assert {pair: (e["calls"], e["messages"], e["findings"]) for pair, e in edges.items()} == {
        ("shop", "stock"): (1, 1, 0),
        ("shop", "external:legacy"): (0, 25, 1),
        ("shop", "external:news paid"): (0, 25, 1),
    }
    nodes = {n["name"]: (n["kind"], n["findings"]) for n in services["nodes"]}
    assert nodes["legacy"] == nodes["news paid"] == ("external", 1)
    found = {(short(e["source"]), short(e["target"])): e["calls"] for e in ways["edges"]}
    assert found["exchange:(default)", "queue:legacy"] == 0
    assert {n["name"]: n["findings"] for n in ways["nodes"] if n["kind"] == "queue"} == {"legacy": 1, "work": 0}  # fmt: skip


# ---- any traffic ------------------------------------------------------------------------------

SERVICES = ("gate", "shop", "stock", "mail")


@st.composite
def traffic(draw: Any) -> tuple[list[Told], dict[tuple[str, str, str], int]]:
    """Spans of calls that happened, and how often each service called each by which protocol."""
    spans: list[Told] = []
    calls: Counter[tuple[str, str, str]] = Counter()
    names = (f"s{n}" for n in itertools.count())

    def add(service: str, kind: int, parent: str | None, trace: str, **more: Any) -> str:
        name = next(names)
        at = len(spans)
        spans.append(Told(name, service, kind, at, at + 1, parent, trace, **more))
        return name

    def handle(
        who: str, cause: str, trace: str, told: dict[str, str | int]
    ) -> tuple[str, str, str]:
        if draw(st.booleans()):
            return who, add(who, CONSUMER, cause, trace, attributes=told), trace
        other = f"{trace}{len(spans)}"  # a trace of its own, linked
        return who, add(who, CONSUMER, None, other, links=(f"{trace}:{cause}",), attributes=told), other  # fmt: skip

    root = add("gate", SERVER, None, "t")
    running = [("gate", root, "t")]
    for number in range(draw(st.integers(0, 12))):
        service, here, trace = draw(st.sampled_from(running))
        others = [name for name in SERVICES if name != service]
        who = draw(st.sampled_from(others))
        how = draw(st.sampled_from(["http", "grpc", "amqp", "fanout", "rpc"]))
        if how in ("http", "grpc"):
            said = {"http.request.method": "GET"} if how == "http" else {"rpc.system": "grpc"}
            client = add(service, CLIENT, here, trace, attributes=said)
            running.append((who, add(who, SERVER, client, trace, attributes=said), trace))
            calls[service, who, how] += 1
            continue
        several = others if how == "fanout" else [who]
        address = f"amq.gen-{number}" if how == "rpc" else ""
        more = {"reply_to": address} if address else {}
        exchange = "news" if how == "fanout" else "orders"
        publish = add(service, PRODUCER, here, trace, attributes=on(exchange, "k", **more))
        for one in several:
            handler = handle(one, publish, trace, on(exchange, "k", f"{one}.in"))
            calls[service, one, "amqp"] += 1
            running.append(handler)
            if address:
                reply = add(one, PRODUCER, handler[1], handler[2], attributes=on("", address))
                add(service, CONSUMER, reply, handler[2], attributes=on("", address, address))
    return spans, dict(calls)


@settings(max_examples=rounds(5), deadline=None)
@given(traffic(), st.integers(0, 2**32), st.booleans())
def test_any_traffic_is_counted_as_it_happened_in_any_order_of_arrival(
    happened: tuple[list[Told], dict[tuple[str, str, str], int]], seed: int, rolling: bool
) -> None:
    spans, calls = happened
    shuffled = random.Random(seed).sample(spans, len(spans))
    store = filled(shuffled, each=max(1, len(spans) // 3), rolling=rolling)
    graph = graph_of(store, "service")
    store.close()
    assert named(graph["edges"]) == sorted((*key, count) for key, count in calls.items())
    assert {node["name"] for node in graph["nodes"]} == {span.service for span in spans}


def test_a_newest_span_that_is_not_found_at_once_is_looked_for(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB 1.5.5, beside loads: ORDER BY … DESC LIMIT 1 of ten million rows found none."""
    load_recording(store, "b_misroute")
    always = {"start_ns": BEGINNING, "end_ns": END}
    with store.read() as session:
        found = seen_range(session, always)
        ask = session.rows
        monkeypatch.setattr(
            session, "rows", lambda sql, *given: [] if "DESC LIMIT 1" in sql else ask(sql, *given)
        )
        assert found is not None
        assert seen_range(session, always) == found
        assert seen_range(session, {"start_ns": 0, "end_ns": 5}) is None
