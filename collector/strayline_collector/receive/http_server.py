"""HTTP/1.1 for doors that take telemetry: bodies in, one short answer out.

Own protocol on llhttp (``httptools``) instead of an ASGI server: a request with one span costs a
third of the CPU, and a body is counted against the memory budget from its head on, before it has
arrived. Everything is bounded: heads in size and time, bodies in size, rate and idle time,
pipelining, connections, and the time to close. What a path means is its ``Handler``'s.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Coroutine
from email.utils import formatdate
from typing import Any

from strayline_collector.memory import Budget
from strayline_collector.receive.http_connection import Connection
from strayline_collector.receive.http_request import Handler, Limits


class HttpServer:
    """One listening socket and its connections."""

    def __init__(self, handler: Handler, limits: Limits, budget: Budget) -> None:
        self.handler = handler
        self.limits = limits
        self.budget = budget
        self.date = b""
        self.refused_connections = 0
        self.stopping = False
        self.connections: dict[Connection, None] = {}
        self.fresh: dict[Connection, None] = {}
        """Those of them that have not sent one whole request yet."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accepts on a bound socket, which stays the caller's to close."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self, loop),
            sock=listener,
            ssl=tls,
            ssl_handshake_timeout=self.limits.head_s if tls else None,
            backlog=2048,
        )
        self._sweep()

    async def stop(self, grace_s: float) -> None:
        """Accepts no more, answers what has arrived whole, and closes within ``grace_s``."""
        self.stopping = True
        if self._server is not None:
            self._server.close()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_s
        for connection in list(self.connections):
            connection.close_when_answered()
        while self.connections and loop.time() < deadline:  # noqa: ASYNC110  # at the end only
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.abort()
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()

    def spawn(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def made(self, connection: Connection) -> bool:
        """Counts a new connection in; at the limit an idle one makes room, one that has never
        said a whole request first. False: there is no room."""
        if len(self.connections) >= self.limits.connections:
            self.refused_connections += 1
            victim = next((c for c in self.fresh if c.idle()), None) or next(
                (c for c in self.connections if c.idle()), None
            )
            if victim is None:
                return False
            self.lost(victim)
            victim.abort()
        self.connections[connection] = None
        self.fresh[connection] = None
        return True

    def lost(self, connection: Connection) -> None:
        self.connections.pop(connection, None)
        self.fresh.pop(connection, None)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self.date = f"\r\ndate: {formatdate(usegmt=True)}\r\n\r\n".encode()
        now = loop.time()
        for connection in list(self.connections):
            connection.check(now)
        self._timer = loop.call_later(1.0, self._sweep)
