"""Logging in with a token of the collector, and who is logged in. A cookie names a session, the token
itself stays in this process."""

from __future__ import annotations

import asyncio
import hmac
import html
import secrets
import time
from typing import Final
from urllib.parse import parse_qs, urlencode

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from strayline_dashboard.client import ApiProblem, Client

LASTS_S: Final = 12 * 3600
MOST: Final = 1000
WRONG_S: Final = 0.5
"""Before a wrong token is answered."""
_MAX_FORM_BYTES: Final = 16 * 1024

_PAGE: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Log in · Strayline</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<link rel="icon" href="/assets/favicon.svg" type="image/svg+xml"><link rel="stylesheet" href="/assets/style.css"></head>
<body class="login"><main class="empty"><h1>Strayline</h1>
<p class="quiet">This collector is protected: give one of the tokens it was started with.</p>
{problem}<form method="post" action="/login{query}">
<label for="token">Token</label>
<input class="field" id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button class="button primary" type="submit">Log in</button></form></main></body></html>"""


class Sessions:
    """Session → token and when it ends, in memory: a restart logs everybody out."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, float]] = {}

    def start(self, token: str) -> str:
        """A new session's name. The oldest goes when there are too many."""
        if len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        name = secrets.token_urlsafe(32)
        self._known[name] = (token, time.monotonic() + LASTS_S)
        return name

    def token(self, name: str | None) -> str | None:
        """The token of a session; None when there is none, or its time is over."""
        token, until = self._known.get(name or "", (None, 0.0))
        if token is not None and until < time.monotonic():
            self.end(name)
            return None
        return token

    def end(self, name: str | None) -> None:
        """Forgets a session."""
        self._known.pop(name or "", None)


def cookie_name(host: str) -> str:
    """Of the session at this address. Browsers do not keep the cookies of ports apart."""
    port = host.rpartition(":")[2]
    return f"strayline_session_{port}" if port.isdigit() else "strayline_session"


def add_login(server: FastAPI, client: Client, sessions: Sessions) -> None:
    """Adds ``/login`` and ``/logout``; before Dash, whose page answers every path."""

    @server.get("/login")
    async def form(request: Request) -> Response:
        return _page(_safe(request.query_params.get("next")))

    @server.post("/login")
    async def login(request: Request) -> Response:
        body = await request.body()
        onward = _safe(request.query_params.get("next"))
        given = parse_qs(body[:_MAX_FORM_BYTES].decode("latin-1")).get("token", [""])[0].strip()
        try:
            right = await asyncio.to_thread(_right, client, given)
        except ApiProblem as problem:
            return _page(onward, str(problem), 503)
        if not right:
            await asyncio.sleep(WRONG_S)
            return _page(onward, "That is not a token of this collector.", 403)
        answer = RedirectResponse(onward, status_code=303)
        answer.set_cookie(
            cookie_name(request.headers.get("host", "")),
            sessions.start(given),
            max_age=LASTS_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @server.post("/logout")
    async def logout(request: Request) -> Response:
        name = cookie_name(request.headers.get("host", ""))
        sessions.end(request.cookies.get(name))
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(name, httponly=True, samesite="strict")
        return answer


def _right(client: Client, given: str) -> bool:
    if not given or not given.isascii():
        return False
    if client.token is not None and hmac.compare_digest(given, client.token):
        return True
    return client.admits(given)


def _safe(onward: str | None) -> str:
    """Only a path of our own is gone to afterwards."""
    return onward if onward and onward.startswith("/") and onward[1:2] not in ("/", "\\") else "/"


def _page(onward: str, problem: str | None = None, status: int = 200) -> Response:
    said = f'<p class="error-text" role="alert">{html.escape(problem)}</p>' if problem else ""
    query = "" if onward == "/" else "?" + html.escape(urlencode({"next": onward}))
    return HTMLResponse(_PAGE.format(problem=said, query=query), status)
