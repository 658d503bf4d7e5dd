"""Routes about what brokers have: read as history, told as documents."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import FastAPI, Request
from starlette.responses import Response

from strayline_collector.detect.topology_document import put_topology
from strayline_collector.query import wire
from strayline_collector.query.documents import document_of
from strayline_collector.query.params import Read, Text, Time
from strayline_collector.query.times import parse_time
from strayline_collector.query.topology import read_topology
from strayline_collector.store.ports import Store


def add_topology_routes(app: FastAPI, store: Store, read: Read) -> None:
    """Adds them to the API."""

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
        document = await document_of(request)
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
