"""The HTTP API: thin routes over the query modules. The only place that knows status codes."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from strayline.version import __version__
from strayline_collector.detect.topology_document import put_topology
from strayline_collector.errors import (
    BadInput,
    GivenUp,
    NotFound,
    NotUnderstood,
    Overloaded,
    Stopped,
    StraylineError,
)
from strayline_collector.metrics import CONTENT_TYPE
from strayline_collector.model import Control
from strayline_collector.query import wire
from strayline_collector.query.coverage import add_coverage_route
from strayline_collector.query.export import MEDIA, Format, Wanted, export
from strayline_collector.query.findings import Messages, change_triage, read_finding, read_findings
from strayline_collector.query.graph import read_graph
from strayline_collector.query.graph_change import read_graph_beside
from strayline_collector.query.guard import Gate, Guard, problem
from strayline_collector.query.jaeger_routes import add_jaeger_routes
from strayline_collector.query.messages import read_messages
from strayline_collector.query.openapi import describe_fully
from strayline_collector.query.order import Arrangements, read_order
from strayline_collector.query.overview import read_operations, read_rates, read_services
from strayline_collector.query.params import Cursor, Limit, Picked_, Read, Text, Time
from strayline_collector.query.queues import read_queues
from strayline_collector.query.routes import read_routes
from strayline_collector.query.search import compile_search
from strayline_collector.query.search_routes import add_search_routes
from strayline_collector.query.spread import parse_picked
from strayline_collector.query.sql import ARROW, Asking, as_arrow, as_json, describe, parse_request
from strayline_collector.query.story_routes import add_story_routes
from strayline_collector.query.stream import Streams, add_stream_route
from strayline_collector.query.times import parse_time, time_range
from strayline_collector.query.topology import read_topology
from strayline_collector.query.trace import trace_text
from strayline_collector.query.traces import search_traces
from strayline_collector.store.ports import Session, Store

log = logging.getLogger(__name__)
T = TypeVar("T")

MAX_DOCUMENT_BYTES: Final = 32 * 1024 * 1024
LATEST_NOW_NS: Final = 7_258_118_400_000_000_000
"""2200-01-01: detectors add to it, and it is kept as the time of later judgements."""


def build_api(store: Store, control: Control, gate: Gate) -> FastAPI:
    """The API over one store. Answers JSON; errors are RFC 9457 problem documents."""
    app = FastAPI(
        title="Strayline",
        version=__version__,
        description="Traces, messages and findings of one collector.",
        docs_url=None,
        redoc_url=None,
        # FastAPI's own spans know no suppressing; older versions keep what they do not know
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
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
        return JSONResponse(told)

    _operation_routes(app, control)
    add_stream_route(app, Streams(store, control))
    _trace_routes(app, read)
    add_story_routes(app, read)
    _export_routes(app, store)
    _message_routes(app, read)
    _finding_routes(app, store, read)
    add_coverage_route(app, read, control)
    _topology_routes(app, store, read)
    _sql_routes(app, store)
    add_search_routes(app, read)
    add_jaeger_routes(app, store)
    describe_fully(app)
    return app


def _operation_routes(app: FastAPI, control: Control) -> None:
    @app.get("/health", tags=["operation"])
    async def health() -> dict[str, str]:
        """Alive."""
        return {"status": "alive"}

    @app.get("/ready", tags=["operation"])
    async def ready() -> Response:
        """200 once every door accepts; 503 with the reasons otherwise."""
        reasons = control.not_ready()
        if reasons:
            return problem(503, "Not ready", "; ".join(reasons))
        return JSONResponse({"status": "ready"})

    @app.get("/metrics", tags=["operation"], response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Figures of this collector in Prometheus' text format."""
        text = await asyncio.to_thread(control.metrics)
        return Response(text, media_type=CONTENT_TYPE)

    @app.get("/api/v1/status", response_model=wire.Status, tags=["operation"])
    async def status() -> Response:
        """Figures of this collector."""
        return JSONResponse(await asyncio.to_thread(control.status))

    @app.get("/api/v1/settings", response_model=wire.Configured, tags=["operation"])
    async def settings() -> Response:
        """How this collector was started."""
        return JSONResponse(control.configured())

    @app.post("/api/v1/detection/settle", response_model=wire.Settled, tags=["operation"])
    async def settle(now: Time = None) -> Response:
        """Judges everything received so far as complete; afterwards nothing is provisional."""
        now_ns = None if now is None else parse_time(now, "now")
        if now_ns is not None and now_ns > LATEST_NOW_NS:
            raise BadInput(f"now={now} is after the year 2200: give a time that events may have")
        return JSONResponse(await control.settle(now_ns))


