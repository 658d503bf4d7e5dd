"""The collector's API, as the dashboard asks it. One client per process, short timeouts: a page
that waits tells less than a page that says why it is empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx


class ApiProblem(Exception):
    """The API could not answer; the text is fit for the page. ``away``: nobody answered at all."""

    def __init__(self, text: str, *, away: bool = False) -> None:
        super().__init__(text)
        self.away = away


class Client:
    """JSON in and out. Raises ``ApiProblem``."""

    def __init__(self, api_url: str) -> None:
        self.url = api_url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, timeout=httpx.Timeout(30, connect=2))

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
        if answer.status_code >= 400:
            raise ApiProblem(_detail(answer))
        return answer.json()


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"The collector answered HTTP {answer.status_code}."
