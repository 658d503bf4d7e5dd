"""Routes about whole stories: where the time of many went."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query
from starlette.responses import Response

from strayline_collector.query import wire
from strayline_collector.query.params import Read, Text, Time
from strayline_collector.query.paths import MAX_STORIES, read_critical_path
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
