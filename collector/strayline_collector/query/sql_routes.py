"""Routes for SQL from outside."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from strayline_collector.query import wire
from strayline_collector.query.documents import document_of
from strayline_collector.query.guard import problem
from strayline_collector.query.sql import (
    ARROW,
    Asking,
    as_arrow,
    as_json,
    describe,
    parse_request,
    wants_arrow,
)
from strayline_collector.store.ports import Store


def add_sql_routes(app: FastAPI, store: Store) -> None:
    """Adds them to the API."""

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
        statement, rows = parse_request(await document_of(request))
        answer = await asking.ask(statement, rows)
        if wants_arrow(request.headers):
            truncated = "true" if answer.truncated else "false"
            body = await asyncio.to_thread(as_arrow, answer)
            return Response(body, media_type=ARROW, headers={"strayline-truncated": truncated})
        return JSONResponse(await asyncio.to_thread(as_json, answer))
