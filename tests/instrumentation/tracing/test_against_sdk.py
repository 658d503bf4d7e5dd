"""Our spans and our encoder, held to OpenTelemetry's own SDK and exporter over generated programs.

One program of API calls is run twice, with equal ids and times: on the SDK's tracer, encoded by
the stock exporter's encoder, and on ours, encoded by ours. Both must mean the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from strayline.export.otlp import encode_request
from strayline.tracing import ids
from strayline.tracing.limits import Limits
from strayline.tracing.provider import LightProvider
from strayline.tracing.span import LightSpan

RESOURCE = {"service.name": "x", "n": 3}


class Odd:
    def __str__(self) -> str:
        return "odd"


text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
scalars = st.one_of(
    text, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.none(),
    st.binary(max_size=4), st.sampled_from([Odd(), 1 + 2j, "long " * 50]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2)
    ),
    max_leaves=6,
)
names = st.sampled_from(["a", "b", "a.b", "c.long.name", "d", "e", ""])
attributes = st.dictionaries(names, values, max_size=5)
times = st.integers(1, 2**62)
states = st.none() | st.sampled_from(
    [TraceState([("k", "v")]), TraceState([("a", "1"), ("b", "2")])]
)


@st.composite
def contexts(draw: Any) -> SpanContext:
    return SpanContext(
        draw(st.integers(1, 2**128 - 1)), draw(st.integers(1, 2**64 - 1)), draw(st.booleans()),
        TraceFlags(draw(st.sampled_from([0, 1, 2, 3]))), draw(states),
    )  # fmt: skip


codes = st.sampled_from(list(StatusCode))
statuses = st.one_of(
    codes.map(lambda code: ("set_status", (Status(code),))),
    st.tuples(codes, st.none()).map(lambda both: ("set_status", both)),
    text.map(lambda told: ("set_status", (StatusCode.ERROR, told))),
)
steps = st.one_of(
    st.tuples(names, values).map(lambda pair: ("set_attribute", pair)),
    attributes.map(lambda some: ("set_attributes", (some,))),
    st.tuples(text, st.none() | attributes, times).map(lambda event: ("add_event", event)),
    st.tuples(contexts(), st.none() | attributes).map(lambda link: ("add_link", link)),
    statuses,
    text.map(lambda name: ("update_name", (name,))),
    st.tuples(text, st.none() | attributes, times, st.booleans()).map(
        lambda told: ("record_exception", (ValueError(told[0]), *told[1:]))
    ),
    times.map(lambda when: ("end", (when,))),
)


@st.composite
def programs(draw: Any) -> dict[str, Any]:
    return {
        "name": draw(text),
        "kind": draw(st.sampled_from(list(SpanKind))),
        "parent": draw(st.none() | contexts()),
        "attributes": draw(st.none() | attributes),
        "links": [
            (draw(contexts()), draw(st.none() | attributes)) for _ in range(draw(st.integers(0, 3)))
        ],
        "start_time": draw(times),
        "steps": draw(st.lists(steps, max_size=12)),
        "ids": (draw(st.integers(1, 2**128 - 1)), draw(st.integers(1, 2**64 - 1))),
        "scope": draw(st.sampled_from([("a", None), ("b", "1"), ("strayline.amqp", "2")])),
    }


class Fixed(IdGenerator):
    def __init__(self, trace_id: int, span_id: int) -> None:
        self._ids = trace_id, span_id

    def generate_trace_id(self) -> int:
        return self._ids[0]

    def generate_span_id(self) -> int:
        return self._ids[1]

    def is_trace_id_random(self) -> bool:
        return True


class Kept(SpanProcessor):
    """Ended spans, of either provider."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)

    def enqueue(self, span: LightSpan) -> None:
        self.spans.append(span)


def run(tracer: trace.Tracer, program: dict[str, Any]) -> None:
    parent = program["parent"]
    context = trace.set_span_in_context(NonRecordingSpan(parent)) if parent is not None else None
    span = tracer.start_span(
        program["name"],
        context=context,
        kind=program["kind"],
        attributes=program["attributes"],
        links=[Link(to, told) for to, told in program["links"]],
        start_time=program["start_time"],
    )
    for method, arguments in program["steps"]:
        getattr(span, method)(*arguments)
    if span.is_recording():
        span.end(program["start_time"] + 1)


