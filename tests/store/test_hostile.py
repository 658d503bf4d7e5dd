"""Whatever a sender puts into messaging spans, loading and judging go on."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from strayline import conventions
from strayline_collector.decode.otlp import decode
from strayline_collector.detect.runner import Runner
from strayline_collector.query.graph import read_graph
from strayline_collector.query.messages import read_messages
from strayline_collector.query.trace_text import read_trace
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.rounds import rounds

NAMES = sorted(
    {value for name, value in vars(conventions).items() if name.isupper() and isinstance(value, str) and "." in value}
    | {"messaging.destination", "messaging.url", "messaging.operation", "messaging.message_id", "messaging.rabbitmq.routing_key", "messaging.conversation_id"}
)  # fmt: skip
texts = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=10),
    st.sampled_from(["", "abc", "-1", "9" * 30, "1e400", "NaN", "true", "null", "{}", "[]", '{"items": 3}', '{"items": [{"action": "declare", "kind": "queue"}]}',
                     '{"items": [{"action": "bind", "kind": "binding", "at_unix_nano": "x"}]}', "1.0123456789abcdef.1.1.00ff", "1.0123456789abcdef.1.2.00ff.aabbccdd.1",
                     "amqp://u:p@h:1/%2Fx", "amqp://", "ack", "nack_requeue", "x:y:z", "process", "settle", "receive", "\x00"]),
)  # fmt: skip
values = st.one_of(
    texts.map(lambda v: AnyValue(string_value=v)),
    st.integers(-(2**63), 2**63 - 1).map(lambda v: AnyValue(int_value=v)),
    st.floats().map(lambda v: AnyValue(double_value=v)),
    st.booleans().map(lambda v: AnyValue(bool_value=v)),
    st.binary(max_size=4).map(lambda v: AnyValue(bytes_value=v)),
    st.lists(texts, max_size=3).map(
        lambda vs: AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=v) for v in vs]))
    ),
    st.just(AnyValue()),
)


@st.composite
def requests(draw: Any) -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.extend(
        KeyValue(key=k, value=draw(values))
        for k in draw(
            st.lists(
                st.sampled_from(["service.name", "host.id", "process.pid", "service.instance.id"]),
                max_size=3,
            )
        )
    )
    scope = resource.scope_spans.add()
    for _ in range(draw(st.integers(1, 5))):
        ids = st.integers(1, 3).map(lambda n: bytes([n]))
        span = scope.spans.add(
            name=draw(st.sampled_from(["publish x", "q process", "process x:y", "strayline.topology", "strayline.census", ""])),
            kind=draw(st.integers(0, 5)), trace_id=draw(ids) * 16, span_id=draw(ids) * 8, parent_span_id=draw(st.just(b"") | ids.map(lambda i: i * 8)),
            start_time_unix_nano=draw(st.sampled_from([0, 1, 10**18, 2**64 - 1])), end_time_unix_nano=draw(st.sampled_from([0, 2, 10**18 + 5, 2**64 - 1])),
        )  # fmt: skip
        for _ in range(draw(st.integers(0, 2))):
            span.links.add(
                trace_id=draw(st.binary(max_size=17) | ids.map(lambda i: i * 16)),
                span_id=draw(st.binary(max_size=9) | ids.map(lambda i: i * 8)),
            )
        span.attributes.add(key="messaging.system").value.string_value = "rabbitmq"
        for name in draw(st.lists(st.sampled_from(NAMES), max_size=8, unique=True)):
            span.attributes.append(KeyValue(key=name, value=draw(values)))
        if draw(st.booleans()):
            span.status.code, span.status.message = (
                2,
                draw(st.sampled_from(["nack called on message with requeue", "x", ""])),
            )
    return request.SerializeToString()


def publishing(kind: Any, name: str, value: AnyValue) -> bytes:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name, span.kind = b"\x01" * 16, b"\x01" * 8, "publish x", kind
    span.attributes.add(key="messaging.system").value.string_value = "rabbitmq"
    span.attributes.append(KeyValue(key=name, value=value))
    return request.SerializeToString()


@settings(max_examples=rounds(15), deadline=None)
@example([publishing(3, "messaging.message.conversation_id", AnyValue())])
@example([publishing(4, "strayline.expiration_ms", AnyValue(int_value=2**63 - 1))])
@given(st.lists(requests(), min_size=1, max_size=3))
def test_loading_judging_and_asking_survive_anything(bodies: list[bytes]) -> None:
    store = DuckDBStore.open(":memory:")
    try:
        runner = Runner(store)
        for offset, body in enumerate(bodies, start=1):
            store.append(decode([body], 10**18), Position(1, offset), 10**18)
        runner.settle()
        assert not runner.failures
        with store.read() as session:
            everything = {"start_ns": 0, "end_ns": 2**63 - 1}
            for level in ("service", "messaging"):
                read_graph(session, everything, level)
            read_messages(
                session,
                dict.fromkeys(("message_id", "queue", "exchange", "trace_id", "id")),
                limit=100,
            )
            for row in session.rows("SELECT DISTINCT trace_id FROM distinct_spans"):
                read_trace(session, row["trace_id"], stitched=True)
            for view in (
                "publishes",
                "deliveries",
                "settlements",
                "topology",
                "queue_levels",
                "verdicts",
                "finding_verdicts",
            ):
                session.rows(f"SELECT * FROM {view}")
    finally:
        store.close()
