"""Routes about the collector itself: whether it lives, its figures, its options."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import FastAPI
from starlette.responses import JSONResponse, PlainTextResponse, Response

from strayline_collector.errors import BadInput
from strayline_collector.metrics import CONTENT_TYPE
from strayline_collector.model import Control
from strayline_collector.query import wire
from strayline_collector.query.guard import problem
from strayline_collector.query.params import Time
from strayline_collector.query.times import parse_time

LATEST_NOW_NS: Final = 7_258_118_400_000_000_000
"""2200-01-01: detectors add to it, and it is kept as the time of later judgements."""


def add_operation_routes(app: FastAPI, control: Control) -> None:
    """Adds them to the API."""

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
