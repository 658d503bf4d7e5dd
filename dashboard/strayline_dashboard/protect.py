"""What keeps other sites and other people's markup out of the dashboard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


def protect(server: FastAPI, script_hashes: Iterable[str], allowed_hosts: Iterable[str]) -> None:
    """Only this host's names (DNS rebinding), no writes from other sites, only resources of this
    host and the inline scripts with these hashes, no framing."""
    hosts = _LOOPBACK | set(allowed_hosts)
    policy = "; ".join(
        (
            "default-src 'self'",
            # Dash gives hashes with their quotes
            f"script-src 'self' {' '.join(script_hashes)}",
            # Dash's renderer writes style elements; no script can come this way
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "form-action 'self'",
        )
    )

    @server.middleware("http")
    async def guard(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        host = request.headers.get("host", "").rsplit(":", 1)[0]
        if host not in hosts and "*" not in hosts:
            return PlainTextResponse(f"host {host!r} is not served here", status_code=421)
        origin = request.headers.get("origin")
        foreign = origin is not None and origin.partition("://")[2].rsplit(":", 1)[0] != host
        if foreign and request.method not in ("GET", "HEAD"):
            return PlainTextResponse("requests of other sites are not served", status_code=403)
        response = await call_next(request)
        response.headers["content-security-policy"] = policy
        response.headers["x-content-type-options"] = "nosniff"
        response.headers["referrer-policy"] = "no-referrer"
        return response
