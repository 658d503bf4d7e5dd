"""Generated OTLP requests: of every field for differential tests, of one shape for measuring."""

from __future__ import annotations

import random
import string
from typing import Any

from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.message import Message
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline_collector.decode.promote import TEXT_COLUMNS

PROMOTED = sorted(
    {name for names in TEXT_COLUMNS.values() for name in names}
    | {
        "http.response.status_code", "http.status_code", "server.port", "net.peer.port",
        "net.host.port", "url.path", "http.target", "messaging.operation",
        "messaging.operation.type", "messaging.operation.name", "service.name",
        "service.instance.id", "host.id", "host.name", "container.id", "process.pid",
        "deployment.environment", "deployment.environment.name",
    }
)  # fmt: skip
"""Every attribute name that a decoder looks for."""

TELLING = [
    "", "200", "007", "99999", "4294967296", "１２", "-1", "send", "receive", "settle", "create",
    "process", "a/b", "/pkg.Service/Method", "/x", "a//", "/p?q=1", "?", "\x00\x1f\x7f\"\\\n\r\t\b\f",
    "ä€😀\u2028", "x" * 300,
]  # fmt: skip
"""Text that some rule treats in its own way."""

texts = st.one_of(st.sampled_from(TELLING), st.text(max_size=20))
keys = st.one_of(st.sampled_from(PROMOTED), st.sampled_from(["a", "b", ""]), texts)
ids = st.one_of(
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=8, max_size=8),
    st.sampled_from([b"", b"\x00" * 8, b"\x00" * 16]),
    st.binary(max_size=20),
)
doubles = st.one_of(
    st.floats(),
    st.sampled_from([0.0, -0.0, 1e15, 1e16, 1e17, 123456789012345680.0, 1e-4, 1e-5, 5e-324]),
)
integers = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-5, 70000),
    st.sampled_from([2**62, 2**31 - 1, 2**31, 0x7FFF, 0x8000]),
)


@st.composite
def requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    """Any request: every field may be set, to anything that it can hold."""
    request = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(0, 2))):
        _fill(draw, request.resource_spans.add(), 0)
    return request


def _fill(draw: st.DrawFn, message: Message, depth: int) -> None:
    name = message.DESCRIPTOR.name
    fields = list(message.DESCRIPTOR.fields)
    if name == "AnyValue":
        fields = [draw(st.sampled_from(fields))]
    for field in fields:
        if field.message_type is not None and depth > 8:
            continue
        if field.is_repeated:
            for _ in range(draw(st.sampled_from([0, 1, 1, 2, 3]))):
                if field.message_type is not None:
                    _fill(draw, getattr(message, field.name).add(), depth + 1)
                else:
                    getattr(message, field.name).append(_scalar(draw, field))
        elif name != "Span" and draw(st.integers(0, 9)) == 0:
            continue
        elif field.message_type is not None:
            inner = getattr(message, field.name)
            inner.SetInParent()
            _fill(draw, inner, depth + 1)
        else:
            setattr(message, field.name, _scalar(draw, field))
    if name == "Span" and draw(st.integers(0, 4)) > 0:
        message.trace_id = draw(st.binary(min_size=16, max_size=16))  # type: ignore[attr-defined]
        message.span_id = draw(st.binary(min_size=8, max_size=8))  # type: ignore[attr-defined]


def _scalar(draw: st.DrawFn, field: Field) -> Any:
    strategy: st.SearchStrategy[Any] = {
        Field.TYPE_STRING: keys if field.name == "key" else texts,
        Field.TYPE_BYTES: ids,
        Field.TYPE_BOOL: st.booleans(),
        Field.TYPE_DOUBLE: doubles,
        Field.TYPE_INT64: integers,
        Field.TYPE_INT32: st.integers(-5, 5),
        Field.TYPE_ENUM: st.integers(-2, 7),
        Field.TYPE_UINT32: st.one_of(st.just(0), st.integers(0, 2**32 - 1)),
        Field.TYPE_FIXED32: st.one_of(st.just(0), st.integers(0, 2**32 - 1)),
        Field.TYPE_FIXED64: st.one_of(st.integers(0, 2**64 - 1), st.just(2**62)),
    }[field.type]
    return draw(strategy)


def steady(spans: int = 512, attributes: int = 10, seed: int = 1) -> bytes:
    """One request as a busy HTTP service sends it: one resource, one scope, ``attributes`` a span, a
    third of them names that have columns of their own. The same for the same arguments."""
    chance = random.Random(seed)
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    for key, value in (
        ("service.name", "checkout"), ("service.version", "1.14.2"), ("host.name", "node-17"),
        ("deployment.environment.name", "production"), ("telemetry.sdk.language", "python"),
    ):  # fmt: skip
        resource_spans.resource.attributes.add(key=key).value.string_value = value
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "strayline.http"
    start = 1_795_000_000_000_000_000
    own = ["http.request.method", "http.route", "server.address"]
    for _ in range(spans):
        start += chance.randrange(1_000_000)
        span = scope_spans.spans.add(
            name=chance.choice(["GET /cart", "POST /cart/items", "GET /orders/{id}"]),
            kind=chance.choice([2, 3]),
            trace_id=chance.randbytes(16),
            span_id=chance.randbytes(8),
            parent_span_id=chance.randbytes(8),
            start_time_unix_nano=start,
            end_time_unix_nano=start + chance.randrange(50_000_000),
        )
        for number in range(attributes):
            item = span.attributes.add()
            if number < len(own):
                item.key = own[number]
                item.value.string_value = chance.choice(["GET", "/orders/{id}", "cart.internal"])
            elif number == len(own):
                item.key = "http.response.status_code"
                item.value.int_value = chance.choice([200, 201, 404])
            else:
                item.key = f"app.attribute.{number}"
                item.value.string_value = "".join(chance.choices(string.ascii_letters, k=16))
    return request.SerializeToString()
