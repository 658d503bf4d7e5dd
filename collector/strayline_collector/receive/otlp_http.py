"""OTLP over HTTP: one small ASGI application (OTLP 1.11, section OTLP/HTTP)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from strayline_collector.access import CHALLENGE, OPEN, Access
from strayline_collector.errors import BadInput, TooLarge
from strayline_collector.receive.body import gunzip, json_to_protobuf
from strayline_collector.receive.intake import Intake
from strayline_collector.receive.status import RETRY_AFTER_S, as_json, http_status, rpc_status

log = logging.getLogger(__name__)

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
NOT_KEPT: Final = "accepted, but Strayline keeps traces only"

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class OtlpHttp:
    """``POST /v1/traces`` (kept), ``/v1/metrics`` and ``/v1/logs`` (counted), protobuf or JSON."""

    def __init__(self, intake: Intake, max_bytes: int, access: Access = OPEN) -> None:
        self._intake = intake
        self._access = access
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        media = headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            await self._answer(scope, receive, send, headers, media)
        except _ClientGone:
            return
        except Exception as error:
            if http_status(error) == 500:
                log.exception("a request failed")
            await _send_error(send, media, http_status(error), rpc_status(error))

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str], media: str
    ) -> None:
        self._access.demand(headers.get("authorization"))
        path = scope["path"].rstrip("/")
        if path not in ("/v1/traces", "/v1/metrics", "/v1/logs"):
            message = f"no such path: {scope['path']}; OTLP traces go to /v1/traces"
            return await _send_error(send, media, 404, Status(code=5, message=message))
        if scope["method"] != "POST":
            message = f"{scope['method']} {path}: only POST is answered"
            return await _send_error(send, media, 405, Status(code=12, message=message), allow=True)
        if media not in (PROTOBUF, JSON):
            message = f"content-type {media or '(none)'}: send {PROTOBUF} or {JSON}"
            return await _send_error(send, media, 415, Status(code=3, message=message))
        body = await self._body(receive, headers)
        return await _send_message(send, media, 200, await self._take(path, media, body))

    async def _take(self, path: str, media: str, body: bytes) -> Message:
        if path == "/v1/metrics":
            self._intake.counters.metrics_requests += 1
            answer = ExportMetricsServiceResponse()
            answer.partial_success.error_message = NOT_KEPT
            return answer
        if path == "/v1/logs":
            self._intake.counters.logs_requests += 1
            answer = ExportLogsServiceResponse()
            answer.partial_success.error_message = NOT_KEPT
            return answer
        if media == JSON:
            body = await asyncio.to_thread(json_to_protobuf, body)
        result = await self._intake.traces(body)
        answer = ExportTraceServiceResponse()
        if result.rejected:
            answer.partial_success.rejected_spans = result.rejected
            answer.partial_success.error_message = result.message
        return answer

    async def _body(self, receive: Receive, headers: Mapping[str, str]) -> bytes:
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "none", "", "gzip"):
            raise BadInput(f"content-encoding {encoding}: send gzip or none")
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise _ClientGone
            part = event.get("body", b"")
            size += len(part)
            if size > self._max_bytes:
                raise TooLarge(f"the body is larger than {self._max_bytes:,} bytes")
            parts.append(part)
            more = event.get("more_body", False)
        body = b"".join(parts)
        if encoding == "gzip":
            return await asyncio.to_thread(gunzip, body, self._max_bytes)
        return body


class _ClientGone(Exception):
    """The client closed the connection before its body was whole: nothing to answer."""


async def _send_message(send: Send, media: str, status: int, message: Message) -> None:
    body = (
        MessageToJson(message, indent=None).encode()
        if media == JSON
        else message.SerializeToString()
    )
    await _send(send, media, status, body, [])


async def _send_error(
    send: Send, media: str, code: int, status: Status, *, allow: bool = False
) -> None:
    media = media if media in (PROTOBUF, JSON) else JSON
    body = as_json(status) if media == JSON else status.SerializeToString()
    extra: list[tuple[bytes, bytes]] = []
    if code == 503:
        extra.append((b"retry-after", str(RETRY_AFTER_S).encode()))
    if code == 401:
        extra.append((b"www-authenticate", CHALLENGE.encode()))
    if allow:
        extra.append((b"allow", b"POST"))
    await _send(send, media, code, body, extra)


async def _send(
    send: Send, media: str, status: int, body: bytes, extra: list[tuple[bytes, bytes]]
) -> None:
    headers = [
        (b"content-type", media.encode("latin-1")),
        (b"content-length", str(len(body)).encode()),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
