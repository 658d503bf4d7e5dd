"""Where messages are thought to be whose spans name no broker: what follows from all that is told, in whatever
order, and nothing that is only likely."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline_collector.decode.otlp import decode
from strayline_collector.detect.topology_document import put_topology
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.rounds import rounds
from tests.support.spans import otlp_span

ADDRESS = {"server.address": "mq", "server.port": 5672}
Place = tuple[str | None, str | None]
"""Broker and virtual host."""


@dataclass(frozen=True)
class Told:
    """One span. ``by`` says what it names: ``shim`` broker and host, ``both`` its broker's address too,
    ``address`` that alone, ``silent`` nothing."""

    what: str
    """``publish``, ``delivery`` (of publish ``of``, 0: nobody says of which) or ``declare``."""
    by: str = "shim"
    broker: str = "rabbit@a"
    vhost: str = "/"
    queue: str = "work"
    of: int = 0
    environment: str | None = None
    service: str = "billing"
    failed: bool = False

    @property
    def address(self) -> str:
        return f"{self.broker[-1]}.mq"

    def place(self) -> Place:
        if self.by == "silent":
            return None, None
        return (f"{self.address}:5672", None) if self.by == "address" else (self.broker, self.vhost)

    def body(self, number: int) -> bytes:
        at: dict[str, Any] = {}
        if self.by in ("address", "both"):
            at = {"server.address": self.address, "server.port": 5672}
        if self.by in ("shim", "both"):
            at |= {"strayline.broker": self.broker, "strayline.vhost": self.vhost}
        ours = self.by in ("shim", "both")
        if self.what == "publish":
            at |= {"strayline.exchange": "ev"} if ours else {"messaging.destination": "ev"}
            body = otlp_span(number, 4, **at, messaging__rabbitmq__routing_key="k")
        elif self.what == "delivery":
            at |= {"messaging.operation.type": "process"}
            at |= (
                {"strayline.queue": self.queue, "strayline.exchange": "ev"}
                if ours
                else {
                    "messaging.destination.name": self.queue,
                    "messaging.destination_publish.name": "ev",
                }
            )
            body = otlp_span(number, 5, self.of or None, **at)
        else:
            items = [{"action": "declare", "kind": "queue", "name": self.queue}]
            body = otlp_span(number, 1, **at, strayline__topology=json.dumps({"items": items}))
        request = ExportTraceServiceRequest.FromString(body)
        spans = request.resource_spans[0]
        spans.resource.attributes.add(key="service.name").value.string_value = self.service
        if self.environment is not None:
            spans.resource.attributes.add(
                key="deployment.environment"
            ).value.string_value = self.environment
        if self.failed:
            spans.scope_spans[0].spans[0].status.code = 2  # type: ignore[assignment]
        if self.what == "declare":
            spans.scope_spans[0].spans[0].name = "strayline.topology"
        return request.SerializeToString()


def thought(told: Sequence[Told]) -> dict[int, Place]:
    """Where each publish and delivery is, by its number, from 1 on."""
    names = {f"{t.address}:5672": t.broker for t in told if t.by == "both"}
    at: dict[int, Place] = {}
    for number, one in enumerate(told, start=1):
        broker, vhost = one.place()
        sent = told[one.of - 1].place() if one.what == "delivery" and one.of else (None, None)
        at[number] = (names.get(str(broker), broker), vhost or sent[1])
    known: dict[tuple[str, str | None], set[tuple[str | None, str | None]]] = defaultdict(set)
    readers: dict[tuple[str | None, str, str], set[str | None]] = defaultdict(set)
    for number, one in enumerate(told, start=1):
        if one.what != "publish" and one.by != "silent" and at[number][0] is not None:
            if one.what == "declare" and one.by == "address":
                continue  # a broker is told by shims
            known[one.queue, one.environment].add(at[number])
        if one.what == "delivery" and one.by == "silent" and one.of:
            came = {at[one.of][0]} - {None} or {
                at[n][0]
                for n, other in enumerate(told, start=1)
                if other.what == "delivery" and other.of == one.of and other.by != "silent"
            }
            readers[one.environment, one.service, one.queue] |= came
    found = dict(at)
    for number, one in enumerate(told, start=1):
        if one.what == "delivery" and one.by == "silent":
            rows = {
                (broker, vhost)
                for (name, environment), places in known.items()
                for broker, vhost in places
                if name == one.queue
                and (None in (environment, one.environment) or environment == one.environment)
                and (vhost is not None or not any(v for b, v in places if b == broker))
                and (None in (vhost, at[number][1]) or vhost == at[number][1])
            }
            brokers, hosts = {b for b, _ in rows}, {v for _, v in rows if v is not None}
            came = readers[one.environment, one.service, one.queue]
            if len(brokers) == 1 and len(hosts) <= 1 and came == brokers:
                found[number] = (min(brokers, key=str), at[number][1] or next(iter(hosts), None))
    for number, one in enumerate(told, start=1):
        if one.what == "publish" and one.by == "silent":
            places = [found[n] for n, d in enumerate(told, start=1) if d.what == "delivery" and d.of == number and found[n][0] is not None]  # fmt: skip
            found[number] = min(places, key=lambda p: (p[0], p[1] is None, p[1] or ""), default=(None, None))  # fmt: skip
    return {n: place for n, place in found.items() if told[n - 1].what != "declare"}


def stored(store: DuckDBStore) -> dict[int, Place]:
    with store.read() as session:
        rows = session.rows(
            "SELECT span_id, broker, vhost FROM publishes UNION ALL SELECT span_id, broker, vhost FROM deliveries"
        )
    return {int(row["span_id"][:2], 16): (row["broker"], row["vhost"]) for row in rows}


def load(store: DuckDBStore, told: Sequence[Told], loads: Sequence[Sequence[int]]) -> None:
    """``loads`` name spans by their numbers."""
    position = store.position()
    offset = position.byte_offset if position else 0
    for count, numbers in enumerate(loads, start=1):
        bodies = [told[n - 1].body(n) for n in numbers]
        store.append(decode(bodies, 1), Position(1, offset + count), 1)


@pytest.fixture(scope="module")
def reused() -> Iterator[DuckDBStore]:
    found = DuckDBStore.open(":memory:")
    yield found
    found.close()


def emptied(store: DuckDBStore) -> DuckDBStore:
    with store.write() as session:
        for row in session.rows("SELECT table_name AS name FROM duckdb_tables()"):
            session.execute(f"DELETE FROM {row['name']} WHERE true")
    return store


PUBLISHED = Told("publish")
SILENT = Told("delivery", by="silent", of=1, service="java")
DECLARED = Told("declare")
READ = Told("delivery", of=1)


def alone(told: Sequence[Told], number: int, store: DuckDBStore) -> Place:
    load(store, told, [range(1, len(told) + 1)])
    return stored(store)[number]


def test_a_silent_reader_s_queue_is_the_one_that_its_messages_broker_has(
    store: DuckDBStore,
) -> None:
    assert alone([PUBLISHED, SILENT, DECLARED], 2, store) == ("rabbit@a", "/")


def test_nothing_is_thought_while_no_broker_is_known_to_have_the_queue(store: DuckDBStore) -> None:
    assert alone([PUBLISHED, SILENT], 2, store) == (None, "/")


def test_nor_where_two_have_one_of_that_name(store: DuckDBStore) -> None:
    told = [PUBLISHED, SILENT, DECLARED, Told("declare", broker="rabbit@b")]
    assert alone(told, 2, store) == (None, "/")


def test_what_was_thought_is_taken_back_once_another_has_one_too(store: DuckDBStore) -> None:
    told = [PUBLISHED, SILENT, DECLARED, Told("declare", broker="rabbit@b")]
    load(store, told, [(1, 2, 3)])
    assert stored(store)[2] == ("rabbit@a", "/")
    load(store, told, [(4,)])
    assert stored(store)[2] == (None, "/")


def test_staging_s_queue_of_the_same_name_does_not_matter_to_production(store: DuckDBStore) -> None:
    told = [
        Told("publish", environment="production"),
        Told("delivery", by="silent", of=1, environment="production"),
        Told("declare", environment="production"),
        Told("declare", environment="staging", broker="rabbit@b"),
    ]
    assert alone(told, 2, store) == ("rabbit@a", "/")


def test_nor_does_the_same_name_in_another_virtual_host(store: DuckDBStore) -> None:
    told = [PUBLISHED, SILENT, DECLARED, Told("declare", broker="rabbit@b", vhost="other")]
    assert alone(told, 2, store) == ("rabbit@a", "/")


def test_a_queue_s_reader_is_where_its_other_messages_came_from(store: DuckDBStore) -> None:
    told = [PUBLISHED, SILENT, DECLARED, Told("delivery", by="silent", service="java")]
    assert alone(told, 4, store) == ("rabbit@a", "/")


def test_a_silent_publish_went_where_its_readers_are_the_silent_one_s_sibling_too(
    store: DuckDBStore,
) -> None:
    told = [
        Told("publish", by="silent"), READ, Told("delivery", by="silent", of=1, queue="other"),
        Told("declare", queue="other"),
    ]  # fmt: skip
    load(store, told, [(3,), (4,), (1,), (2,)])
    assert stored(store) == dict.fromkeys((1, 2, 3), ("rabbit@a", "/"))


def test_a_document_tells_which_broker_has_the_queue(store: DuckDBStore) -> None:
    load(store, [PUBLISHED, SILENT], [(1, 2)])
    document = {"queues": [{"name": "work", "vhost": "/", "durable": True, "arguments": {}}]}
    put_topology(store, document, role="actual", broker="rabbit@a")
    assert stored(store)[2] == ("rabbit@a", "/")


def test_generated_names_are_placed_by_nothing(store: DuckDBStore) -> None:
    told = [
        PUBLISHED, Told("delivery", by="silent", of=1, queue="amq.gen-x"),
        Told("declare", queue="amq.gen-x"),
    ]  # fmt: skip
    assert alone(told, 2, store) == (None, "/")


publishes = st.builds(
    Told,
    st.just("publish"),
    by=st.sampled_from(["shim", "shim", "both", "silent", "address"]),
    broker=st.sampled_from(["rabbit@a", "rabbit@a", "rabbit@b"]),
    vhost=st.sampled_from(["/", "/", "v"]),
    environment=st.sampled_from([None, "e"]),
)
others = st.builds(
    Told,
    st.sampled_from(["delivery", "delivery", "delivery", "declare"]),
    by=st.sampled_from(["silent", "silent", "silent", "shim", "both", "address"]),
    broker=st.sampled_from(["rabbit@a", "rabbit@a", "rabbit@b"]),
    vhost=st.sampled_from(["/", "/", "v"]),
    queue=st.sampled_from(["work", "work", "other"]),
    of=st.integers(0, 2),
    environment=st.sampled_from([None, None, "e", "f"]),
    service=st.sampled_from(["billing", "java"]),
)
worlds = st.tuples(publishes, publishes, st.lists(others, min_size=1, max_size=7))


@settings(max_examples=rounds(8))
@given(worlds, st.data())
@example((PUBLISHED, PUBLISHED, [SILENT, DECLARED, READ]), None)
def test_in_any_order_the_end_is_what_follows_from_everything(
    reused: DuckDBStore, world: tuple[Told, Told, list[Told]], data: st.DataObject | None
) -> None:
    told = [world[0], world[1], *world[2]]
    numbers = list(range(1, len(told) + 1))
    loads = [numbers]
    if data is not None:
        order = data.draw(st.permutations(numbers))
        repeated = data.draw(st.lists(st.sampled_from(numbers), max_size=2))
        cuts = data.draw(st.lists(st.booleans(), min_size=len(order), max_size=len(order)))
        loads = [[order[0]]]
        for number, cut in zip(order[1:], cuts[1:], strict=True):
            if cut:
                loads.append([])
            loads[-1].append(number)
        loads.append(repeated)
    store = emptied(reused)
    load(store, told, [part for part in loads if part])
    assert stored(store) == thought(told)
