"""``/live``: the collector's stream of events at the dashboard's own origin, for as long as a page is
open. It outlives the collector: ``away`` and ``here`` say whether it answers, and after a while it is
asked again, from the last event that was told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final

import httpx
from fastapi import FastAPI, Request
from starlette.responses import StreamingResponse

from strayline_dashboard.client import Client

AGAIN_S: Final = 1.0
SILENT_S: Final = 10.0
"""The collector tells its rates every two seconds; one that says nothing for so long is away."""
MAX_EVENT_BYTES: Final = 1024 * 1024


class Live:
    """Every open stream of this process; ``close`` ends them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Ends every stream: the server stops."""
        self._closed.set()

    async def follow(self, last_id: str | None) -> AsyncIterator[bytes]:
        """Events until the browser goes or the server stops."""
        headers = self._client.headers()  # of the request; a generator is resumed outside of it
        place = last_id
        yield b"retry: 1000\n\n"
        while not self._closed.is_set():
            said: str | None = None
            try:
                async with self._ask(headers, place) as answer:
                    if answer.status_code in (401, 503):
                        said = "locked" if answer.status_code == 401 else "full"
                    else:
                        answer.raise_for_status()
                        yield _event("here")
                        async for event in self._events(answer):
                            place = _id(event) or place
                            yield event
            except httpx.HTTPError:
                pass
            if self._closed.is_set():
                return
            yield _event(said or "away")
            await self._pause(AGAIN_S if said is None else 5 * AGAIN_S)

    def _ask(
        self, headers: dict[str, str], place: str | None
    ) -> AbstractAsyncContextManager[httpx.Response]:
        return self._client.later.stream(
            "GET",
            "/api/v1/stream",
            headers={**headers, **({"last-event-id": place} if place else {})},
            timeout=httpx.Timeout(SILENT_S, connect=2),
        )

    async def _events(self, answer: httpx.Response) -> AsyncIterator[bytes]:
        """Whole events, each with the empty line that ends it."""
        kept = b""
        pieces = aiter(answer.aiter_raw())
        closed = asyncio.ensure_future(self._closed.wait())
        piece = asyncio.ensure_future(_next(pieces))
        try:
            while len(kept) <= MAX_EVENT_BYTES:
                await asyncio.wait({piece, closed}, return_when=asyncio.FIRST_COMPLETED)
                if closed.done():
                    return
                if (read := piece.result()) is None:
                    return
                piece = asyncio.ensure_future(_next(pieces))
                *whole, kept = (kept + read).split(b"\n\n")
                for event in whole:
                    yield event + b"\n\n"
        finally:
            closed.cancel()
            piece.cancel()
            await asyncio.gather(piece, closed, return_exceptions=True)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), seconds)


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)


def _event(name: str) -> bytes:
    return f"event: {name}\ndata: {{}}\n\n".encode()


def _id(event: bytes) -> str | None:
    line = next((line for line in event.split(b"\n") if line.startswith(b"id: ")), None)
    return None if line is None else line[4:].decode("latin-1")


def add_live(server: FastAPI, live: Live) -> None:
    """Adds it to the dashboard's server; before Dash, whose page answers every path."""

    @server.get("/live")
    async def stream(request: Request) -> StreamingResponse:
        events = live.follow(request.headers.get("last-event-id"))
        return StreamingResponse(
            events,
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )
