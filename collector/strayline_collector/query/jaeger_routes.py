"""Jaeger's calls (``/api/services``, ``/api/traces`` …) beside our own, answered and refused in
Jaeger's envelope: ``{"data", "total", "limit", "offset", "errors": [{"code", "msg"}]}``."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from strayline_collector.errors import (
    BadInput,
    GivenUp,
    NotFound,
    Overloaded,
    Stopped,
    StraylineError,
)
from strayline_collector.query import jaeger
from strayline_collector.query.jaeger import Answer
from strayline_collector.store.ports import Session, Store

log = logging.getLogger(__name__)

_HEX: Final = frozenset("0123456789abcdef")
_CODES: Final = ((NotFound, 404), (BadInput, 400), (Stopped, 422), (Overloaded, 503))


class _JaegerRoute(APIRoute):
    """Errors of its calls in Jaeger's envelope."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handler(request)
            except StraylineError as error:
                code = next((code for kind, code in _CODES if isinstance(error, kind)), 500)
                if code == 500:
                    log.error("%s failed: %s", request.url.path, error)
                message = str(error) if code != 500 else "the collector's log says why"
                body = _envelope(None, [{"code": code, "msg": message}])
                return Response(_json(body), code, media_type="application/json")

        return handled


def add_jaeger_routes(app: FastAPI, store: Store) -> None:
    """Adds them to the API, behind the same guard."""
    router = APIRouter(prefix="/api", tags=["jaeger"], route_class=_JaegerRoute)

    async def answer(request: Request, query: Callable[[Session], Answer]) -> Response:
        pretty = request.query_params.get("prettyPrint", "false") not in ("", "false")

        def run() -> bytes:
            with store.read() as session:
                found = query(session)
            body = _envelope(found.data, found.errors or None, found.total)
            return _json(body, indent=4 if pretty else None)

        try:
            body = await asyncio.to_thread(run)
        except GivenUp:
            body = await asyncio.to_thread(run)
        return Response(body, media_type="application/json")

    @router.get("/services")
    async def services(request: Request) -> Response:
        """Jaeger: names of all services."""
        return await answer(request, jaeger.services)

    # a service's name may hold slashes, and not every client escapes them
    @router.get("/services/{service:path}/operations")
    async def operation_names(request: Request, service: str) -> Response:
        """Jaeger: names of a service's operations."""
        return await answer(request, lambda s: jaeger.operation_names(s, service))

    @router.get("/operations")
    async def operations(request: Request) -> Response:
        """Jaeger: operations of a ``service``, with their kinds; of one ``spanKind`` or all."""
        service = _required(request, "service")
        kind = request.query_params.get("spanKind")
        return await answer(request, lambda s: jaeger.operations(s, service, kind))

    @router.get("/traces")
    async def traces(request: Request) -> Response:
        """Jaeger: whole traces by ``service``, ``operation``, ``tags`` (a JSON object) or ``tag``
        (``key:value``), ``start`` and ``end`` (unix microseconds), ``lookback``, ``minDuration``,
        ``maxDuration``, ``limit``; or by ``traceID``, repeatable."""
        told = request.query_params
        ids = [_trace_id(text) for text in told.getlist("traceID")[: jaeger.MAX_TRACES]]
        if ids:
            return await answer(request, lambda s: jaeger.read_traces(s, ids))
        query = _query(request)
        return await answer(request, lambda s: jaeger.find_traces(s, query))

    @router.get("/traces/{trace_id}")
    async def trace(request: Request, trace_id: str) -> Response:
        """Jaeger: one trace."""
        wanted = _trace_id(trace_id)
        return await answer(request, lambda s: jaeger.one_trace(s, wanted))

    @router.get("/dependencies")
    async def dependencies(request: Request) -> Response:
        """Jaeger: calls between services, ``lookback`` milliseconds before ``endTs`` (unix ms)."""
        range_ns = dict(jaeger.EVERYTHING)
        end_ms, lookback_ms = _integer(request, "endTs"), _integer(request, "lookback")
        if end_ms is not None:
            range_ns["end_ns"] = _clamped(end_ms * 1_000_000)
            if lookback_ms is not None:
                range_ns["start_ns"] = _clamped((end_ms - lookback_ms) * 1_000_000)
        service = request.query_params.get("service")
        return await answer(request, lambda s: jaeger.dependencies(s, range_ns, service))

    # no more than a refusal: the description leaves it out
    @router.get("/metrics/{name}", include_in_schema=False)
    async def metrics(name: str) -> Response:
        """Jaeger: figures of its monitor, of which there are none here: 501, by which its pages know it."""
        message = f"no metrics over time: {name} is Jaeger's monitor's; here GET /api/v1/graph has rates, errors and durations"
        body = _envelope(None, [{"code": 501, "msg": message}])
        return Response(_json(body), 501, media_type="application/json")

    app.include_router(router)


def _query(request: Request) -> jaeger.Query:
    told = request.query_params
    range_ns = dict(jaeger.EVERYTHING)
    start_us, end_us = _integer(request, "start"), _integer(request, "end")
    if end_us is not None:
        range_ns["end_ns"] = _clamped(end_us * 1000 + 999)
    if start_us is not None:
        range_ns["start_ns"] = _clamped(start_us * 1000)
    elif end_us is not None and told.get("lookback") not in (None, "", "custom"):
        back_ns = jaeger.parse_duration(told["lookback"], "lookback")
        range_ns["start_ns"] = _clamped(end_us * 1000 - back_ns)
    durations = {
        name: jaeger.parse_duration(told[name], name) if told.get(name) else None
        for name in ("minDuration", "maxDuration")
    }
    shortest, longest = durations["minDuration"], durations["maxDuration"]
    if shortest and longest and longest < shortest:
        raise BadInput("'maxDuration' should be greater than 'minDuration'")
    limit = _integer(request, "limit")
    if limit is not None and limit < 0:
        raise BadInput(f"unable to parse param 'limit': {limit} is negative")
    return jaeger.Query(
        service=_required(request, "service"),
        operation=told.get("operation") or None,
        tags=jaeger.parse_tags(told.getlist("tag"), filter(None, told.getlist("tags"))),
        range_ns=range_ns,
        min_ns=shortest,
        max_ns=longest,
        limit=limit or 100,
    )


def _required(request: Request, name: str) -> str:
    value = request.query_params.get(name)
    if not value:
        raise BadInput(f"parameter '{name}' is required")
    return value


def _integer(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if not text:
        return None
    if not text.isascii() or not text.removeprefix("-").isdigit() or len(text) > 19:
        raise BadInput(f"unable to parse param '{name}': {text[:40]!r} is no whole number")
    return int(text)


def _clamped(ns: int) -> int:
    return max(jaeger.EVERYTHING["start_ns"], min(ns, jaeger.EVERYTHING["end_ns"]))


def _trace_id(text: str) -> str:
    """Leading zeros may be left out, as Jaeger does."""
    lower = text.lower()
    if not 1 <= len(lower) <= 32 or not set(lower) <= _HEX:
        raise BadInput(f"cannot parse trace ID {text[:64]!r}: expected 1 to 32 hex digits")
    return lower.zfill(32)


def _envelope(data: Any, errors: Any, total: int = 0) -> dict[str, Any]:
    return {"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors}


def _json(document: Any, indent: int | None = None) -> bytes:
    separators = (",", ":") if indent is None else None
    return json.dumps(document, ensure_ascii=False, indent=indent, separators=separators).encode()
