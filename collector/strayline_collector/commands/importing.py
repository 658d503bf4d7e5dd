"""``strayline import``: files of traces to a running collector."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from strayline_collector.commands import UsageProblem
from strayline_collector.commands.client import Credentials, connect, unreachable
from strayline_collector.formats.files import STDIN, files_of, read

PATIENCE_S: Final = 300.0
"""How long a collector may go on saying that it is full."""

_REMEDIES: Final = {
    401: "; give --token",
    404: "; give HOST:PORT of what strayline up calls otlp/http",
}


def run(
    files: list[Path],
    otlp_http: str,
    credentials: Credentials = Credentials(),  # noqa: B008 - frozen
) -> None:
    """Sends every file's spans. Nothing is sent unless every file can be read: each is read twice,
    since it may be larger than memory."""
    files = files_of(files)
    for file in files:
        if file == STDIN or (file.exists() and not file.is_file()):
            raise UsageProblem(f"{file}: is no file that can be read twice; save it first")
        for _ in read(file):
            pass
    spans = refused = 0
    try:
        with connect(otlp_http, credentials, option="--otlp-http") as client:
            for file in files:
                for request in read(file):
                    refused += _send(client, otlp_http, request)
                    spans += _count(request)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise unreachable(
            "--otlp-http", otlp_http, error, "no collector takes OTLP there"
        ) from None
    sys.stdout.write(
        f"{spans - refused:,} spans from {len(files)} {'file' if len(files) == 1 else 'files'}\n"
    )
    if refused:
        sys.stderr.write(f"strayline: {refused:,} spans were refused: their ids are not valid\n")


def _send(client: httpx.Client, target: str, request: ExportTraceServiceRequest) -> int:
    """Sends one request, waiting while the collector is full. How many spans it refused."""
    body = request.SerializeToString()
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = client.post(
            "/v1/traces", content=body, headers={"content-type": "application/x-protobuf"}
        )
        if answer.status_code == 200:
            told = ExportTraceServiceResponse.FromString(answer.content)
            return told.partial_success.rejected_spans
        if answer.status_code not in (429, 503) or time.monotonic() > deadline:
            why = _REMEDIES.get(answer.status_code, "")
            raise UsageProblem(
                f"--otlp-http {target}: the collector answered HTTP {answer.status_code}{why}"
            )
        told_s = answer.headers.get("retry-after", "")
        time.sleep(min(int(told_s), 30) if told_s.isdigit() else 1)


def _count(request: ExportTraceServiceRequest) -> int:
    return sum(len(ss.spans) for rs in request.resource_spans for ss in rs.scope_spans)
