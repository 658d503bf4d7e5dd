"""Routes that help to write a query line, and to see what it found."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query
from starlette.responses import Response

from strayline_collector.query import wire
from strayline_collector.query.complete import complete
from strayline_collector.query.params import Picked_, Query_, Read, Text, Time
from strayline_collector.query.search import compile_search
from strayline_collector.query.spread import distinguish, parse_picked, read_spread
from strayline_collector.query.times import time_range


def add_search_routes(app: FastAPI, read: Read) -> None:
    """Adds them to the API."""

    @app.get("/api/v1/search/complete", response_model=wire.Completions, tags=["traces"])
    async def completions(
        q: Annotated[str, Query(max_length=4096)] = "",
        position: Annotated[
            int | None,
            Query(description="characters of q before the cursor (default: all of them)"),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> Response:
        """What may stand at the cursor of a query line: fields, attributes, ``has:`` words, values
        of the newest spans."""
        at = len(q) if position is None else position
        return await read(lambda s: complete(s, q, at, limit))

    @app.get("/api/v1/search/spread", response_model=wire.Spread, tags=["traces"])
    async def spread(
        q: Query_ = None,
        start: Time = None,
        end: Time = None,
        service: Text = None,
        columns: Annotated[int, Query(ge=1, le=240)] = 80,
        rows: Annotated[int, Query(ge=1, le=60)] = 24,
    ) -> Response:
        """Where the traces that match lie in time and duration: counts for a heatmap, of the
        newest 5,000."""
        search = compile_search(q, range_ns=time_range(start, end), service=service, sort=None)
        return await read(lambda s: read_spread(s, search, columns=columns, rows=rows))

    @app.get("/api/v1/search/distinguish", response_model=wire.Distinction, tags=["traces"])
    async def distinguished(
        picked: Picked_,
        q: Query_ = None,
        start: Time = None,
        end: Time = None,
        service: Text = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 40,
    ) -> Response:
        """What tells a corner of the spread from the rest: values of attributes that more, or
        fewer, of its traces have."""
        search = compile_search(q, range_ns=time_range(start, end), service=service, sort=None)
        corner = parse_picked(picked)
        return await read(lambda s: distinguish(s, search, corner, limit=limit))