def _trace_routes(app: FastAPI, read: Read) -> None:
    @app.get("/api/v1/services", tags=["traces"])
    async def services(start: Time = None, end: Time = None) -> Response:
        """Services seen, with counts."""
        range_ns = time_range(start, end)
        return await read(lambda s: {"items": read_services(s, range_ns), "next_cursor": None})

    @app.get("/api/v1/operations", tags=["traces"])
    async def operations(service: str, start: Time = None, end: Time = None) -> Response:
        """Span names of one service, with counts."""
        range_ns = time_range(start, end)
        return await read(
            lambda s: {"items": read_operations(s, range_ns, service), "next_cursor": None}
        )

    @app.get("/api/v1/rates", response_model=wire.Rates, tags=["traces"])
    async def rates(
        start: Time = None,
        end: Time = None,
        steps: Annotated[int, Query(ge=1, le=500)] = 60,
        service: Text = None,
    ) -> Response:
        """Spans, requests, errors and p95 in equal steps of the range."""
        range_ns = time_range(start, end)
        return await read(lambda s: read_rates(s, range_ns, steps=steps, service=service))

    @app.get("/api/v1/graph", response_model=wire.Graph, tags=["graph"])
    async def graph(
        start: Time = None,
        end: Time = None,
        level: Literal["service", "messaging"] = "service",
        compare_start: Time = None,
        compare_end: Time = None,
    ) -> Response:
        """Who calls whom; ``messaging`` shows exchanges and queues as nodes. With a range to
        compare with, ``compared`` tells what is new, gone, slower or faster than in that one."""
        range_ns = time_range(start, end)
        if compare_start is not None or compare_end is not None:
            names = ("compare_start", "compare_end")
            before_ns = time_range(compare_start, compare_end, names=names)
            return await read(lambda s: read_graph_beside(s, range_ns, before_ns, level))
        return await read(lambda s: read_graph(s, range_ns, level))

    @app.get("/api/v1/traces", response_model=wire.Traces, tags=["traces"])
    async def traces(
        q: Annotated[str | None, Query(max_length=4096)] = None,
        start: Time = None,
        end: Time = None,
        service: Text = None,
        sort: Annotated[str | None, Query(max_length=32)] = None,
        picked: Picked_ | None = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Response:
        """Traces that match the query line ``q``; with ``picked`` those alone that began between
        two times and lasted between two durations."""
        search = compile_search(q, range_ns=time_range(start, end), service=service, sort=sort)
        if picked is not None:
            parse_picked(picked).narrow(search)
        return await read(lambda s: search_traces(s, search, limit=limit, cursor=cursor))

    @app.get("/api/v1/traces/{trace_id}", response_model=wire.Trace, tags=["traces"])
    async def trace(
        trace_id: str, stitch: bool = False, clock: wire.ClockMode = "raw", infer: bool = False
    ) -> Response:
        """One trace; ``stitch`` adds what led to it and what followed, across links. ``clock``
        lists what causality says of the hosts' clocks; ``clock=corrected`` sets them by it, the
        root's unmoved, so that nothing is served or handled before it was sent. ``infer`` adds
        guesses of what caused spans that name no cause, each with its probability."""
        wanted = trace_id.lower()
        return await read(
            lambda s: trace_text(s, wanted, stitched=stitch, clock=clock, inferring=infer)
        )


def _export_routes(app: FastAPI, store: Store) -> None:
    answers: dict[int | str, dict[str, Any]] = {
        200: {
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "application/x-ndjson": {"schema": {"type": "string"}},
                "application/x-protobuf": {"schema": {"type": "string", "format": "binary"}},
            }
        }
    }

    @app.get(
        "/api/v1/export",
        tags=["traces"],
        response_class=StreamingResponse,
        responses=answers,
    )
    async def export_spans(
        trace_id: Annotated[str | None, Query(pattern="^[0-9a-fA-F]{32}$")] = None,
        since: Time = None,
        until: Time = None,
        format: Format = "json",  # noqa: A002 - its name outside
    ) -> Response:
        """What came in, each span once: OTLP JSON, JSON lines or protobuf, or Jaeger's UI JSON. One
        trace, else the spans that started in the range. Streamed; cut short if it fails midway."""
        range_ns = time_range(since, until, names=("since", "until"))
        wanted = Wanted(trace_id.lower() if trace_id is not None else None, **range_ns)
        pieces = await asyncio.to_thread(export, store, wanted, format)
        return StreamingResponse(pieces, media_type=MEDIA[format])


