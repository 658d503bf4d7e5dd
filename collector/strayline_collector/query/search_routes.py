"""Routes that help to write a query line."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query
from starlette.responses import Response

from strayline_collector.query import wire
from strayline_collector.query.complete import complete
from strayline_collector.query.params import Read


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
