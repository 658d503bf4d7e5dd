"""The collector's API, as the dashboard asks it. One client per process, short timeouts: a page
that waits tells less than a page that says why it is empty."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx


class ApiProblem(Exception):
    """The API could not answer; the text is fit for the page. ``away``: nobody answered at all."""

    def __init__(self, text: str, *, away: bool = False) -> None:
        super().__init__(text)
        self.away = away


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
        self._http = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(30, connect=2),
            headers={"authorization": f"Bearer {entry.token}"} if entry.token else {},
            verify=entry.context() if self.url.startswith("https://") else True,
        )

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """GET of an API path. Parameters that are None are left out."""
        kept = {name: value for name, value in (params or {}).items() if value is not None}
        return self._ask("GET", path, params=kept)

    def patch(self, path: str, change: Mapping[str, Any]) -> Any:
        """PATCH of an API path."""
        return self._ask("PATCH", path, json=dict(change))

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise ApiProblem(
                f"The collector at {self.url} does not answer ({type(error).__name__}).", away=True
            ) from None
        if answer.status_code == 401:
            raise ApiProblem(
                "The collector wants a token, or another one: start the dashboard with --token."
            )
        if answer.status_code >= 400:
            raise ApiProblem(_detail(answer))
        return answer.json()


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"The collector answered HTTP {answer.status_code}."
