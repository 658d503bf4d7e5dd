"""Replies over AMQP whose context was lost are told by correlation id and address."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from strayline_collector.decode.otlp import decode
from strayline_collector.query.graph import read_graph
from strayline_collector.query.times import BEGINNING, END
from strayline_collector.query.trace_text import read_trace
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.story import CONSUMER, INTERNAL, PRODUCER, SERVER, Told, otlp, trace_id

RABBIT: dict[str, str | int] = {"messaging.system": "rabbitmq", "service.instance.id": "x"}
TOKEN = "amq.rabbitmq.reply-to.g1h2"


def stock(key: str, correlation: str) -> dict[str, str | int]:
    """As the stock JavaScript instrumentation tells a message of the default exchange."""
    return {
        "messaging.system": "rabbitmq", "messaging.destination": "", "messaging.rabbitmq.routing_key": key,
        "messaging.conversation_id": correlation,
    }  # fmt: skip


def shim(key: str, correlation: str, **more: str | int) -> dict[str, str | int]:
    """As ours does."""
    told: dict[str, str | int] = {
        "messaging.system": "rabbitmq", "strayline.exchange": "", "messaging.rabbitmq.destination.routing_key": key,
        "messaging.message.conversation_id": correlation,
    }  # fmt: skip
    return told | {f"strayline.{name}": value for name, value in more.items()}


def call(number: int, *, says: Any, address: str, asks: dict[str, str | int]) -> list[Told]:
    """A request and its reply, each of whose contexts was lost on the way: three traces."""
    n, at, correlation = str(number), number * 1000.0, f"corr-{number}"
    return [
        Told(f"POST{n}", "shop", SERVER, at, at + 100, trace=f"a{n}"),
        Told(f"ask{n}", "shop", PRODUCER, at + 10, at + 12, f"POST{n}", f"a{n}", attributes={**says("stock", correlation), **asks}),
        Told(f"work{n}", "stock", CONSUMER, at + 20, at + 60, trace=f"b{n}", attributes=says("stock", correlation)),
        Told(f"step{n}", "stock", INTERNAL, at + 25, at + 55, f"work{n}", f"b{n}"),
        Told(f"tell{n}", "stock", PRODUCER, at + 50, at + 52, f"step{n}", f"b{n}", attributes=says(address, correlation)),
        Told(f"hear{n}", "shop", CONSUMER, at + 70, at + 75, trace=f"c{n}", attributes=says(address, correlation)),
    ]  # fmt: skip


def loaded(spans: list[Told], order: list[int] | None = None, *, each: int = 100) -> DuckDBStore:
    store = DuckDBStore.open(":memory:")
    spans = spans if order is None else [spans[place] for place in order]
    for number, start in enumerate(range(0, len(spans), each), start=1):
        table = decode([otlp(spans[start : start + each])], 1)
        store.append(table, Position(1, number), number)
    return store


def drawn(store: DuckDBStore, trace: str) -> dict[str, str | None]:
    """Each span's name → the name of the one that it is drawn under."""
    with store.read() as session:
        spans = read_trace(session, trace_id(trace), stitched=True)["spans"]
    names = {f"{s['trace_id']}-{s['span_id']}": s["name"] for s in spans}
    return {s["name"]: names[s["display_parent"]] if s["display_parent"] else None for s in spans}


WHOLE = {
    "POST0": None, "ask0": "POST0", "work0": "ask0", "step0": "work0", "tell0": "step0", "hear0": "tell0",
}  # fmt: skip
WAYS: list[Any] = [
    pytest.param(stock, TOKEN, {}, id="stock, direct reply-to"),
    pytest.param(shim, TOKEN, {"strayline.reply_to": "amq.rabbitmq.reply-to"}, id="ours, direct reply-to"),
    pytest.param(shim, "shop.answers", {"strayline.reply_to": "shop.answers"}, id="ours, a queue of its own"),
    pytest.param(stock, "amq.gen-Xa2", {}, id="stock, an exclusive queue"),
]  # fmt: skip


@pytest.mark.parametrize(("says", "address", "asks"), WAYS)
def test_a_call_without_context_is_one_story(
    says: Any, address: str, asks: dict[str, str | int]
) -> None:
    store = loaded([*call(0, says=says, address=address, asks=asks), *call(1, says=says, address=address, asks=asks)])  # fmt: skip
    for trace in ("a0", "b0", "c0"):
        assert drawn(store, trace) == WHOLE, trace
    with store.read() as session:
        trace = read_trace(session, trace_id("a0"), stitched=True)
    assert all(not span["links"] for span in trace["spans"])  # as they were told
    assert [s["kind"] for s in trace["critical_path"]].count("queue_wait") == 2
    store.close()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("says", "address", "asks"), [WAYS[0], WAYS[2]])
def test_whatever_comes_first_the_story_is_the_same(
    seed: int, says: Any, address: str, asks: dict[str, str | int]
) -> None:
    spans = call(0, says=says, address=address, asks=asks)
    order = random.Random(seed).sample(range(len(spans)), len(spans))
    store = loaded(spans, order, each=1)
    for trace in ("a0", "b0", "c0"):
        assert drawn(store, trace) == WHOLE, (trace, order)
    store.close()


