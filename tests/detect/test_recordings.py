"""The recorded NestJS system: what is decidable from its spans is found, nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from strayline_collector.detect.runner import Runner
from strayline_collector.query.graph import read_graph
from strayline_collector.query.times import BEGINNING, END
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.support.corpus import RECORDINGS, load_recording, requests, truth
from tests.support.rounds import TIMES


def judged(store: DuckDBStore) -> list[str]:
    """Everything that stands, without what depends on arrival: what was said too early was taken back."""
    Runner(store).settle()
    with store.read() as session:
        verdicts = session.rows("SELECT * EXCLUDE (batch) FROM verdicts ORDER BY ALL")
        findings = session.rows(
            "SELECT * EXCLUDE (updated_ns) FROM findings WHERE status <> 'retracted' ORDER BY id"
        )
        publishes = session.rows("SELECT * FROM publishes ORDER BY ALL")
        deliveries = session.rows("SELECT * FROM deliveries ORDER BY ALL")
    return [str(rows) for rows in (verdicts, findings, publishes, deliveries)]


@pytest.mark.parametrize("name", RECORDINGS)
def test_shuffling_repeating_and_rebatching_change_nothing(name: str, store: DuckDBStore) -> None:
    load_recording(store, name)
    once = judged(store)
    for seed, times, chunk in ((1, 1, 12 if TIMES == 1 else 3), (2, 2, 40)):
        other = DuckDBStore.open(":memory:")
        runner = Runner(other)
        load_recording(other, name, shuffle_seed=seed, times=times, chunk=chunk)
        runner.run()
        assert judged(other) == once
        other.close()


@pytest.mark.parametrize(
    ("name", "chunk"), [("a_healthy_proto", 60), ("b_misroute", 60), ("d_reorder_nack", 12)]
)
def test_judging_after_every_load_ends_in_the_same_findings(
    store: DuckDBStore, name: str, chunk: int
) -> None:
    """Late spans touch keys, which are judged again in event time."""
    if TIMES > 1:
        chunk //= 3
    load_recording(store, name)
    once = judged(store)
    other = DuckDBStore.open(":memory:")
    runner = Runner(other)
    append = other.append

    def append_and_judge(*args: object) -> int:
        batch = append(*args)  # type: ignore[arg-type]
        runner._population_at = 0.0
        runner.run()
        return batch

    other.append = append_and_judge  # type: ignore[method-assign]
    load_recording(other, name, shuffle_seed=5, chunk=chunk)
    assert judged(other) == once
    other.close()


def test_healthy_traffic_raises_nothing(store: DuckDBStore) -> None:
    load_recording(store, "a_healthy_proto")
    assert Runner(store).settle() == {"findings": 0, "provisional": 0}


def test_exactly_the_injected_messages_are_misrouted(store: DuckDBStore) -> None:
    load_recording(store, "b_misroute")
    Runner(store).settle()
    with store.read() as session:
        rows = session.rows("SELECT * FROM verdicts")
    injected = truth("b_misroute")["faults"]["misrouted"]
    assert {row["producer_span_id"] for row in rows} == {
        fault["producer_span_id"] for fault in injected
    }
    assert {(row["kind"], row["verdict"], row["queue"], row["severity"]) for row in rows} == {
        ("misrouted", "outlier", "shipping.orders", "warning")
    }


def without_shipping(body: bytes) -> bytes:
    """As if nothing had come from shipping."""
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        if is_of(resource, "shipping"):
            del resource.scope_spans[:]
    return request.SerializeToString()


def test_what_strayed_to_a_silent_service_is_misrouted_and_not_unroutable(
    store: DuckDBStore,
) -> None:
    """Nobody is seen to take that key, which is others' messages' key too."""
    load_recording(store, "b_misroute", changed=without_shipping)
    Runner(store).settle()
    with store.read() as session:
        rows = session.rows("SELECT * FROM verdicts WHERE severity <> 'info'")
        (finding,) = session.rows("SELECT explanation FROM findings WHERE severity <> 'info'")
    injected = truth("b_misroute")["faults"]["misrouted"]
    assert {row["message_id"] for row in rows} == {fault["message_id"] for fault in injected}
    assert {(row["verdict"], row["queue"]) for row in rows} == {("outlier", None)}
    assert "whose receivers send no spans" in finding["explanation"]


def test_every_clear_overtaking_is_found_with_its_cause_and_none_is_invented(
    store: DuckDBStore,
) -> None:
    load_recording(store, "d_reorder_nack")
    Runner(store).settle()
    with store.read() as session:
        rows = session.rows(
            "SELECT *, evidence->>'$.late_by' AS late_by FROM verdicts WHERE role = 'late'"
        )
    order = truth("d_reorder_nack")["faults"]["order"]["billing.orders"]
    clear = {
        basis: {item[1] for item in order["clear_10ms"][basis]}
        for basis in ("last_delivery", "completion")
    }
    late = {
        basis: {row["producer_span_id"] for row in rows if word in row["late_by"]}
        for basis, word in (("last_delivery", "delivery"), ("completion", "completion"))
    }
    assert late["last_delivery"] == clear["last_delivery"]
    assert late["completion"] <= clear["completion"]
    # one publish ended less than 10 ms before the other began: from spans alone it stays open
    assert len(clear["completion"] - late["completion"]) <= 1
    requeued = {row["producer_span_id"] for row in rows if row["cause"] == "requeue"}
    assert requeued == clear["last_delivery"]
    assert {row["queue"] for row in rows} == {"billing.orders"}
    assert {row["severity"] for row in rows if row["cause"] == "requeue"} == {"warning"}


CONSUMER = 5


def without_context(body: bytes) -> bytes:
    """As if billing and shipping, alone, extracted no trace context."""
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        names = {a.value.string_value for a in resource.resource.attributes}
        if not names & {"billing", "shipping"}:
            continue
        for scope in resource.scope_spans:
            for span in scope.spans:
                if span.kind == CONSUMER:
                    span.parent_span_id = b""
                    del span.links[:]
    return request.SerializeToString()


@pytest.mark.parametrize(("seed", "times"), [(None, 1), (3, 2)])
def test_consumers_that_lose_context_are_told_by_their_messages_ids_and_nothing_else_is(
    store: DuckDBStore, seed: int | None, times: int
) -> None:
    load_recording(
        store, "a_healthy_proto", shuffle_seed=seed, times=times, changed=without_context
    )
    Runner(store).settle()
    with store.read() as session:
        rows = session.rows("SELECT * FROM verdicts")
    queues = ("billing.orders", "shipping.orders")
    lost = {
        (queue, m["message_id"])
        for m in truth("a_healthy_proto")["messages"]
        for queue in m["routed_queues"]
        if queue in queues
    }
    assert len(lost) == 400
    assert {(row["queue"], row["message_id"]) for row in rows} == lost
    assert {(row["kind"], row["severity"], row["confidence"]) for row in rows} == {
        ("context_lost", "warning", "inferred")
    }


def passing_on(bodies: list[bytes]) -> Callable[[bytes], bytes]:
    """As if shipping's exporter were off: its messages bear the context that it was called with."""
    above: dict[bytes, bytes] = {}
    for body in bodies:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            if is_of(resource, "shipping"):
                above.update(
                    (s.span_id, s.parent_span_id) for g in resource.scope_spans for s in g.spans
                )

    def changed(body: bytes) -> bytes:
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            if is_of(resource, "shipping"):
                del resource.scope_spans[:]
            for scope in resource.scope_spans:
                for span in scope.spans:
                    while span.parent_span_id in above:
                        span.parent_span_id = above[span.parent_span_id]
        return request.SerializeToString()

    return changed


def is_of(resource: ResourceSpans, service: str) -> bool:
    return any(
        a.key == "service.name" and a.value.string_value == service
        for a in resource.resource.attributes
    )


def test_messages_that_a_silent_service_sends_on_are_not_those_it_got(store: DuckDBStore) -> None:
    """By their ids, which no broker changes: the silent hop is named, and no edge leads past it."""
    load_recording(
        store, "a_healthy_proto", shuffle_seed=4, changed=passing_on(requests("a_healthy_proto"))
    )
    Runner(store).settle()
    with store.read() as session:
        rows = session.rows("SELECT kind, severity, exchange, routing_key FROM verdicts")
        graph = read_graph(session, {"start_ns": BEGINNING, "end_ns": END}, "service")
    assert [tuple(row.values()) for row in rows] == [
        ("uninstrumented", "info", "orders.events", "order.paid")
    ]
    assert {e["target"] for e in graph["edges"] if e["source"] == "service:billing"} == {
        "service:gateway",
        "external:orders.events order.paid",
    }