def stock(program: dict[str, Any], limits: SpanLimits) -> ExportTraceServiceRequest:
    kept = Kept()
    provider = TracerProvider(
        resource=Resource(RESOURCE),
        id_generator=Fixed(*program["ids"]),
        span_limits=limits,
        shutdown_on_exit=False,
    )
    provider.add_span_processor(kept)
    run(provider.get_tracer(*program["scope"]), program)
    return ExportTraceServiceRequest.FromString(encode_spans(kept.spans).SerializeToString())


def ours(program: dict[str, Any], limits: Limits | None = None) -> ExportTraceServiceRequest:
    kept = Kept()
    provider = LightProvider(lambda: RESOURCE, kept)
    if limits is not None:
        provider.limits = limits
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "trace_id", lambda: program["ids"][0])
        patch.setattr(ids, "span_id", lambda: program["ids"][1])
        run(provider.get_tracer(*program["scope"]), program)
    encoded = encode_request(kept.spans, RESOURCE) if kept.spans else b""
    return ExportTraceServiceRequest.FromString(encoded)


def told(request: ExportTraceServiceRequest) -> list[str]:
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                # the stock encoder leaves out the W3C trace flags (low byte) and a link's trace
                # state; trace.proto wants both
                for item in (span, *span.links):
                    item.flags &= ~0xFF
                for link in span.links:
                    link.trace_state = ""
    return [str(each) for each in request.resource_spans]


@settings(max_examples=300, deadline=None)
@given(programs())
def test_a_program_means_the_same_on_our_spans_and_on_the_sdks(program: dict[str, Any]) -> None:
    assert told(ours(program)) == told(stock(program, SpanLimits()))


@settings(max_examples=150, deadline=None)
@given(programs(), st.lists(st.none() | st.integers(0, 4), min_size=7, max_size=7))
def test_limits_drop_and_cut_what_the_sdk_drops_and_cuts(
    program: dict[str, Any], bounds: list[int | None]
) -> None:
    given_bounds = [SpanLimits.UNSET if bound is None else bound for bound in bounds]
    sdk = SpanLimits(
        max_span_attributes=given_bounds[0],
        max_events=given_bounds[1],
        max_links=given_bounds[2],
        max_event_attributes=given_bounds[3],
        max_link_attributes=given_bounds[4],
        max_attribute_length=given_bounds[5],
        max_span_attribute_length=given_bounds[6],
    )
    assert told(ours(program, Limits(*bounds))) == told(stock(program, sdk))


def test_limits_are_read_from_the_variables_that_the_sdk_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = (
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    )  # fmt: skip
    for number, name in enumerate(names, start=1):
        monkeypatch.setenv(name, str(number))
    assert Limits.read() == Limits(1, 2, 3, 4, 5, 6, 7)
    monkeypatch.setenv(names[0], "unset")
    monkeypatch.setenv(names[1], "many")
    assert Limits.read() == Limits(None, 128, 3, 4, 5, 6, 7)
    for name in names:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", "9")
    assert Limits.read() == Limits(9, 128, 128, 9, 9, None, None)


SAMPLERS = (
    ("always_on", ""), ("always_off", ""), ("traceidratio", "0.3"), ("parentbased_always_on", ""),
    ("parentbased_always_off", ""), ("parentbased_traceidratio", "0.7"), ("traceidratio", ""),
    ("parentbased_traceidratio", "0"),
)  # fmt: skip


