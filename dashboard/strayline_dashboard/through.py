"""The collector's API at the dashboard's own origin: what renderers ask for beside a page's data.

``/data/api/v1/…`` always answers 200 with ``{"status": …, "body": …}``, since a browser writes every
other status to its console; a status of 0 means that nobody answered. ``/api/v1/…`` passes the
answer on as it is, for downloads. Everything can be read; of what changes or takes a body, SQL and
what a person thinks of a finding.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Final

import httpx
from fastapi import FastAPI, Request
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response, StreamingResponse

from strayline_dashboard.client import Client

MAX_BODY_BYTES: Final = 256 * 1024
_WRITES: Final = re.compile(r"POST sql|PATCH findings/fnd_[0-9a-f]{16}")
_PASSED_ON: Final = ("content-type", "content-disposition", "content-length")


def add_api(server: FastAPI, client: Client) -> None:
    """Adds both to the dashboard's server; before Dash, whose page answers every path."""

    @server.api_route("/data/api/v1/{path:path}", methods=["GET", "POST", "PATCH"])
    async def data(path: str, request: Request) -> Response:
        refused = await _refused(request, path)
        if refused is not None:
            return _envelope(403, json.dumps({"detail": refused}).encode())
        try:
            answer = await client.later.send(await _onward(client, request, path))
        except httpx.HTTPError as error:
            return _envelope(0, json.dumps({"detail": str(client.away(error))}).encode())
        if answer.status_code == 401:
            client.locked = True
        return _envelope(answer.status_code, answer.content)

    @server.get("/api/v1/{path:path}")
    async def plain(path: str, request: Request) -> Response:
        if path == "stream":
            return JSONResponse({"detail": "the stream is at /live"}, status_code=404)
        try:
            answer = await client.later.send(await _onward(client, request, path), stream=True)
        except httpx.HTTPError as error:
            return JSONResponse({"detail": str(client.away(error))}, status_code=502)
        return StreamingResponse(
            _pieces(answer),
            answer.status_code,
            {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers},
            background=BackgroundTask(answer.aclose),
        )


async def _pieces(answer: httpx.Response) -> AsyncIterator[bytes]:
    async for piece in answer.aiter_raw():
        yield piece


async def _refused(request: Request, path: str) -> str | None:
    if request.method == "GET":
        return "the stream is at /live" if path == "stream" else None
    if not _WRITES.fullmatch(f"{request.method} {path}"):
        return f"{request.method} {path}: the dashboard only asks SQL and changes findings"
    if len(await request.body()) > MAX_BODY_BYTES:
        return f"at most {MAX_BODY_BYTES:,} bytes"
    return None


async def _onward(client: Client, request: Request, path: str) -> httpx.Request:
    headers = {**client.headers(), "accept-encoding": "identity"}
    body = None
    if request.method != "GET":
        body = await request.body()
        headers["content-type"] = "application/json"
    return client.later.build_request(
        request.method,
        f"/api/v1/{path}",
        params=list(request.query_params.multi_items()),
        content=body,
        headers=headers,
    )


def _envelope(status: int, body: bytes) -> Response:
    text = body if body[:1] in (b"{", b"[") else json.dumps(body.decode("utf-8", "replace")).encode()  # fmt: skip
    return Response(
        b'{"status":%d,"body":%s}' % (status, text),
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )
