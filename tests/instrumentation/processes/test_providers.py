"""An application's own provider and propagators stay, whenever it sets them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.programs import BIN, environment, run, write
from tests.support.sink import Sink

OURS = """
import strayline.auto
from strayline.provider import tracer
def ours(name): tracer('x').start_span(name).end()
"""
THEIRS = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
assert trace.get_tracer_provider() is provider
def theirs(name): trace.get_tracer('theirs').start_span(name).end()
"""
SAY = "\nprint(*[span.name for span in exporter.get_finished_spans()])\n"


def said(folder: Path, sink: Sink, text: str, **variables: str) -> subprocess.CompletedProcess[str]:
    write(folder, app=text)
    done = run([BIN / "python", "app.py"], environment(sink.endpoint, **variables), cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done


@pytest.mark.parametrize(
    "text",
    [THEIRS + OURS, OURS + THEIRS],
    ids=["set before our import", "set after our import"],
)
def test_a_provider_set_before_the_first_span_gets_all(
    text: str, sink: Sink, tmp_path: Path
) -> None:
    done = said(tmp_path, sink, text + "\nours('one'); theirs('two'); ours('three')" + SAY)
    assert done.stdout == "one two three\n"
    assert sink.spans() == []


def test_a_provider_set_after_the_first_span_gets_all_from_then_on(
    sink: Sink, tmp_path: Path
) -> None:
    text = OURS + "ours('early')\n" + THEIRS + "ours('one'); theirs('two')" + SAY
    done = said(tmp_path, sink, text)
    assert done.stdout == "one two\n"
    assert [span.name for span in sink.spans()] == ["early"]


def test_a_provider_set_while_a_span_of_ours_is_open_keeps_one_trace(
    sink: Sink, tmp_path: Path
) -> None:
    text = (
        OURS
        + "from opentelemetry import trace\nspan = tracer('x').start_span('open')\n"
        + "with trace.use_span(span, end_on_exit=True):\n"
        + "".join(f"    {line}\n" for line in (THEIRS + "ours('inner')").splitlines())
        + "inner, = exporter.get_finished_spans()\n"
        + "assert inner.parent.span_id == span.get_span_context().span_id\n"
        + "assert inner.context.trace_id == span.get_span_context().trace_id\n"
    )
    said(tmp_path, sink, text)
    assert [span.name for span in sink.spans()] == ["open"]


def test_without_a_provider_of_theirs_spans_of_their_tracers_come_to_ours(
    sink: Sink, tmp_path: Path
) -> None:
    """Contrib instrumentations take their tracers at import, from the proxy."""
    text = (
        "from opentelemetry import trace\ntracer_of_theirs = trace.get_tracer('theirs')\n"
        + OURS
        + "ours('one'); tracer_of_theirs.start_span('two').end()\n"
        + "trace.get_tracer('theirs').start_span('three').end()\n"
    )
    said(tmp_path, sink, text, OTEL_SERVICE_NAME="shop")
    assert [(span.name, span.scope, span.service) for span in sink.spans()] == [
        ("one", "strayline.x", "shop"),
        ("two", "theirs", "shop"),
        ("three", "theirs", "shop"),
    ]


def test_a_processor_of_theirs_can_be_added_to_our_provider(sink: Sink, tmp_path: Path) -> None:
    text = (
        OURS
        + """
ours('before')
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
tracer('x').start_span('one', attributes={'a': 1}).end()
found, = exporter.get_finished_spans()
assert (found.name, dict(found.attributes), found.resource.attributes['service.name']) == (
    'one', {'a': 1}, 'unknown_service')
"""
    )
    said(tmp_path, sink, text)
    assert [span.name for span in sink.spans()] == ["before", "one"]


def test_our_provider_can_be_flushed_and_shut_down_like_the_sdks(
    sink: Sink, tmp_path: Path
) -> None:
    text = (
        OURS
        + """
from opentelemetry import trace
ours('one')
provider = trace.get_tracer_provider()
assert provider.force_flush()
print('flushed')
provider.shutdown()
ours('too late')
"""
    )
    said(tmp_path, sink, text, OTEL_BSP_SCHEDULE_DELAY="60000")
    assert [span.name for span in sink.spans()] == ["one"]


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_propagators_of_theirs_stay_and_are_used(first: str, sink: Sink, tmp_path: Path) -> None:
    theirs = """
from opentelemetry import propagate
from opentelemetry.propagators.textmap import TextMapPropagator
class Shouting(TextMapPropagator):
    fields = {'x-shout'}
    def inject(self, carrier, context=None, setter=None): setter.set(carrier, 'x-shout', 'yes')
    def extract(self, carrier, context=None, getter=None): return context
propagate.set_global_textmap(Shouting())
"""
    call = """
import httpx
seen = []
def answer(request):
    seen.append(request.headers)
    return httpx.Response(200)
httpx.Client(transport=httpx.MockTransport(answer)).get('http://shop/')
print(seen[0].get('x-shout'), seen[0].get('traceparent'))
assert type(propagate.get_global_textmap()) is Shouting
"""
    done = said(tmp_path, sink, (OURS + theirs if first == "ours" else theirs + OURS) + call)
    assert done.stdout == "yes None\n"
    assert len(sink.spans()) == 1


def test_propagators_chosen_by_the_environment_are_used(sink: Sink, tmp_path: Path) -> None:
    text = OURS + (
        "import httpx\n"
        "def answer(request):\n"
        "    print(request.headers.get('baggage'), request.headers.get('traceparent'))\n"
        "    return httpx.Response(200)\n"
        "from opentelemetry import baggage, context\n"
        "context.attach(baggage.set_baggage('tenant', '7'))\n"
        "httpx.Client(transport=httpx.MockTransport(answer)).get('http://shop/')\n"
    )
    done = said(tmp_path, sink, text, OTEL_PROPAGATORS="baggage")
    assert done.stdout == "tenant=7 None\n"
