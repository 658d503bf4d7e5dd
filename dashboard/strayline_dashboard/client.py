"""The collector's API, as the dashboard asks it. One client per process, short timeouts: a page
that waits tells less than a page that says why it is empty."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

CONNECT_S: Final = 2.0
ANSWER_S: Final = 30.0

TOKEN: Final[ContextVar[str | None]] = ContextVar("token", default=None)
"""Of whoever is logged in and asks; None: the process's own, if it has one."""


class ApiProblem(Exception):
    """The API could not answer; the text is fit for the page. ``away``: nobody answered at all.
    ``locked``: it wants a token."""

    def __init__(self, text: str, *, away: bool = False, locked: bool = False) -> None:
        super().__init__(text)
        self.away = away
        self.locked = locked


@dataclass(frozen=True, slots=True)
class Entry:
    """How the API lets this process in. Nothing of it reaches a browser. ``pinned_cert``: the one
    certificate that the API must show, whatever names it is for."""

    token: str | None = None
    ca: Path | None = None
    pinned_cert: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Raises ``OSError`` (``ssl.SSLError`` among it) for files that cannot be used."""
        if self.pinned_cert is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            # the first alone: what follows in the file signs others too
            first, end, _ = self.pinned_cert.read_text("ascii").partition(_END)
            context.load_verify_locations(cadata=first + end)
        else:
            context = ssl.create_default_context()
            if self.ca is not None:
                context.load_verify_locations(self.ca)
        if self.client_cert is not None:
            context.load_cert_chain(self.client_cert, self.client_key)
        return context


_END: Final = "-----END CERTIFICATE-----\n"


class Client:
    """JSON in and out. Raises ``ApiProblem``."""

    def __init__(self, api_url: str, entry: Entry | None = None) -> None:
        entry = entry or Entry()
        self.url = api_url.rstrip("/")
        self.token = entry.token
        self.locked = entry.token is not None
        """Whether the API wants a token, as far as is known."""
        verify = entry.context() if self.url.startswith("https://") else True
        timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
        self._http = httpx.Client(base_url=self.url, timeout=timeout, verify=verify)
        self.later = httpx.AsyncClient(
            base_url=self.url,
            timeout=timeout,
            verify=verify,
            limits=httpx.Limits(max_connections=None),
        )
        """The same without waiting on a thread; ``headers()`` go with each request."""

    def headers(self) -> dict[str, str]:
        """What lets the one who asks in."""
        token = TOKEN.get() or self.token
        return {"authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """GET of an API path. Parameters that are None are left out."""
        kept = {name: value for name, value in (params or {}).items() if value is not None}
        return self._ask("GET", path, params=kept)

    def admits(self, token: str) -> bool:
        """Whether the API lets a token in. Raises ``ApiProblem`` when nobody answers."""
        before = TOKEN.set(token)
        try:
            self.get("/api/v1/services", {"start": 0, "end": 1})
        except ApiProblem as problem:
            if problem.away:
                raise
            return not problem.locked
        finally:
            TOKEN.reset(before)
        return True

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        try:
            answer = self._http.request(method, path, headers=self.headers(), **request)
        except httpx.HTTPError as error:
            raise self.away(error) from None
        if answer.status_code == 401:
            self.locked = True
            raise ApiProblem(
                "The collector wants a token, or another one: log in, or start the dashboard with --token.",
                locked=True,
            )
        if answer.status_code >= 400:
            raise ApiProblem(_detail(answer))
        return answer.json()

    def away(self, error: Exception) -> ApiProblem:
        """What is said when nobody answers."""
        return ApiProblem(
            f"The collector at {self.url} does not answer ({type(error).__name__}).", away=True
        )


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"The collector answered HTTP {answer.status_code}."
