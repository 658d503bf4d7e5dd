"""Routes about services, their calls and their traces, and the way out for spans."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query
from starlette.responses import Response, StreamingResponse

from strayline_collector.query import wire
from strayline_collector.query.export import MEDIA, Format, Wanted, export
from strayline_collector.query.graph import read_graph
from strayline_collector.query.graph_change import read_graph_beside
from strayline_collector.query.overview import (
    read_operations,
    read_rates,
    read_services,
    read_services_seen,
)
from strayline_collector.query.params import (
    Cursor,
    Few,
    Limit,
    Picked_,
    Read,
    Text,
    Time,
    offset_of,
    paged,
)
from strayline_collector.query.search import compile_search
from strayline_collector.query.spread import parse_picked
from strayline_collector.query.times import time_range
from strayline_collector.query.trace_text import trace_text
from strayline_collector.query.traces import search_traces
from strayline_collector.store.ports import Store


def add_trace_routes(app: FastAPI, read: Read) -> None:
    """Adds them to the API."""

    @app.get("/api/v1/services", response_model=wire.Services, tags=["traces"])
    async def services(
        start: Time = None, end: Time = None, limit: Few = None, cursor: Cursor = None
    ) -> Response:
        """Services seen, with counts."""
        range_ns, offset = time_range(start, end), offset_of(cursor)
        return await read(lambda s: paged({"items": read_services(s, range_ns)}, limit, offset))

    @app.get("/api/v1/services/seen", response_model=wire.ServicesSeen, tags=["traces"])
    async def services_seen(limit: Limit = 200, cursor: Cursor = None) -> Response:
        """Names of all services by when each was first heard of, without counts: cheap, and in an
        order to which new ones are added at the end. A service whose spans name no process comes
        with the next roll-up."""
        offset = offset_of(cursor)
        most = offset + limit + 1
        return await read(
            lambda s: paged({"items": read_services_seen(s, limit=most)}, limit, offset)
        )

    @app.get("/api/v1/operations", response_model=wire.Operations, tags=["traces"])
    async def operations(
        service: str,
        start: Time = None,
        end: Time = None,
        limit: Few = None,
        cursor: Cursor = None,
    ) -> Response:
        """Span names of one service, with counts."""
        range_ns, offset = time_range(start, end), offset_of(cursor)
        return await read(
            lambda s: paged({"items": read_operations(s, range_ns, service)}, limit, offset)
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


def add_export_routes(app: FastAPI, store: Store) -> None:
    """Adds it to the API."""

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
