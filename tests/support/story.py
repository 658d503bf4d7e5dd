"""Stories of several services as OTLP requests, times in milliseconds after a fixed moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

START_NS: Final = 1_795_000_000_000_000_000
INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = range(1, 6)


@dataclass(frozen=True, slots=True)
class Told:
    """One span; ``name`` numbers it, so its parent and links are named by names. A link or parent
    ``trace:name`` is in another trace, or nowhere."""

    name: str
    service: str
    kind: int
    start_ms: float
    end_ms: float
    parent: str | None = None
    trace: str = "a"
    links: tuple[str, ...] = ()
    failed: bool = False
    attributes: Mapping[str, str | int | tuple[str, ...]] = field(
        default_factory=dict[str, str | int]
    )


def trace_id(trace: str, series: int = 0) -> str:
    """32 hex of a trace's short name; ``series`` keeps stories of one test apart."""
    return f"{series:016x}{int.from_bytes(trace.encode(), 'big'):016x}"


def span_id(name: str) -> str:
    """16 hex of a span's name, of at most eight letters."""
    return f"{int.from_bytes(name.encode(), 'big'):016x}"


def otlp(spans: Iterable[Told], *, series: int = 0, hosts: bool = True) -> bytes:
    """The request that says them; ``hosts``: each service runs on a host of its name."""
    request = ExportTraceServiceRequest()
    for told in spans:
        group = request.resource_spans.add()
        group.resource.attributes.add(key="service.name").value.string_value = told.service
        if hosts:
            group.resource.attributes.add(key="host.name").value.string_value = told.service
        span = group.scope_spans.add().spans.add(
            name=told.name,
            kind=told.kind,
            trace_id=bytes.fromhex(trace_id(told.trace, series)),
            span_id=bytes.fromhex(span_id(told.name)),
            start_time_unix_nano=START_NS + round(told.start_ms * 1e6),
            end_time_unix_nano=START_NS + round(told.end_ms * 1e6),
        )
        if told.parent is not None:
            span.parent_span_id = bytes.fromhex(span_id(told.parent))
        if told.failed:
            span.status.code = 2
        for link in told.links:
            trace, _, name = link.rpartition(":")
            span.links.add(
                trace_id=bytes.fromhex(trace_id(trace or told.trace, series)),
                span_id=bytes.fromhex(span_id(name)),
            )
        for key, value in told.attributes.items():
            item = span.attributes.add(key=key).value
            if isinstance(value, int):
                item.int_value = value
            elif isinstance(value, tuple):
                for text in value:
                    item.array_value.values.add(string_value=text)
            else:
                item.string_value = value
    return request.SerializeToString()


def send(address: str, spans: Sequence[Told], *, series: int = 0, hosts: bool = True) -> None:
    """POST to a collector's OTLP/HTTP door."""
    _post(address, otlp(spans, series=series, hosts=hosts))


def send_all(address: str, stories: Mapping[int, Sequence[Told]]) -> None:
    """Several stories, each by its series, in one request: protobuf adds up what is joined."""
    _post(address, b"".join(otlp(spans, series=series) for series, spans in stories.items()))


def _post(address: str, body: bytes) -> None:
    answer = httpx.post(
        f"http://{address}/v1/traces",
        content=body,
        headers={"content-type": "application/x-protobuf"},
    )
    assert answer.status_code == 200, answer.text
