"""Processes tell again what they declared: a store that knows it gains nothing, one that does not learns it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline.amqp import Broker
from strayline.amqp.believed import Beliefs
from strayline_collector.decode.otlp import decode
from strayline_collector.detect.intended import said_by
from strayline_collector.detect.route import Binding
from strayline_collector.query.export import Format
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.formats.test_round_trip import exported, flat
from tests.support.spans import otlp_span

START_NS = 1_795_000_000_000_000_000
PROCESSES = ("a", "b", "c")
PLACE = {
    "source": "shim",
    "role": "intended",
    "complete": False,
    "environment": None,
    "broker": "b",
    "vhost": "/",
}
COLUMNS = ("name", "type", "source_name", "destination", "destination_kind", "routing_key")
Word = tuple[str, str]
"""A process, and what it said: an item with its time, as JSON."""


def item(action: str, what: str) -> dict[str, Any]:
    if action in ("bind", "unbind"):
        named = {
            "source_name": "x",
            "destination": what[:1],
            "destination_kind": "queue",
            "routing_key": what[1:],
        }
        return {"action": action, "kind": "binding", **named, "arguments": {}}
    kind = "exchange" if what == "x" else "queue"
    more = {} if action == "delete" else {"durable": True, "auto_delete": False, "arguments": {}}
    return {
        "action": action,
        "kind": kind,
        "name": what,
        **({"type": "topic"} if kind == "exchange" else {}),
        **more,
    }


words = st.lists(
    st.tuples(
        st.sampled_from(PROCESSES),
        st.one_of(
            st.tuples(st.sampled_from(["bind", "unbind"]), st.sampled_from(["qk", "ql", "rk"])),
            st.tuples(st.sampled_from(["declare", "declare", "delete"]), st.sampled_from(["x", "q", "r"])),
        ),
    ),
    min_size=1, max_size=12,
)  # fmt: skip


def timed(said: Iterable[tuple[str, tuple[str, str]]]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Each process, item, and its JSON with a time of its own."""
    for number, (process, (action, what)) in enumerate(said):
        made = item(action, what)
        yield process, made, json.dumps({**made, "at_unix_nano": START_NS + number * 1_000_000_000})


def request(said: Sequence[Word], name: str, number: int) -> bytes:
    """One span with one item for each word."""
    found = ExportTraceServiceRequest()
    for place, (process, text) in enumerate(said):
        group = found.resource_spans.add()
        for key, value in (
            ("service.name", f"service-{process}"),
            ("service.instance.id", process),
        ):
            group.resource.attributes.add(key=key).value.string_value = value
        at = START_NS + 1_000_000_000_000 + number
        span = group.scope_spans.add().spans.add(
            name=name, kind=1, trace_id=number.to_bytes(16, "big"), span_id=(number * 1000 + place + 1).to_bytes(8, "big"),
            start_time_unix_nano=at, end_time_unix_nano=at,
        )  # fmt: skip
        told = {
            "strayline.topology": f'{{"items": [{text}], "again": true, "forgotten": 0}}',
            "strayline.broker": "b",
            "strayline.vhost": "/",
            "strayline.epoch": process,
        }
        for key, value in told.items():
            span.attributes.add(key=key).value.string_value = value
    return found.SerializeToString()


@contextmanager
def stored(loads: Sequence[Sequence[bytes]]) -> Iterator[DuckDBStore]:
    store = DuckDBStore.open(":memory:")
    try:
        for offset, bodies in enumerate(loads, start=1):
            append(store, offset, bodies)
        yield store
    finally:
        store.close()


def append(store: DuckDBStore, offset: int, bodies: Sequence[bytes]) -> None:
    store.append(decode(list(bodies), 10**18), Position(1, offset), 10**18)


def asked(store: DuckDBStore, sql: str) -> list[dict[str, Any]]:
    with store.read() as session:
        return session.rows(sql)


KNOWN = "SELECT * EXCLUDE (batch) FROM topology_facts ORDER BY ALL"
GROWTH = "SELECT (SELECT count(*) FROM spans) AS spans, (SELECT max(batch) FROM topology_facts) AS news, (SELECT count(*) FROM processes) AS processes, (SELECT max(spans) FROM loaded) AS counted"


