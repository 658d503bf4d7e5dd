"""A page's data, asked for while its scripts are still on their way: a browser that opens a page loads and
starts them first and asks then, and meanwhile the collector can work. What the page's renderer asks the
API itself the browser is told to fetch with the page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from strayline_dashboard.client import TOKEN

FRESH_S: Final = 5.0
"""What a browser has not fetched by then is old, and asked for again."""
MOST: Final = 8
_Place = tuple[str, str, str | None]
"""Path and search as they stand in the address, and the token of whoever asks."""


class Early:
    """Answers on their way, for whoever opened the page. One event loop uses it."""

    def __init__(self, fetch: Callable[[str, str], dict[str, Any]]) -> None:
        self._fetch = fetch
        self._asked: dict[_Place, tuple[asyncio.Task[dict[str, Any]], float]] = {}

    def begin(self, path: str, search: str) -> asyncio.Task[dict[str, Any]]:
        """On a thread: one slow answer must not hold up every other page and stream."""
        return asyncio.create_task(asyncio.to_thread(self._fetch, path, search))

    def ask(self, path: str, search: str) -> None:
        """Begins what may be taken; nobody needs to."""
        now = time.monotonic()
        for place in [p for p, (_, at) in self._asked.items() if now - at > FRESH_S]:
            del self._asked[place]
        if len(self._asked) < MOST:
            task = self.begin(path, search)
            task.add_done_callback(_heard)
            self._asked[path, search, TOKEN.get()] = (task, now)

    def take(self, path: str, search: str) -> asyncio.Task[dict[str, Any]] | None:
        """What was begun for the same address and token a moment ago; once."""
        task, at = self._asked.pop((path, search, TOKEN.get()), (None, 0.0))
        return task if time.monotonic() - at <= FRESH_S else None


def _heard(task: asyncio.Task[dict[str, Any]]) -> None:
    """Whoever takes it is told of a failure; of one that nobody takes, nobody."""
    if not task.cancelled():
        task.exception()


class Ahead:
    """ASGI middleware: a window that opens a page begins what the page will ask for. A picture, a frame or
    a script of any site that names its address does not. ``asks``: the path and search of a page → what its
    renderer asks the API first."""

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        early: Early,
        is_page: Callable[[str], bool],
        asks: Callable[[str, str], str | None],
    ) -> None:
        self._app = app
        self._early = early
        self._is_page = is_page
        self._asks = asks

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if (
            scope["type"] == "http"
            and scope["method"] == "GET"
            and (b"sec-fetch-dest", b"document") in scope["headers"]
            and self._is_page(scope["path"])
        ):
            # as the browser's own `location` says them
            path = scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
            query = scope["query_string"].decode("latin-1")
            self._early.ask(path or scope["path"], f"?{query}" if query else "")
            question = self._asks(scope["path"], query)
            if question is not None:
                send = _preloading(send, question)
        await self._app(scope, receive, send)


def _preloading(send: Any, question: str) -> Any:
    """``send`` that names what the page will ask for; what its script fetches then is this very answer."""
    link = f"<{question}>; rel=preload; as=fetch; crossorigin".encode()

    async def naming(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            message["headers"] = [*message["headers"], (b"link", link)]
        await send(message)

    return naming
