"""Who may talk to the API: the right host name, and no page of another site."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.responses import JSONResponse

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def problem(status: int, title: str, detail: str) -> JSONResponse:
    """An RFC 9457 problem document."""
    return JSONResponse(
        {"type": "about:blank", "title": title, "status": status, "detail": detail},
        status_code=status,
        media_type="application/problem+json",
    )


class Guard:
    """ASGI middleware. A foreign ``Host`` is DNS rebinding; a foreign ``Origin`` on a request
    that changes something is a page of another site using the user's browser."""

    def __init__(self, app: Callable[..., Awaitable[None]], allowed_hosts: Sequence[str]) -> None:
        self._app = app
        self._allowed = _LOOPBACK | set(allowed_hosts)
        self._any = bool({"0.0.0.0", "::"} & set(allowed_hosts))

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            refusal = self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: dict[str, Any]) -> JSONResponse | None:
        headers = {k.lower(): v.decode("latin-1") for k, v in scope["headers"]}
        host = _host_name(headers.get(b"host", ""))
        if not self._any and host not in self._allowed:
            return problem(421, "Misdirected Request", f"host {host!r} is not served here")
        origin = headers.get(b"origin")
        if origin is not None and scope["method"] not in _SAFE:
            name = urlsplit(origin).hostname or ""
            if name != host and name not in self._allowed:
                return problem(403, "Forbidden", f"requests from {origin!r} are not served")
        return None


def _host_name(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
