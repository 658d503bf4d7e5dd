"""Export gives back what came in: generated requests through decoder, store and export."""

from __future__ import annotations

import json
import math
from collections import Counter
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    EntityRef,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from strayline_collector.decode.otlp import decode
from strayline_collector.formats.otlp_json import json_to_protobuf
from strayline_collector.query.export import Format, Wanted, export
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.rounds import rounds

MAX_NS = 2**62 - 1
EVERYTHING = Wanted()
positions = count(1)
text = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
counts = st.sampled_from([0, 0, 1, 2**32 - 1])
times = st.one_of(st.sampled_from([0, 1, MAX_NS]), st.integers(10**18, 10**18 + 5))
values = st.recursive(
    st.one_of(
        st.builds(lambda v: AnyValue(string_value=v), text),
        st.builds(lambda v: AnyValue(bool_value=v), st.booleans()),
        st.builds(lambda v: AnyValue(int_value=v), st.integers(-(2**63), 2**63 - 1)),
        st.builds(lambda v: AnyValue(double_value=math.nan if math.isnan(v) else v), st.floats()),
        st.builds(lambda v: AnyValue(bytes_value=v), st.binary(max_size=6)),
        st.builds(AnyValue),
    ),
    lambda inner: st.one_of(
        st.builds(
            lambda v: AnyValue(array_value=ArrayValue(values=v)), st.lists(inner, max_size=3)
        ),
        st.builds(
            lambda v: AnyValue(kvlist_value=KeyValueList(values=_pairs(v))),
            st.dictionaries(text, inner, max_size=3),
        ),
    ),
    max_leaves=6,
)


def _pairs(told: dict[str, AnyValue]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value) for key, value in told.items()]


attributes = st.dictionaries(text, values, max_size=3).map(_pairs)
statuses = st.builds(Status, code=st.integers(0, 2), message=text)
events = st.builds(
    Span.Event, name=text, time_unix_nano=times, attributes=attributes,
    dropped_attributes_count=counts,
)  # fmt: skip
links = st.builds(
    Span.Link, trace_id=st.binary(max_size=17), span_id=st.binary(max_size=9), trace_state=text,
    attributes=attributes, dropped_attributes_count=counts, flags=counts,
)  # fmt: skip
parents = st.one_of(st.just(b""), st.binary(min_size=8, max_size=8).filter(any))
spans = st.builds(
    Span, trace_id=st.sampled_from([b"\x01" * 16, b"\xff" * 16]), trace_state=text,
    parent_span_id=parents, flags=counts, name=text, kind=st.integers(0, 5),
    start_time_unix_nano=times, end_time_unix_nano=times, attributes=attributes,
    dropped_attributes_count=counts, events=st.lists(events, max_size=2),
    dropped_events_count=counts, links=st.lists(links, max_size=2), dropped_links_count=counts,
    status=st.one_of(st.none(), statuses),
)  # fmt: skip
entities = st.builds(
    EntityRef, schema_url=text, type=text, id_keys=st.lists(text, max_size=2),
    description_keys=st.lists(text, max_size=2),
)  # fmt: skip
resources = st.builds(
    Resource, attributes=attributes, dropped_attributes_count=counts,
    entity_refs=st.lists(entities, max_size=2),
)  # fmt: skip
scopes = st.builds(
    InstrumentationScope, name=text, version=text, attributes=attributes,
    dropped_attributes_count=counts,
)  # fmt: skip
scope_spans = st.builds(
    ScopeSpans, scope=st.one_of(st.none(), scopes), spans=st.lists(spans, max_size=3),
    schema_url=text,
)  # fmt: skip
requests = st.builds(
    ExportTraceServiceRequest,
    resource_spans=st.lists(
        st.builds(
            ResourceSpans, resource=st.one_of(st.none(), resources),
            scope_spans=st.lists(scope_spans, max_size=2), schema_url=text,
        ),
        max_size=3,
    ),
)  # fmt: skip


