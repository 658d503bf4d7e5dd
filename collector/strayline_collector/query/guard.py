"""Who may talk to the API: the right host name, a token where one is asked for, and no page of
another site."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse

from strayline_collector.access import CHALLENGE, OPEN, Access
from strayline_collector.errors import Unauthorised

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN_PATHS: Final = frozenset({"/health", "/ready"})
"""For probes that carry no token: they tell nothing of what is stored."""
_STREAMS: Final = frozenset({"/api/v1/stream"})
_FORM_TYPES: Final = frozenset(
    {"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}
)
"""What a page of any site may send without asking first (Fetch, CORS-safelisted request-header)."""
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def problem(
    status: int,
    title: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """An RFC 9457 problem document; ``members`` are its extension members."""
    return JSONResponse(
        {
            "type": "about:blank",
            "title": title,
            "status": status,
            "detail": detail,
            **(members or {}),
        },
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )


@dataclass(frozen=True, slots=True)
class Gate:
    """Who is let in. ``hosts`` are served beside the loopback names; ``any_address`` also every
    bare IP address, which no foreign name can stand for."""

    access: Access = OPEN
    hosts: frozenset[str] = frozenset()
    any_address: bool = False

    def serves(self, host: str) -> bool:
        """Whether a ``Host`` header's name is ours. On an address of everybody a token makes any
        name good: a page that rebinds its own name to us has none."""
        if host in _LOOPBACK or host in self.hosts:
            return True
        return self.any_address and (bool(self.access.tokens) or _is_ip(host))


class Guard:
    """ASGI middleware. A foreign ``Host`` is DNS rebinding; a foreign ``Origin`` or a form's
    content type on a request that changes something is a page of another site using the user's
    browser. Answers carry what keeps a browser from reading anything else into them; nothing
    allows other origins (CORS)."""

    def __init__(self, app: Callable[..., Awaitable[None]], gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            # none is offered; one that were would be guarded alike
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (refusal or self._app)(_as_get(scope), receive, guarded)

    def _refusal(self, scope: dict[str, Any]) -> JSONResponse | None:
        headers = {k.lower(): v.decode("latin-1") for k, v in scope["headers"]}
        authority = headers.get(b"host", "")
        if not self._gate.serves(_host_name(authority)):
            return problem(
                421,
                "Misdirected Request",
                f"host {authority!r} is not served here; --allowed-host adds a name",
            )
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE
        foreign = _foreign(headers, authority)
        if foreign and (changes or scope["path"] in _STREAMS):
            return problem(403, "Forbidden", f"requests from {foreign} are not served")
        if scope["path"] in _OPEN_PATHS and not changes:
            return None
        try:
            self._gate.access.demand(headers.get(b"authorization"))
        except Unauthorised as error:
            return problem(401, "Unauthorized", str(error), {"www-authenticate": CHALLENGE})
        media = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        if scope.get("method") == "POST" and media in _FORM_TYPES and _has_body(headers):
            return problem(415, "Unsupported Media Type", f"{media}: send application/json")
        return None


def _as_get(scope: dict[str, Any]) -> dict[str, Any]:
    """A HEAD, which probes of ``/ready`` like to send, asked as the GET that it is about: the server
    leaves the body out. A stream would have no end."""
    if scope["method"] != "HEAD" or scope["path"] in _STREAMS:
        return scope
    return {**scope, "method": "GET"}


def _foreign(headers: Mapping[bytes, str], authority: str) -> str | None:
    """Which other origin a browser sends this for; None for our own and for no browser."""
    origin = headers.get(b"origin")
    if origin is not None and origin.partition("://")[2].lower() != authority.lower():
        return f"{origin[:200]!r}"
    site = headers.get(b"sec-fetch-site", "none")
    return None if site in ("none", "same-origin") else f"a {site[:40]!r} page"


def _has_body(headers: Mapping[bytes, str]) -> bool:
    return b"transfer-encoding" in headers or headers.get(b"content-length", "0") != "0"


def _host_name(header: str) -> str:
    try:
        return (urlsplit(f"//{header}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
