"""Routes about findings, and what a person says of them."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Literal

from fastapi import FastAPI, Query, Request
from starlette.responses import Response

from strayline_collector.query import wire
from strayline_collector.query.documents import document_of
from strayline_collector.query.findings import Messages, change_triage, read_finding, read_findings
from strayline_collector.query.params import Cursor, Limit, Read, Text, offset_of
from strayline_collector.query.times import parse_time
from strayline_collector.store.ports import Store


def add_finding_routes(app: FastAPI, store: Store, read: Read) -> None:
    """Adds them to the API."""

    @app.get("/api/v1/findings", response_model=wire.Findings, tags=["findings"])
    async def findings(
        kind: wire.FindingKind | None = None,
        severity: Literal["info", "warning", "error"] | None = None,
        status: Literal["provisional", "open", "retracted"] | None = None,
        triage: Literal["new", "acknowledged", "muted"] | None = None,
        confidence: Literal["proven", "inferred"] | None = None,
        queue: Text = None,
        since: Annotated[
            str | None,
            Query(
                max_length=64,
                description="last seen then or later: RFC 3339 or unix nanoseconds, in event time",
            ),
        ] = None,
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
        offset = offset_of(cursor)
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
        change = await document_of(request)

        def run() -> None:
            with store.write() as session:
                change_triage(session, finding_id, change, time.time_ns())

        await asyncio.to_thread(run)
        return await read(lambda s: read_finding(s, finding_id))