def test_a_replier_without_spans_leaves_the_reply_to_its_request() -> None:
    spans = [s for s in call(0, says=stock, address=TOKEN, asks={}) if s.service == "shop"]
    store = loaded(spans)
    assert drawn(store, "a0") == {"POST0": None, "ask0": "POST0", "hear0": "ask0"}
    store.close()


def test_an_id_that_is_used_again_and_again_names_nobody() -> None:
    spans = list(itertools.chain(*(call(n, says=stock, address=TOKEN, asks={}) for n in range(4))))
    same = [
        Told(s.name, s.service, s.kind, s.start_ms, s.end_ms, s.parent, s.trace, attributes={
            name: "order-1" if name == "messaging.conversation_id" else value for name, value in s.attributes.items()
        })
        for s in spans
    ]  # fmt: skip
    store = loaded(same)
    assert drawn(store, "c0") == {"hear0": None}
    store.close()


def test_another_process_correlation_ids_are_its_own() -> None:
    """Two services count their requests from 1: the reply to one is not the other's."""
    spans = call(0, says=stock, address=TOKEN, asks={})
    other = Told(
        "other", "mail", PRODUCER, 5, 6, trace="z", attributes=stock("elsewhere", "corr-0")
    )
    heard = [s for s in spans if s.name == "hear0"]
    store = loaded([other, *heard])
    assert drawn(store, "c0") == {"hear0": None}
    store.close()


def test_the_graph_has_one_edge_of_the_call() -> None:
    store = loaded(call(0, says=stock, address=TOKEN, asks={}))
    with store.read() as session:
        graph = read_graph(session, {"start_ns": BEGINNING, "end_ns": END}, "messaging")
    ends = {(e["source"].rpartition("|")[2], e["target"].rpartition("|")[2]) for e in graph["edges"]}  # fmt: skip
    assert not any("reply" in name for pair in ends for name in pair)
    store.close()


def answered(number: int, address: str, *, heard: str = "shop", links: bool = False) -> list[Told]:
    """A call whose context is whole, as stock instrumentations tell it: nothing says where its answer
    goes, which comes to ``heard``. ``links``: what is handled begins a trace of its own."""
    n, at, correlation = str(number), number * 1000.0, f"corr-{number}"
    b, c = (f"b{n}", f"c{n}") if links else (f"a{n}", f"a{n}")

    def handling(name: str, service: str, start: float, queue: str, trace: str, cause: str) -> Told:
        told = {**stock(queue, correlation), "messaging.destination.name": queue}
        of, _, publish = cause.partition(":")
        if links:
            return Told(name, service, CONSUMER, start, start + 20, trace=trace, links=(f"{of}:{publish}",), attributes=told)  # fmt: skip
        return Told(name, service, CONSUMER, start, start + 20, publish, trace, attributes=told)

    return [
        Told(f"ask{n}", "shop", PRODUCER, at, at + 1, trace=f"a{n}", attributes=stock("stock", correlation)),
        handling(f"work{n}", "stock", at + 5, "stock", b, f"a{n}:ask{n}"),
        Told(f"tell{n}", "stock", PRODUCER, at + 10, at + 11, f"work{n}", b, attributes=stock(address, correlation)),
        handling(f"hear{n}", heard, at + 30, address, c, f"{b}:tell{n}"),
    ]  # fmt: skip


def edges(store: DuckDBStore, level: str) -> dict[tuple[str, str], int]:
    with store.read() as session:
        graph = read_graph(session, {"start_ns": BEGINNING, "end_ns": END}, level)
    return {
        (e["source"].rpartition("|")[2], e["target"].rpartition("|")[2]): e["calls"]
        for e in graph["edges"]
    }


ONE_EDGE = {("service:shop", "service:stock"): 1}


@pytest.mark.parametrize("links", [False, True])
@pytest.mark.parametrize("address", ["shop.answers", "amq.gen-Xa2"])
@pytest.mark.parametrize("seed", range(4))
def test_an_answer_to_a_queue_of_the_askers_is_the_calls_end(
    address: str, links: bool, seed: int
) -> None:
    """Whatever comes first, and each by itself."""
    spans = answered(0, address, links=links)
    store = loaded(spans, random.Random(seed).sample(range(4), 4), each=1)
    assert edges(store, "service") == ONE_EDGE
    assert edges(store, "messaging") == {
        ("service:shop", "(default)"): 1, ("(default)", "stock"): 1, ("stock", "service:stock"): 1,
    }  # fmt: skip
    store.close()


def test_a_chain_that_hands_its_id_on_is_no_call() -> None:
    """An id that travels with an order from service to service is answered by nobody."""
    store = loaded(answered(0, "next.step", heard="mail"))
    assert edges(store, "service") == {**ONE_EDGE, ("service:stock", "service:mail"): 1}
    store.close()
