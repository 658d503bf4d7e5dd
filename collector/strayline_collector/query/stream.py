"""What happens, as it happens: server-sent events of findings and rates (WHATWG HTML, section 9.2).

A stream is a place in the sequence of changes, ordered by time of change and id. Its place is the
id of each event, so that ``Last-Event-ID`` goes on where a connection broke, whatever was missed.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from fastapi import FastAPI, Header, Request
from starlette.responses import Response, StreamingResponse

from strayline_collector.errors import BadInput
from strayline_collector.model import Control
from strayline_collector.query.findings import told_briefly
from strayline_collector.query.guard import problem
from strayline_collector.query.wire import FindingChange, LiveRates
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session, Store

MAX_STREAMS: Final = 32
MAX_EVENTS: Final = 500
"""Changes told at once; the rest follow at the next look."""
LOOK_S: Final = 1.0
RATES_S: Final = 2.0
QUIET_S: Final = 15.0
"""A comment after so long without an event keeps proxies from closing the connection."""
T = TypeVar("T")
_ID: Final = re.compile(r"(\d{1,19})\.(fnd_[0-9a-f]{16})?")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Everything up to the change of ``id`` at ``updated_ns`` has been told."""

    updated_ns: int
    id: str = ""

    def __str__(self) -> str:
        return f"{self.updated_ns}.{self.id}"

    @classmethod
    def read(cls, text: str) -> Place:
        """Raises ``BadInput`` for what no event bore."""
        match = _ID.fullmatch(text)
        if match is None:
            raise BadInput(f"Last-Event-ID {text[:64]}: expected the id of an event of this stream")
        return cls(int(match[1]), match[2] or "")


def newest(session: Session) -> tuple[Place, frozenset[str]]:
    """Where the changes so far end, and the findings that stand."""
    rows = session.rows("SELECT id, status, updated_ns FROM findings")
    standing = frozenset(row["id"] for row in rows if row["status"] != "retracted")
    return max((Place(r["updated_ns"], r["id"]) for r in rows), default=Place(0)), standing


def changes(session: Session, after: Place) -> list[FindingChange]:
    """The findings that changed since, each as it is now."""
    rows = session.rows(
        load("query/changed_findings"),
        {"updated_ns": after.updated_ns, "id": after.id, "limit": MAX_EVENTS},
    )
    return [told_briefly(row) for row in rows]


def event(name: str, data: object, place: Place | None = None) -> bytes:
    """One event of the stream."""
    identity = "" if place is None else f"id: {place}\n"
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"{identity}event: {name}\ndata: {text}\n\n".encode()


class EventStream(StreamingResponse):
    media_type = "text/event-stream"


class Streams:
    """The streams of one API, so many at most."""

    def __init__(self, store: Store, control: Control) -> None:
        self._store = store
        self._control = control
        self._open = 0

    @property
    def full(self) -> bool:
        return self._open >= MAX_STREAMS

    async def follow(
        self, after: Place | None, gone: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bytes]:
        """Events until the client is ``gone`` or the collector stops."""
        self._open += 1
        try:
            place, known = await asyncio.to_thread(self._read, newest)
            place = place if after is None else after
            seen = set(known)
            yield f"retry: 2000\nid: {place}\n\n".encode()
            rates_at = told_at = 0.0
            while self._control.doors_open() and not await gone():
                now = time.monotonic()
                found = await asyncio.to_thread(self._read, lambda s, at=place: changes(s, at))
                for change in found:
                    place = Place(change["updated_unix_nano"], change["id"])
                    yield event(_name(change, seen), change, place)
                if now - rates_at >= RATES_S:
                    rates_at = told_at = now
                    yield event("rates", await asyncio.to_thread(self._rates))
                elif not found and now - told_at >= QUIET_S:
                    told_at = now
                    yield b": still here\n\n"
                if len(found) < MAX_EVENTS:
                    await asyncio.sleep(LOOK_S)
        finally:
            self._open -= 1

    def _read(self, query: Callable[[Session], T]) -> T:
        with self._store.read() as session:
            return query(session)

    def _rates(self) -> LiveRates:
        status = self._control.status()
        return LiveRates(
            spans=status["spans"],
            traces=status["traces"],
            accepted_spans=status["ingest"]["accepted_spans"],
            spans_per_s=status["ingest"]["spans_per_s"],
            watermark=status["detection"]["watermark"],
            problem=status["ingest"]["problem"],
        )


def _name(change: FindingChange, seen: set[str]) -> str:
    if change["status"] == "retracted":
        seen.discard(change["id"])
        return "finding.retracted"
    if change["id"] in seen:
        return "finding.updated"
    seen.add(change["id"])
    return "finding.new"


def add_stream_route(app: FastAPI, streams: Streams) -> None:
    """Adds it to the API."""

    @app.get("/api/v1/stream", tags=["operation"], response_class=EventStream)
    async def stream(
        request: Request, last_event_id: str | None = Header(default=None, max_length=64)
    ) -> Response:
        """Server-sent events: ``finding.new``, ``finding.updated`` and ``finding.retracted``, each
        with the finding without its messages, and ``rates`` every two seconds. It begins with what
        happens from now on, or after ``Last-Event-ID``."""
        after = None if last_event_id is None else Place.read(last_event_id)
        if streams.full:
            return problem(
                503,
                "Too many streams",
                f"{MAX_STREAMS} streams are open; close one",
                {"retry-after": "5"},
            )
        events = streams.follow(after, request.is_disconnected)
        return EventStream(events, headers={"x-accel-buffering": "no"})
