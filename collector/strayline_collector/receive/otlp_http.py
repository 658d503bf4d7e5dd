"""OTLP over HTTP: what the paths mean and how errors read (OTLP 1.11, section OTLP/HTTP)."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from strayline_collector.access import CHALLENGE, OPEN, Access
from strayline_collector.decode.otlp import from_json
from strayline_collector.errors import BadInput
from strayline_collector.receive.body import JSON_WEIGHT, gunzip
from strayline_collector.receive.http_request import Misdirected, Request
from strayline_collector.receive.intake import BIG_BYTES, Accepted, Intake
from strayline_collector.receive.status import RETRY_AFTER_S, as_json, http_status, rpc_status

log = logging.getLogger(__name__)

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
TRACES: Final = "/v1/traces"
NOT_KEPT: Final = "accepted, but Strayline keeps traces only"

_ALL_TAKEN: Final = (
    f"HTTP/1.1 200 OK\r\ncontent-type: {PROTOBUF}\r\ncontent-length: 0".encode(),
    b"",
)
"""A response message that says nothing is empty."""


class OtlpHttp:
    """``POST /v1/traces`` (kept), ``/v1/metrics`` and ``/v1/logs`` (counted), protobuf or JSON.
    Keeps ``http_request.Handler``."""

    def __init__(self, intake: Intake, max_bytes: int, access: Access = OPEN) -> None:
        self._intake = intake
        self._max_bytes = max_bytes
        self._access = access

    def begin(self, request: Request) -> None:
        self._access.demand(request.header("authorization"))
        path = request.path.rstrip("/")
        if path not in (TRACES, "/v1/metrics", "/v1/logs"):
            raise Misdirected(
                404, Code.NOT_FOUND, f"no such path: {request.path}; OTLP traces go to {TRACES}"
            )
        if request.method != "POST":
            raise Misdirected(
                405, Code.UNIMPLEMENTED, f"{request.method} {path}: only POST is answered"
            )
        media = _media(request)
        if media not in (PROTOBUF, JSON):
            raise Misdirected(
                415,
                Code.INVALID_ARGUMENT,
                f"content-type {media or '(none)'}: send {PROTOBUF} or {JSON}",
            )
        encoding = _encoding(request)
        if encoding not in ("", "gzip"):
            raise BadInput(f"content-encoding {encoding}: send gzip or none")

    def take(self, request: Request) -> None:
        plain = _encoding(request) == ""
        if request.path == TRACES and plain and _media(request) == PROTOBUF:
            body = request.body
            request.body = b""
            if len(body) < BIG_BYTES:

                def answer(result: Accepted | Exception) -> None:
                    self._reply(request, result)

                self._intake.submit("http", body, answer)
                return
            request.work(self._traces(request, body))
            return
        request.work(self._unpack(request))

    def fail(self, request: Request, error: Exception) -> None:
        if isinstance(error, Misdirected):
            code, status = error.status, Status(code=error.code, message=str(error))
        else:
            code, status = http_status(error), rpc_status(error)
            self._intake.refused("http", error)
        if code == 500:
            log.error("a request failed", exc_info=error)
        media = _media(request)
        # an error in no encoding of OTLP's is readable at least
        media = media if media in (PROTOBUF, JSON) else JSON
        body = as_json(status) if media == JSON else status.SerializeToString()
        extra: tuple[tuple[str, str], ...] = ()
        if code == 503:
            extra = (("retry-after", str(RETRY_AFTER_S)),)
        elif code == 405:
            extra = (("allow", "POST"),)
        elif code == 401:
            extra = (("www-authenticate", CHALLENGE),)
        request.reply(code, media, body, extra)

    async def _unpack(self, request: Request) -> None:
        """Decompresses, turns JSON into protobuf, and takes what came out."""
        try:
            body, request.body = request.body, b""
            if _encoding(request) == "gzip":
                body = await asyncio.to_thread(gunzip, body, self._max_bytes, request.hold)
            path = request.path.rstrip("/")
            if path != TRACES:
                self._count(request, path)
                return
            if _media(request) == JSON:
                request.hold(len(body) * JSON_WEIGHT)
                body = await asyncio.to_thread(from_json, body)
        except Exception as error:  # noqa: BLE001  # every request is answered
            self.fail(request, error)
            return
        await self._traces(request, body)

    async def _traces(self, request: Request, body: bytes) -> None:
        try:
            result: Accepted | Exception = await self._intake.traces(body, "http")
        except Exception as error:  # noqa: BLE001  # every request is answered
            result = error
        self._reply(request, result)

    def _reply(self, request: Request, result: Accepted | Exception) -> None:
        if isinstance(result, Exception):
            self.fail(request, result)
            return
        media = _media(request)
        if not result.rejected and media == PROTOBUF:
            request.reply_raw(*_ALL_TAKEN)
            return
        answer = ExportTraceServiceResponse()
        if result.rejected:
            answer.partial_success.rejected_spans = result.rejected
            answer.partial_success.error_message = result.message
        request.reply(200, media, _encoded(media, answer))

    def _count(self, request: Request, path: str) -> None:
        answer: ExportMetricsServiceResponse | ExportLogsServiceResponse
        if path == "/v1/metrics":
            self._intake.counters.metrics_requests += 1
            answer = ExportMetricsServiceResponse()
        else:
            self._intake.counters.logs_requests += 1
            answer = ExportLogsServiceResponse()
        answer.partial_success.error_message = NOT_KEPT
        media = _media(request)
        request.reply(200, media, _encoded(media, answer))


def _media(request: Request) -> str:
    return request.header("content-type").partition(";")[0].strip().lower()


def _encoding(request: Request) -> str:
    found = request.header("content-encoding").lower()
    return "" if found in ("identity", "none") else found


def _encoded(media: str, message: Message) -> bytes:
    if media == JSON:
        return MessageToJson(message, indent=None).encode()
    return message.SerializeToString()
