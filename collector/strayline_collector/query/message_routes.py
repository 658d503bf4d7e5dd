"""Routes about queues and their messages: figures, order, ways in, journeys."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query
from starlette.responses import Response

from strayline_collector.errors import NotFound
from strayline_collector.query import wire
from strayline_collector.query.messages import read_messages
from strayline_collector.query.order import Arrangements, read_order
from strayline_collector.query.params import (
    Cursor,
    Few,
    Limit,
    Read,
    Text,
    Time,
    exchange_named,
    offset_of,
    paged,
)
from strayline_collector.query.queues import read_queues
from strayline_collector.query.routes import read_routes
from strayline_collector.query.times import time_range
from strayline_collector.store.ports import Session


def add_message_routes(app: FastAPI, read: Read) -> None:
    """Adds them to the API."""

    arrangements = Arrangements()

    @app.get("/api/v1/queues", response_model=wire.Queues, tags=["messages"])
    async def queues(
        start: Time = None, end: Time = None, limit: Limit = 100, cursor: Cursor = None
    ) -> Response:
        """Queues with their figures, busiest first."""
        range_ns, offset = time_range(start, end), offset_of(cursor)
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
        limit: Few = None,
        cursor: Cursor = None,
    ) -> Response:
        """The ways into one queue: by exchange and key where messages are meant to go and where they
        went, and how the nearest binding differs."""
        range_ns, offset = time_range(start, end), offset_of(cursor)
        return await read(
            lambda s: paged(
                read_routes(s, range_ns, name=name, broker=broker, vhost=vhost), limit, offset
            )
        )

    @app.get("/api/v1/messages", response_model=wire.Messages, tags=["messages"])
    async def messages(
        message_id: Text = None,
        queue: Text = None,
        exchange: Text = None,
        trace_id: Text = None,
        limit: Limit = 100,
        cursor: Annotated[
            str | None, Query(max_length=1024, description="next_cursor of the page before")
        ] = None,
    ) -> Response:
        """Messages, newest first."""
        filters = {
            "message_id": message_id,
            "queue": queue,
            "exchange": exchange and exchange_named(exchange),
            "trace_id": trace_id and trace_id.lower(),
            "id": None,
        }
        return await read(lambda s: read_messages(s, filters, limit=limit, cursor=cursor))

    @app.get("/api/v1/messages/{message}/journey", response_model=wire.Message, tags=["messages"])
    async def journey(message: str) -> Response:
        """Publish, deliveries and settlements of one message (``trace_id-producer_span_id``)."""

        def one(session: Session) -> wire.Message:
            filters = dict.fromkeys(("message_id", "queue", "exchange", "trace_id"))
            found = read_messages(session, {**filters, "id": message}, limit=1)["items"]
            if not found:
                raise NotFound(f"no message {message}")
            return found[0]

        return await read(one)
