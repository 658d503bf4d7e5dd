"""The collector traces nothing that it does itself: what it recorded of its own answers would be one
more thing to receive and to answer."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from opentelemetry import context


@contextmanager
def untraced() -> Generator[None]:
    """No instrumentation that keeps to the rule for exporters records what is done within."""
    token = context.attach(context.set_value("suppress_instrumentation", True))
    try:
        yield
    finally:
        context.detach(token)


class Untraced:
    """An ASGI application whose requests are not traced. The server's own context does not serve
    for that: uvicorn starts each request in an empty one."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with untraced():
            await self._app(scope, receive, send)
