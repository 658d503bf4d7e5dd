"""Routes about whole stories: where the time of many went, and what differs between two."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query
from starlette.responses import Response

from strayline_collector.query import wire
from strayline_collector.query.compare import compare_ranges, compare_traces
from strayline_collector.query.latency import read_latency
from strayline_collector.query.outline import find_spans, outline_text, read_span
from strayline_collector.query.params import Cursor, Few, Limit, Read, Text, Time, offset_of, paged
from strayline_collector.query.paths import MAX_STORIES, read_critical_path
from strayline_collector.query.story_pages import read_path_segments, read_story_spans
from strayline_collector.query.times import time_range


def add_story_routes(app: FastAPI, read: Read) -> None:
    """Adds them to the API."""

    @app.get("/api/v1/critical_path", response_model=wire.CriticalPath, tags=["traces"])
    async def critical_path(
        service: Annotated[str, Query(max_length=1024)],
        operation: Text = None,
        start: Time = None,
        end: Time = None,
        through: wire.Through = "story",
        limit: Annotated[int, Query(ge=1, le=MAX_STORIES)] = 100,
    ) -> Response:
        """Where the time of an operation went: the critical paths of its newest ``limit`` calls,
        added up by span name. ``through=story`` goes on to the end of all that followed, consumers
        in other traces too; ``response`` ends with the operation's own span."""
        range_ns = time_range(start, end)
        return await read(
            lambda s: read_critical_path(
                s, range_ns, service=service, operation=operation, through=through, limit=limit
            )
        )

    @app.get("/api/v1/traces/{trace_id}/outline", response_model=wire.Outline, tags=["traces"])
    async def outline(
        trace_id: str, stitch: bool = False, clock: wire.ClockMode = "raw", infer: bool = False
    ) -> Response:
        """One trace as columns for a drawing, without attributes: a tenth of the bytes."""
        wanted = trace_id.lower()
        return await read(
            lambda s: outline_text(s, wanted, stitched=stitch, clock=clock, inferring=infer)
        )

    @app.get(
        "/api/v1/traces/{trace_id}/spans/{span_id}", response_model=wire.SpansSaid, tags=["traces"]
    )
    async def span(trace_id: str, span_id: str) -> Response:
        """What one span says: attributes, resource, events, links."""
        return await read(lambda s: read_span(s, trace_id.lower(), span_id.lower()))

    @app.get("/api/v1/traces/{trace_id}/spans", response_model=wire.StorySpans, tags=["traces"])
    async def story_spans(
        trace_id: str, stitch: bool = False, limit: Limit = 200, cursor: Cursor = None
    ) -> Response:
        """One trace's spans a page at a time, in drawing order and without attributes."""
        wanted, offset = trace_id.lower(), offset_of(cursor)
        return await read(
            lambda s: read_story_spans(s, wanted, stitched=stitch, limit=limit, offset=offset)
        )

    @app.get(
        "/api/v1/traces/{trace_id}/critical_path", response_model=wire.PathSegments, tags=["traces"]
    )
    async def path_of_one(
        trace_id: str, stitch: bool = False, limit: Limit = 200, cursor: Cursor = None
    ) -> Response:
        """What the end of one trace waited for, a page at a time, with the names of the spans."""
        wanted, offset = trace_id.lower(), offset_of(cursor)
        return await read(
            lambda s: read_path_segments(s, wanted, stitched=stitch, limit=limit, offset=offset)
        )

    @app.get("/api/v1/traces/{trace_id}/find", response_model=wire.FoundSpans, tags=["traces"])
    async def find(
        trace_id: str,
        text: Annotated[str, Query(min_length=1, max_length=256)],
        also: Annotated[
            list[str] | None, Query(max_length=200, description="ids of linked traces")
        ] = None,
    ) -> Response:
        """Spans of a trace, and of those linked with it, that say ``text`` in their name,
        attributes, events, status or resource, whatever its case."""
        wanted = [name.lower() for name in (trace_id, *(also or ()))]
        return await read(lambda s: find_spans(s, wanted, text))

    @app.get("/api/v1/traces/{a}/compare/{b}", response_model=wire.TraceComparison, tags=["traces"])
    async def compare(a: str, b: str, stitch: bool = True) -> Response:
        """Two traces beside one another: calls added, missing and reordered in ``b``, durations,
        counts and messages."""
        return await read(lambda s: compare_traces(s, a.lower(), b.lower(), stitched=stitch))

    @app.get("/api/v1/compare", response_model=wire.RangeComparison, tags=["graph"])
    async def ranges(
        start_a: Time = None,
        end_a: Time = None,
        start_b: Time = None,
        end_b: Time = None,
        service: Text = None,
    ) -> Response:
        """Two ranges of time beside one another: what is new, gone, slower or faster among
        operations and the graph's edges."""
        a = time_range(start_a, end_a, names=("start_a", "end_a"))
        b = time_range(start_b, end_b, names=("start_b", "end_b"))
        return await read(lambda s: compare_ranges(s, a, b, service=service))

    @app.get("/api/v1/latency", response_model=wire.Latencies, tags=["graph"])
    async def latency(
        client: Text = None,
        server: Text = None,
        start: Time = None,
        end: Time = None,
        limit: Few = None,
        cursor: Cursor = None,
    ) -> Response:
        """Where the time of HTTP and gRPC calls sits, by pair of services: in the server, in
        network and queueing, or unexplained because the server sent no span."""
        range_ns, offset = time_range(start, end), offset_of(cursor)
        return await read(
            lambda s: paged(read_latency(s, range_ns, client=client, server=server), limit, offset)
        )