@settings(max_examples=10, deadline=None)
@given(words, st.data())
def test_what_is_known_does_not_grow(said: list[Any], data: st.DataObject) -> None:
    told = [(process, text) for process, _, text in timed(said)]
    again = data.draw(
        st.lists(st.lists(st.sampled_from(told), min_size=1, max_size=5), min_size=1, max_size=3)
    )
    with stored([[request(told, "strayline.topology", 1)]]) as store:
        before = [asked(store, sql) for sql in (KNOWN, GROWTH)]
        for number, part in enumerate(again, start=2):
            append(store, number, [request(part, "strayline.census", number)])
        assert [asked(store, sql) for sql in (KNOWN, GROWTH)] == before


@settings(max_examples=10, deadline=None)
@given(words, st.data())
def test_the_order_of_first_and_further_tellings_changes_nothing(
    said: list[Any], data: st.DataObject
) -> None:
    """Nor whether a first telling got lost, nor which load brought what."""
    told = [(process, text) for process, _, text in timed(said)]
    lost = data.draw(st.sets(st.sampled_from(told)))
    bodies = [
        request([word], "strayline.topology", n)
        for n, word in enumerate(told, start=1)
        if word not in lost
    ]
    bodies += [
        request([word], "strayline.census", n) for n, word in enumerate([*told, *told], start=100)
    ]
    mixed = data.draw(st.permutations(bodies))
    cut = data.draw(st.integers(0, len(mixed)))
    with (
        stored([[request(told, "strayline.topology", 1)]]) as once,
        stored([p for p in (mixed[:cut], mixed[cut:]) if p]) as often,
    ):
        assert asked(often, KNOWN) == asked(once, KNOWN)


@given(words)
def test_whoever_is_told_last_words_alone_knows_what_is_meant_now(said: list[Any]) -> None:
    """Who believes what another has ended since does not bring it back."""
    beliefs = {process: Beliefs() for process in PROCESSES}
    told: list[Word] = []
    for process, made, text in timed(said):
        told.append((process, text))
        beliefs[process].note(Broker("b", "/"), made, text, "{}")
    last = [(process, word.text) for process, belief in beliefs.items() for word in belief.words()]
    assert meant_now(last) == meant_now(told)


def meant_now(told: Sequence[Word]) -> set[str]:
    """The bindings, by whose word."""
    now = START_NS + 900_000_000_000
    found = said_by(row(process, json.loads(text), now) for process, text in told)
    return {
        repr((s.service, s.part))
        for s in found
        if s.from_ns <= now <= s.to_ns and isinstance(s.part, Binding)
    }


def row(process: str, said: dict[str, Any], heard_ns: int) -> dict[str, Any]:
    """As ``detect/topology_said`` has it."""
    who = {"service": "owner", "instance": process, "epoch": process, "until_ns": heard_ns}
    told = {**said, "arguments": json.dumps(said.get("arguments")), "seen_ns": said["at_unix_nano"]}
    return {**dict.fromkeys(COLUMNS), **PLACE, **who, **told}


def test_a_span_that_tells_again_is_no_census_to_those_who_do_not_know_of_it() -> None:
    """An older collector reads topology from spans named for it, and a census from its own attribute."""
    body = request([("a", json.dumps(item("declare", "q")))], "strayline.census", 1)
    with stored([[body]]) as store:
        assert asked(store, "SELECT * FROM census") == []
        assert asked(store, "SELECT * FROM distinct_spans") == []
        assert asked(store, "SELECT * FROM processes") == []


@pytest.mark.parametrize("form", ["protobuf", "json"])
def test_an_export_has_what_was_told_again_to_a_collector_that_began_late(form: Format) -> None:
    """Each process's once, whatever its length and whoever else told something in the same load."""
    said = [("a", ("declare", f"q{n}" * 20)) for n in range(400)]
    *many, late = [text for _, _, text in timed([*said, ("b", ("bind", "qk"))])]
    of_a, of_b = ("a", ", ".join(many)), ("b", late)
    loads = [
        [request([of_a], "strayline.census", 1), otlp_span(7, 1, note="x" * 40_000)],
        [request([of_a], "strayline.census", 2), request([of_b], "strayline.topology", 3)],
        [request([of_a, of_b], "strayline.census", 4)],
    ]
    came = [ExportTraceServiceRequest.FromString(body) for bodies in loads for body in bodies]
    with stored(loads) as store:
        known = asked(store, KNOWN)
        told = exported(store, form)
        assert asked(store, "SELECT max(spans) AS n FROM loaded") == [{"n": 1}]
    found = flat(told)
    assert found == flat(came[0], came[1], came[3])
    with stored([[told.SerializeToString()]]) as again:
        assert asked(again, KNOWN) == known
        assert flat(exported(again, form)) == found
