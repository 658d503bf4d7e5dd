"""Zipkin's v2 API for those who report: ``POST /api/v2/spans``, JSON, through the same intake."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Final

from google.rpc.code_pb2 import Code

from strayline_collector.access import CHALLENGE, OPEN, Access
from strayline_collector.errors import BadInput
from strayline_collector.formats.zipkin import zipkin_to_otlp
from strayline_collector.receive.body import JSON_WEIGHT, gunzip
from strayline_collector.receive.http_request import Misdirected, Request
from strayline_collector.receive.intake import Intake
from strayline_collector.receive.status import RETRY_AFTER_S, http_status

log = logging.getLogger(__name__)

SPANS: Final = "/api/v2/spans"
_PLAIN: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json"


class ZipkinHttp:
    """202 once the spans are durable, else a status and one line of text: the whole list is taken
    or refused, as Zipkin does. Keeps ``http_request.Handler``."""

    def __init__(self, intake: Intake, max_bytes: int, access: Access = OPEN) -> None:
        self._intake = intake
        self._max_bytes = max_bytes
        self._access = access

    def begin(self, request: Request) -> None:
        self._access.demand(request.header("authorization"))
        if request.path.rstrip("/") != SPANS:
            raise Misdirected(
                404, Code.NOT_FOUND, f"no such path: {request.path}; Zipkin v2 spans go to {SPANS}"
            )
        if request.method != "POST":
            raise Misdirected(
                405, Code.UNIMPLEMENTED, f"{request.method} {SPANS}: only POST is answered"
            )
        media = request.header("content-type").partition(";")[0].strip().lower()
        if media not in ("", _JSON):
            raise Misdirected(415, Code.INVALID_ARGUMENT, f"content-type {media}: send {_JSON}")
        if request.header("content-encoding").lower() not in ("", "identity", "none", "gzip"):
            encoding = request.header("content-encoding")
            raise BadInput(f"content-encoding {encoding}: send gzip or none")

    def take(self, request: Request) -> None:
        request.work(self._spans(request))

    def fail(self, request: Request, error: Exception) -> None:
        if isinstance(error, Misdirected):
            code, text = error.status, str(error)
        else:
            code = http_status(error)
            text = str(error) if code != 500 else "internal error"
            self._intake.refused("zipkin", error)
        if code == 500:
            log.error("a request failed", exc_info=error)
        extra: tuple[tuple[str, str], ...] = ()
        if code == 503:
            extra = (("retry-after", str(RETRY_AFTER_S)),)
        elif code == 405:
            extra = (("allow", "POST"),)
        elif code == 401:
            extra = (("www-authenticate", CHALLENGE),)
        request.reply(code, _PLAIN, (text + "\n").encode(), extra)

    async def _spans(self, request: Request) -> None:
        try:
            body, request.body = request.body, b""
            if request.header("content-encoding").lower() == "gzip":
                body = await asyncio.to_thread(gunzip, body, self._max_bytes, request.hold)
            request.hold(len(body) * JSON_WEIGHT)
            await self._intake.traces(await asyncio.to_thread(_converted, body), "zipkin")
        except Exception as error:  # noqa: BLE001  # every request is answered
            self.fail(request, error)
            return
        request.reply(202, _PLAIN, b"")


def _converted(body: bytes) -> bytes:
    try:
        told: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the body is not JSON: {error}") from None
    return zipkin_to_otlp(told).SerializeToString()
