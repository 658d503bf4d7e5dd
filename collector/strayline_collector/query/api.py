"""The HTTP API: its parts, in order, over one store; what becomes of errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, TypeVar

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import iterate_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse

from strayline.version import __version__
from strayline_collector.errors import (
    BadInput,
    GivenUp,
    NotFound,
    NotUnderstood,
    Overloaded,
    Stopped,
    StraylineError,
)
from strayline_collector.model import Control
from strayline_collector.query.columns import Columns
from strayline_collector.query.coverage import add_coverage_route
from strayline_collector.query.finding_routes import add_finding_routes
from strayline_collector.query.guard import Gate, Guard, problem
from strayline_collector.query.jaeger_routes import add_jaeger_routes
from strayline_collector.query.known import SHOWN, refuse_unknown
from strayline_collector.query.message_routes import add_message_routes
from strayline_collector.query.openapi import describe_fully
from strayline_collector.query.operation_routes import add_operation_routes
from strayline_collector.query.search_routes import add_search_routes
from strayline_collector.query.sql_routes import add_sql_routes
from strayline_collector.query.story_routes import add_story_routes
from strayline_collector.query.stream import Streams, add_stream_route
from strayline_collector.query.topology_routes import add_topology_routes
from strayline_collector.query.trace_routes import add_export_routes, add_trace_routes
from strayline_collector.store.ports import Session, Store

log = logging.getLogger(__name__)
T = TypeVar("T")
PART_BYTES: Final = 128 * 1024


def build_api(store: Store, control: Control, gate: Gate) -> FastAPI:
    """The API over one store. Answers JSON; errors are RFC 9457 problem documents."""
    app = FastAPI(
        title="Strayline",
        version=__version__,
        description="Traces, messages and findings of one collector.",
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(refuse_unknown)],
        # FastAPI's own spans know no suppressing; older versions keep what they do not know
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.add_middleware(Columns)
    app.add_middleware(Guard, gate=gate)
    _errors(app)

    async def read(query: Callable[[Session], T]) -> Response:
        def run() -> T:
            with store.read() as session:
                return query(session)

        try:
            told = await asyncio.to_thread(run)
        except GivenUp:
            told = await asyncio.to_thread(run)
        if isinstance(told, bytes):  # JSON already
            return Response(told, media_type="application/json")
        if isinstance(told, Iterator):  # and in pieces
            return StreamingResponse(_parts(told), media_type="application/json")
        return JSONResponse(told)

    add_operation_routes(app, control)
    add_stream_route(app, Streams(store, control))
    add_trace_routes(app, read)
    add_story_routes(app, read)
    add_export_routes(app, store)
    add_message_routes(app, read)
    add_finding_routes(app, store, read)
    add_coverage_route(app, read, control)
    add_topology_routes(app, store, read)
    add_sql_routes(app, store)
    add_search_routes(app, read)
    add_jaeger_routes(app, store)
    describe_fully(app)
    return app


async def _parts(pieces: Iterator[memoryview]) -> AsyncIterator[memoryview]:
    """What a socket takes at once: a server copies what it has to keep until the client has read."""
    async for piece in iterate_in_threadpool(pieces):
        for at in range(0, len(piece), PART_BYTES):
            yield piece[at : at + PART_BYTES]


def _errors(app: FastAPI) -> None:
    @app.exception_handler(StraylineError)
    async def ours(request: Request, error: StraylineError) -> Response:
        if isinstance(error, NotFound):
            return problem(404, "Not Found", str(error))
        if isinstance(error, NotUnderstood):
            where = {"position": error.position, "expected": error.expected}
            return problem(400, "Bad Request", str(error), members=where)
        if isinstance(error, BadInput):
            return problem(400, "Bad Request", str(error))
        if isinstance(error, Stopped):
            return problem(422, "Query stopped", str(error))
        if isinstance(error, Overloaded):
            return problem(503, "Overloaded", str(error), {"retry-after": "1"})
        log.error("%s %s failed: %s", request.method, request.url.path, error)
        return problem(
            500, "Internal Server Error", "the query failed; the collector's log says why"
        )

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        given = "" if first["type"] == "missing" else f"={str(first['input'])[:SHOWN]}"
        return problem(400, "Bad Request", f"{where}{given}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        asked = f"{request.method} {request.url.path}"
        if error.status_code == 404:
            asked += ": no such call; /openapi.json lists them"
        return problem(error.status_code, error.detail, asked, error.headers)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem(500, "Internal Server Error", "the collector's log says why")
