"""What keeps other sites, other people's markup and whoever is not logged in out of the dashboard."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import quote

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from strayline_dashboard.client import TOKEN, Client
from strayline_dashboard.login import Sessions, cookie_name

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FORMS: Final = frozenset({"/login", "/logout"})
_PRIVATE: Final = ("/live", "/data/", "/api/")
"""What a page of another site must not even cause to be read."""
_ASSETS: Final = ("/assets/", "/_dash-component-suites/")


def protect(
    server: FastAPI,
    client: Client,
    sessions: Sessions,
    script_hashes: Iterable[str],
    allowed_hosts: Iterable[str],
) -> None:
    """Only this host's names (DNS rebinding), nothing for pages of other sites (CSRF), only scripts
    of this host and inline ones with these hashes, no framing; and a token, where the collector
    wants one."""
    policy = "; ".join(
        (
            "default-src 'self'",
            # Dash gives hashes with their quotes
            f"script-src 'self' {' '.join(script_hashes)}",
            "style-src 'self'",
            # Dash's components write eleven style elements; no script can come this way
            "style-src-elem 'self' 'unsafe-inline'",
            "style-src-attr 'none'",
            "img-src 'self' data: blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "form-action 'self'",
        )
    )
    server.add_middleware(Packed)  # type: ignore[arg-type]  # takes any ASGI application
    server.add_middleware(
        Guard,
        client=client,
        sessions=sessions,
        hosts=_LOOPBACK | set(allowed_hosts),
        policy=policy,
    )


class Packed:
    """ASGI middleware: scripts and styles are sent zipped, a third of their size. Data are not: on one
    machine zipping takes longer than sending."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app
        self._zipped = GZipMiddleware(app, minimum_size=1000, compresslevel=6)  # type: ignore[arg-type]

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        asset = scope["type"] == "http" and scope["path"].startswith(_ASSETS)
        await (self._zipped if asset else self._app)(scope, receive, send)


class Guard:
    """ASGI middleware. No websocket is offered, so none is let through."""

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        client: Client,
        sessions: Sessions,
        hosts: frozenset[str],
        policy: str,
    ) -> None:
        self._app = app
        self._client = client
        self._sessions = sessions
        self._hosts = hosts
        self._headers = {
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            # no-referrer would make a form's Origin null, and it could not be told from a foreign one
            "referrer-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
        }

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                if not scope["path"].startswith(_ASSETS):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        headers = {k.lower().decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        token = self._token(headers)
        before = TOKEN.set(token)
        try:
            refusal = self._refusal(scope, headers, token)
            await (refusal or self._app)(scope, receive, guarded)
        finally:
            TOKEN.reset(before)

    def _token(self, headers: Mapping[str, str]) -> str | None:
        name = cookie_name(headers.get("host", ""))
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(name)
        except CookieError:
            return None
        return None if found is None else self._sessions.token(found.value)

    def _refusal(
        self, scope: dict[str, Any], headers: Mapping[str, str], token: str | None
    ) -> Response | None:
        authority, path = headers.get("host", ""), scope["path"]
        host = authority if authority.endswith("]") else authority.rsplit(":", 1)[0]
        if host not in self._hosts and "*" not in self._hosts:
            return PlainTextResponse(f"host {host!r} is not served here", status_code=421)
        changes = scope["method"] not in _SAFE
        if (changes or path.startswith(_PRIVATE)) and _foreign(headers, authority):
            return PlainTextResponse("requests of other sites are not served", status_code=403)
        if changes and path not in _FORMS:
            media = headers.get("content-type", "").partition(";")[0].strip().lower()
            if media != "application/json":
                # what a page of any site may send without asking first
                return PlainTextResponse("send application/json", status_code=415)
        if not self._client.locked or token is not None:
            return None
        if path == "/login" or path.startswith(_ASSETS):
            return None
        if path.startswith("/data/"):
            return _locked_data()
        if changes or path.startswith(_PRIVATE):
            return JSONResponse({"detail": "log in first"}, status_code=401)
        onward = path + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")  # fmt: skip
        return RedirectResponse(f"/login?next={quote(onward, safe='')}", status_code=303)


def _locked_data() -> Response:
    text = json.dumps({"status": 401, "body": {"detail": "log in first"}})
    return Response(text, media_type="application/json")


def _foreign(headers: Mapping[str, str], authority: str) -> bool:
    """Whether a browser sends this for another origin; no browser, no origin."""
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != authority.lower():
        return True
    return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