def _message_routes(app: FastAPI, read: Read) -> None:
    arrangements = Arrangements()

    @app.get("/api/v1/queues", response_model=wire.Queues, tags=["messages"])
    async def queues(
        start: Time = None, end: Time = None, limit: Limit = 100, cursor: Cursor = None
    ) -> Response:
        """Queues with their figures, busiest first."""
        range_ns, offset = time_range(start, end), _offset(cursor)
        return await read(lambda s: read_queues(s, range_ns, limit=limit, offset=offset))

    @app.get("/api/v1/queues/order", response_model=wire.QueueOrder, tags=["messages"])
    async def order(
        name: Annotated[str, Query(max_length=1024)],
        vhost: Text = None,
        broker: Text = None,
        basis: Literal["delivery", "completion"] = "delivery",
        start: Time = None,
        end: Time = None,
        limit: Annotated[int, Query(ge=1, le=20_000)] = 500,
        first: Annotated[int | None, Query(ge=0, description="position, from 0")] = None,
        last: Annotated[int | None, Query(ge=0, description="position, from 0")] = None,
    ) -> Response:
        """Sequence against arrival in one queue, with displacement; of the positions from ``first``
        to ``last``."""
        range_ns = time_range(start, end)
        place: dict[str, Any] = {"name": name, "broker": broker, "vhost": vhost, "basis": basis}
        return await read(
            lambda s: read_order(
                s, arrangements, range_ns, **place, limit=limit, first=first, last=last
            )
        )

    @app.get("/api/v1/queues/routes", response_model=wire.QueueRoutes, tags=["messages"])
    async def routes(
        name: Annotated[str, Query(max_length=1024)],
        vhost: Text = None,
        broker: Text = None,
        start: Time = None,
        end: Time = None,
    ) -> Response:
        """The ways into one queue: by exchange and key where messages are meant to go and where they
        went, and how the nearest binding differs."""
        range_ns = time_range(start, end)
        return await read(lambda s: read_routes(s, range_ns, name=name, broker=broker, vhost=vhost))

    @app.get("/api/v1/messages", response_model=wire.Messages, tags=["messages"])
    async def messages(
        message_id: Text = None,
        queue: Text = None,
        exchange: Text = None,
        trace_id: Text = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """Messages, newest first."""
        filters = {
            "message_id": message_id,
            "queue": queue,
            "exchange": exchange,
            "trace_id": trace_id,
            "id": None,
        }
        offset = _offset(cursor)
        return await read(lambda s: read_messages(s, filters, limit=limit, offset=offset))

    @app.get("/api/v1/messages/{message}/journey", response_model=wire.Message, tags=["messages"])
    async def journey(message: str) -> Response:
        """Publish, deliveries and settlements of one message (``trace_id-producer_span_id``)."""

        def one(session: Session) -> wire.Message:
            filters = dict.fromkeys(("message_id", "queue", "exchange", "trace_id"))
            found = read_messages(session, {**filters, "id": message}, limit=1, offset=0)["items"]
            if not found:
                raise NotFound(f"no message {message}")
            return found[0]

        return await read(one)


def _finding_routes(app: FastAPI, store: Store, read: Read) -> None:
    @app.get("/api/v1/findings", response_model=wire.Findings, tags=["findings"])
    async def findings(
        kind: Text = None,
        severity: Literal["info", "warning", "error"] | None = None,
        status: Literal["provisional", "open", "retracted"] | None = None,
        triage: Literal["new", "acknowledged", "muted"] | None = None,
        confidence: Literal["proven", "inferred"] | None = None,
        queue: Text = None,
        since: Time = None,
        messages: Messages | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """Findings, worst and newest first; without ``status`` the provisional and open ones. Each
        with up to 100 of its messages; ``messages`` asks for all or none."""
        filters = {
            "kind": kind,
            "severity": severity,
            "status": status,
            "triage": triage,
            "confidence": confidence,
            "queue": queue,
            "since_ns": None if since is None else parse_time(since, "since"),
        }
        offset = _offset(cursor)
        return await read(
            lambda s: read_findings(s, filters, limit=limit, offset=offset, messages=messages)
        )

    @app.get("/api/v1/findings/{finding_id}", response_model=wire.Finding, tags=["findings"])
    async def finding(finding_id: str, messages: Messages | None = None) -> Response:
        """One finding with its messages."""
        return await read(lambda s: read_finding(s, finding_id, messages=messages))

    @app.patch("/api/v1/findings/{finding_id}", response_model=wire.Finding, tags=["findings"])
    async def triage_finding(finding_id: str, request: Request) -> Response:
        """Acknowledges, mutes or annotates a finding."""
        change = await _document(request)

        def run() -> None:
            with store.write() as session:
                change_triage(session, finding_id, change, time.time_ns())

        await asyncio.to_thread(run)
        return await read(lambda s: read_finding(s, finding_id))


def _topology_routes(app: FastAPI, store: Store, read: Read) -> None:
    @app.get("/api/v1/topology", response_model=wire.Topology, tags=["topology"])
    async def topology(at: Time = None) -> Response:
        """Exchanges, queues and bindings with the times they held."""
        at_ns = None if at is None else parse_time(at, "at")
        return await read(lambda s: read_topology(s, at_ns))

    @app.put("/api/v1/topology", response_model=wire.Topology, tags=["topology"])
    async def put(
        request: Request,
        role: Literal["actual", "intended"] = "actual",
        complete: bool = False,
        valid_from: Time = None,
        vhost: Text = None,
        broker: Text = None,
    ) -> Response:
        """Takes a RabbitMQ definitions document; it replaces what its source said before."""
        document = await _document(request)
        await asyncio.to_thread(
            put_topology,
            store,
            document,
            role=role,
            complete=complete,
            valid_from_ns=None if valid_from is None else parse_time(valid_from, "valid_from"),
            vhost=vhost,
            broker=broker,
        )
        return await read(lambda s: read_topology(s, None))


def _sql_routes(app: FastAPI, store: Store) -> None:
    asking = Asking(store)

    @app.get("/api/v1/sql/schema", response_model=wire.SqlSchema, tags=["sql"])
    async def schema() -> Response:
        """What SQL can read, and its limits."""
        return JSONResponse(await asyncio.to_thread(describe, store))

    @app.post("/api/v1/sql", response_model=wire.SqlAnswer, tags=["sql"])
    async def sql(request: Request) -> Response:
        """One SELECT over the documented views (``{"sql": "SELECT …"}``), limited in time, rows and
        memory. An Arrow stream when that is accepted, with ``Strayline-Truncated`` as its header."""
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            return problem(415, "Unsupported Media Type", "send application/json")
        statement, rows = parse_request(await _document(request))
        answer = await asking.ask(statement, rows)
        if ARROW in request.headers.get("accept", ""):
            truncated = "true" if answer.truncated else "false"
            body = await asyncio.to_thread(as_arrow, answer)
            return Response(body, media_type=ARROW, headers={"strayline-truncated": truncated})
        return JSONResponse(await asyncio.to_thread(as_json, answer))


async def _document(request: Request) -> dict[str, Any]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_DOCUMENT_BYTES:
            raise BadInput(f"the document is larger than {MAX_DOCUMENT_BYTES:,} bytes")

    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadInput("the body must be a JSON object")
    return {str(name): value for name, value in document.items()}


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdigit() or int(cursor) > 10_000_000:
        raise BadInput(f"cursor={cursor}: give next_cursor of the page before, as it was")
    return int(cursor)


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
        return problem(400, "Bad Request", f"{where}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return problem(error.status_code, error.detail, f"{request.method} {request.url.path}")

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem(500, "Internal Server Error", "the collector's log says why")
