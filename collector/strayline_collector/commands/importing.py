"""``strayline import``: OTLP files to a running collector."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline_collector.commands import UsageProblem
from strayline_collector.commands.client import Credentials, connect
from strayline_collector.decode.python import parse
from strayline_collector.errors import BadInput
from strayline_collector.receive.body import json_to_protobuf

REQUEST_SPANS: Final = 5_000
"""Spans in one request: well below the collector's 64 MiB whatever their size."""


def run(
    files: list[Path],
    otlp_http: str,
    credentials: Credentials = Credentials(),  # noqa: B008 - frozen
) -> None:
    """Sends every file's spans. Nothing is sent unless every file can be read."""
    requests = [request for file in files for request in read(file)]
    spans = 0
    try:
        with connect(otlp_http, credentials, option="--otlp-http") as client:
            for request in requests:
                answer = client.post(
                    "/v1/traces",
                    content=request.SerializeToString(),
                    headers={"content-type": "application/x-protobuf"},
                )
                if answer.status_code != 200:
                    why = "; give --token" if answer.status_code == 401 else ""
                    raise UsageProblem(
                        f"--otlp-http {otlp_http}: the collector answered HTTP {answer.status_code}{why}"
                    )
                spans += _count(request)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UsageProblem(
            f"--otlp-http {otlp_http}: no collector takes OTLP there ({error or type(error).__name__}); start one with: strayline up"
        ) from None
    sys.stdout.write(
        f"{spans:,} spans from {len(files)} {'file' if len(files) == 1 else 'files'}\n"
    )


def read(file: Path) -> Iterator[ExportTraceServiceRequest]:
    """The requests in one file. Raises ``UsageProblem`` naming file and line."""
    name = file.name.removesuffix(".gz")
    try:
        data = file.read_bytes()
        if file.name.endswith(".gz"):
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageProblem(f"{file}: cannot be read: {error}") from None
    if name.endswith(".pb"):
        yield from _split(_checked(file, None, data))
    elif name.endswith(".jsonl"):
        for number, line in enumerate(data.splitlines(), start=1):
            if line.strip():
                yield from _split(_checked(file, number, _json(file, number, line)))
    elif name.endswith(".json"):
        yield from _split(_checked(file, None, _json(file, None, data)))
    else:
        raise UsageProblem(f"{file}: expected .json, .jsonl or .pb, each also with .gz")


def _json(file: Path, line: int | None, data: bytes) -> bytes:
    try:
        return json_to_protobuf(data)
    except BadInput as error:
        raise UsageProblem(f"{_place(file, line)}: {error}") from None


def _checked(file: Path, line: int | None, data: bytes) -> ExportTraceServiceRequest:
    try:
        return parse(data)
    except BadInput as error:
        raise UsageProblem(f"{_place(file, line)}: {error}") from None


def _place(file: Path, line: int | None) -> str:
    return str(file) if line is None else f"{file}:{line}"


def _split(request: ExportTraceServiceRequest) -> Iterator[ExportTraceServiceRequest]:
    """One request per resource where a file holds many spans."""
    if _count(request) <= REQUEST_SPANS:
        yield request
        return
    for resource_spans in request.resource_spans:
        yield ExportTraceServiceRequest(resource_spans=[resource_spans])


def _count(request: ExportTraceServiceRequest) -> int:
    return sum(len(ss.spans) for rs in request.resource_spans for ss in rs.scope_spans)
