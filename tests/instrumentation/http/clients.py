"""Every HTTP client that is instrumented, driven alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import httpx
import requests

Ask = Callable[..., int]
"""``ask(method, url, headers, follow=True)`` gives the status, or raises what the client raises."""


def _httpx(method: str, url: str, headers: Mapping[str, str] = {}, follow: bool = True) -> int:
    with httpx.Client(trust_env=False) as client:
        return client.request(method, url, headers=headers, follow_redirects=follow).status_code


def _httpx_async(
    method: str, url: str, headers: Mapping[str, str] = {}, follow: bool = True
) -> int:
    async def main() -> int:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.request(method, url, headers=headers, follow_redirects=follow)
            return answer.status_code

    return asyncio.run(main())


def _requests(method: str, url: str, headers: Mapping[str, str] = {}, follow: bool = True) -> int:
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, headers=headers, allow_redirects=follow).status_code


def _aiohttp(method: str, url: str, headers: Mapping[str, str] = {}, follow: bool = True) -> int:
    async def main() -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, headers=headers, allow_redirects=follow) as answer,
        ):
            return answer.status

    return asyncio.run(main())


CLIENTS: dict[str, Ask] = {
    "httpx": _httpx,
    "httpx_async": _httpx_async,
    "requests": _requests,
    "aiohttp": _aiohttp,
}
UNREACHABLE: dict[str, tuple[type[Exception], str]] = {
    "httpx": (httpx.ConnectError, "ConnectError"),
    "httpx_async": (httpx.ConnectError, "ConnectError"),
    "requests": (requests.ConnectionError, "ConnectionError"),
    "aiohttp": (aiohttp.ClientConnectorError, "ClientConnectorError"),
}
"""What each raises, and its name in ``error.type``."""


def told(span: Any) -> dict[str, Any]:
    """A span's attributes."""
    return dict(span.attributes or {})
