"""Spans of this process, caught in memory by an application's own provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import strayline
from strayline.conventions import CENSUS_SPAN

Spans = Callable[..., list[ReadableSpan]]
_exporter = InMemorySpanExporter()
_provider = TracerProvider(shutdown_on_exit=False)
_provider.add_span_processor(SimpleSpanProcessor(_exporter))


@pytest.fixture(scope="session", autouse=True)
def provider() -> None:
    """The provider of the test process; set once, as OpenTelemetry allows."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(_provider)


@pytest.fixture
def spans() -> Iterator[Spans]:
    """Instruments everything, and gives the spans that ended so far, by name or attribute."""
    _exporter.clear()
    strayline.instrument()

    def ended(name: str | None = None, **attributes: Any) -> list[ReadableSpan]:
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        return [
            span
            for span in _exporter.get_finished_spans()
            # the census speaks every ten seconds, whatever the test
            if (span.name != CENSUS_SPAN if name is None else span.name == name)
            and all((span.attributes or {}).get(key) == value for key, value in wanted.items())
        ]

    yield ended
    strayline.uninstrument()