@pytest.mark.parametrize(("sampler", "argument"), SAMPLERS)
def test_samplers_decide_as_the_sdks_do(
    sampler: str, argument: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    if argument:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    parents = [None, *(SpanContext(7 << 120 | low, 5, True, TraceFlags(flags)) for low in (1, 2**63, 2**64 - 1) for flags in range(4))]  # fmt: skip
    trace_ids = [1, 2**62, 2**63, 2**64 - 1, 2**100 + 3]
    for parent, trace_id in itertools.product(parents, trace_ids):
        monkeypatch.setattr(ids, "trace_id", lambda trace_id=trace_id: trace_id)
        sdk = TracerProvider(id_generator=Fixed(trace_id, 9), shutdown_on_exit=False)
        light = LightProvider(lambda: RESOURCE, None)
        context = (
            trace.set_span_in_context(NonRecordingSpan(parent)) if parent is not None else None
        )
        theirs, mine = (
            provider.get_tracer("a").start_span("s", context=context) for provider in (sdk, light)
        )
        assert mine.is_recording() == theirs.is_recording(), (parent, trace_id)
        for part in ("trace_id", "trace_flags", "is_remote", "trace_state"):
            assert getattr(mine.get_span_context(), part) == getattr(
                theirs.get_span_context(), part
            )


def both() -> list[tuple[Kept, trace.TracerProvider]]:
    sdk, light = Kept(), Kept()
    theirs = TracerProvider(shutdown_on_exit=False)
    theirs.add_span_processor(sdk)
    mine = LightProvider(lambda: RESOURCE, None)
    mine.add_span_processor(light)
    return [(sdk, theirs), (light, mine)]


def shape(span: Any) -> Any:
    """What of a span does not depend on ids, times and line numbers."""
    return (
        span.name, span.kind, dict(span.attributes), span.status.status_code, span.status.description,
        [(event.name, {k: v for k, v in event.attributes.items() if "stack" not in k}) for event in span.events],
        span.parent is not None, span.instrumentation_scope.name,
    )  # fmt: skip


def around_a_block(tracer: trace.Tracer) -> None:
    with (
        tracer.start_as_current_span("outer", attributes={"a": 1}),
        tracer.start_as_current_span("inner"),
    ):
        trace.get_current_span().set_attribute("seen", True)  # fmt: skip


def failing(tracer: trace.Tracer) -> None:
    with pytest.raises(KeyError), tracer.start_as_current_span("outer"):
        raise KeyError("no")


def failing_plain(tracer: trace.Tracer) -> None:
    with pytest.raises(KeyError), tracer.start_span("plain"):
        raise KeyError("no")


def quiet(tracer: trace.Tracer) -> None:
    with pytest.raises(KeyError), tracer.start_as_current_span("outer", record_exception=False, set_status_on_exception=False):  # fmt: skip
        raise KeyError("no")


def decorating(tracer: trace.Tracer) -> None:
    @tracer.start_as_current_span("decorated")
    def work() -> None:
        trace.get_current_span().add_event("worked", {"x": [1, 2]})

    work()


def exiting(tracer: trace.Tracer) -> None:
    with pytest.raises(SystemExit), tracer.start_as_current_span("outer"):
        raise SystemExit(1)


@pytest.mark.parametrize(
    "program", [around_a_block, failing, failing_plain, quiet, decorating, exiting]
)
def test_a_processor_of_the_sdk_is_given_the_same_spans_by_both(
    program: Callable[[trace.Tracer], None],
) -> None:
    shapes: list[Any] = []
    for kept, provider in both():
        program(provider.get_tracer("t"))
        assert all(isinstance(span, ReadableSpan) for span in kept.spans)
        shapes.append([shape(span) for span in kept.spans])
    assert shapes[0] == shapes[1]


def test_a_program_that_seeds_random_still_gets_ids_of_its_own() -> None:
    import random

    random.seed(1)
    first = ids.trace_id()
    random.seed(1)
    assert ids.trace_id() != first


def test_spans_remember_nothing_of_values_changed_later() -> None:
    kept = Kept()
    mine = LightProvider(lambda: RESOURCE, kept).get_tracer("t")
    some = {"list": [1, 2]}
    span = mine.start_span("s", attributes=some)
    some["list"].append(3)
    some["more"] = [4]
    span.end()
    assert kept.spans[0].attributes == {"list": (1, 2)}


def test_trace_flags_and_a_links_trace_state_are_told_which_the_stock_encoder_leaves_out() -> None:
    kept = Kept()
    parent = SpanContext(1, 2, True, TraceFlags(3), TraceState([("k", "v")]))
    context = trace.set_span_in_context(NonRecordingSpan(parent))
    LightProvider(lambda: RESOURCE, kept).get_tracer("t").start_span(
        "s", context=context, links=[Link(parent)]
    ).end()
    request = ExportTraceServiceRequest.FromString(encode_request(kept.spans, RESOURCE))
    span = request.resource_spans[0].scope_spans[0].spans[0]
    assert (span.flags, span.trace_state) == (0x303, "k=v")
    assert (span.links[0].flags, span.links[0].trace_state) == (0x303, "k=v")