def numbered(request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    """Gives every span an id of its own, in an order that is not that of their starts."""
    number = 0
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                number += 7919
                span.span_id = (number % 65521 + 1).to_bytes(8, "big")
    return request


def flat(*requests: ExportTraceServiceRequest) -> Counter[tuple[bytes, ...]]:
    """Every span with what it stands in: all that grouping leaves. An empty message that is set
    and one that is not mean the same."""
    found: Counter[tuple[bytes, ...]] = Counter()
    for request in requests:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    copy = Span.FromString(span.SerializeToString())
                    if copy.status == Status():
                        copy.ClearField("status")
                    found[
                        resource.resource.SerializeToString(deterministic=True),
                        resource.schema_url.encode(),
                        scope.scope.SerializeToString(deterministic=True),
                        scope.schema_url.encode(),
                        copy.SerializeToString(deterministic=True),
                    ] += 1
    return found


def exported(
    store: DuckDBStore,
    form: Format,
    wanted: Wanted = EVERYTHING,
    page_spans: int = 100,
) -> ExportTraceServiceRequest:
    document = b"".join(export(store, wanted, form, page_spans=page_spans))
    if form == "protobuf":
        return ExportTraceServiceRequest.FromString(document)
    whole = ExportTraceServiceRequest()
    for line in document.splitlines() if form == "jsonl" else [document]:
        whole.MergeFromString(json_to_protobuf(line))
    return whole


def load(store: DuckDBStore, *requests: ExportTraceServiceRequest) -> None:
    position = next(positions)
    bodies = [request.SerializeToString() for request in requests]
    store.append(decode(bodies, position), Position(1, position), position)


@settings(
    max_examples=rounds(15),
    deadline=None,
    suppress_health_check=list(HealthCheck),  # the store is emptied by hand; requests are large
)
@given(request=requests.map(numbered))
def test_every_field_of_a_generated_request_comes_back(
    store: DuckDBStore, request: ExportTraceServiceRequest
) -> None:
    """Received twice, as after a lost acknowledgement, and given back once, in every format."""
    with store.write() as session:
        session.execute("DELETE FROM spans")
    load(store, request, request)
    came = flat(request)
    assert flat(exported(store, "protobuf", page_spans=5)) == came
    for form in ("json", "jsonl"):
        assert flat(exported(store, form)) == came
    for trace_id in {Span.FromString(found[4]).trace_id for found in came}:
        of_it = {k: n for k, n in came.items() if Span.FromString(k[4]).trace_id == trace_id}
        assert flat(exported(store, "protobuf", Wanted(trace_id.hex()))) == of_it


def one_span(**fields: Any) -> ExportTraceServiceRequest:
    fields = {"trace_id": b"\x01" * 16, "span_id": b"\x01" * 8} | fields
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[Span(**fields)])])]
    )


FOLDED = [
    ("a kind that the protocol does not have is unspecified", {"kind": 9}, {"kind": 0}),
    (
        "so is a status",
        {"status": Status(code=7, message="odd")},  # type: ignore[arg-type]
        {"status": Status(code=0, message="odd")},
    ),
    (
        "no clock shows a time after 2116",
        {"start_time_unix_nano": 2**63, "end_time_unix_nano": 2**64 - 1},
        {"start_time_unix_nano": MAX_NS, "end_time_unix_nano": MAX_NS},
    ),
    (
        "of an attribute named twice, which the specification forbids, the last stands",
        {"attributes": [KeyValue(key="a", value=AnyValue(int_value=i)) for i in (1, 2)]},
        {"attributes": [KeyValue(key="a", value=AnyValue(int_value=2))]},
    ),
    (
        "an attribute without a value has an empty one",
        {"attributes": [KeyValue(key="a")]},
        {"attributes": [KeyValue(key="a", value=AnyValue())]},
    ),
    ("a parent of zeros is none", {"parent_span_id": bytes(8)}, {}),
]


@pytest.mark.parametrize(
    ("came", "given_back"), [pair[1:] for pair in FOLDED], ids=[f[0] for f in FOLDED]
)
def test_what_no_sender_means_is_folded_as_explained(
    store: DuckDBStore, came: dict[str, Any], given_back: dict[str, Any]
) -> None:
    load(store, one_span(**came))
    assert flat(exported(store, "protobuf")) == flat(one_span(**given_back))


def test_pages_that_split_equal_starts_lose_and_repeat_nothing(store: DuckDBStore) -> None:
    """Forty spans at three moments, each received three times, in pages of every small size."""
    whole = ExportTraceServiceRequest()
    for number in range(1, 41):
        whole.MergeFrom(
            one_span(span_id=number.to_bytes(8, "big"), start_time_unix_nano=number // 15)
        )
    for _ in range(3):
        load(store, whole)
    for size in (1, 2, 3, 7, 39, 40, 41, 1000):
        assert flat(exported(store, "protobuf", page_spans=size)) == flat(whole)


def test_a_client_and_a_server_that_share_an_id_are_two_spans(store: DuckDBStore) -> None:
    both = one_span(kind=Span.SPAN_KIND_CLIENT)
    both.MergeFrom(one_span(kind=Span.SPAN_KIND_SERVER))
    load(store, both)
    load(store, both)
    assert flat(exported(store, "protobuf")) == flat(both)


def test_a_range_is_by_start_with_both_ends(store: DuckDBStore) -> None:
    whole = ExportTraceServiceRequest()
    for number in range(1, 8):
        whole.MergeFrom(
            one_span(span_id=number.to_bytes(8, "big"), start_time_unix_nano=number * 10)
        )
    load(store, whole)
    found = exported(store, "protobuf", Wanted(start_ns=30, end_ns=50))
    starts = [
        span.start_time_unix_nano
        for r in found.resource_spans
        for s in r.scope_spans
        for span in s.spans
    ]
    assert sorted(starts) == [30, 40, 50]


def test_a_json_export_of_nothing_is_an_empty_document(store: DuckDBStore) -> None:
    assert json.loads(b"".join(export(store, Wanted(), "json"))) == {"resourceSpans": []}
    assert json.loads(b"".join(export(store, Wanted(), "jaeger"))) == {"data": []}
    assert b"".join(export(store, Wanted(), "protobuf")) == b""
    assert b"".join(export(store, Wanted(), "jsonl")) == b""
