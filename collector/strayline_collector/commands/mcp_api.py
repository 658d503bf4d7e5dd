"""The collector's API as the tools of ``strayline mcp`` ask it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx


class ToolProblem(Exception):
    """Why a tool cannot answer; its text is for the model to read and act on."""


@dataclass(frozen=True, slots=True)
class Api:
    """The collector's API. Raises ``ToolProblem`` with its own words."""

    client: httpx.Client
    address: str

    def get(self, path: str, **params: Any) -> Any:
        return self._answer("GET", path, params=given(params))

    def post(self, path: str, document: Mapping[str, Any]) -> Any:
        return self._answer("POST", path, json=document)

    def _answer(self, method: str, path: str, **how: Any) -> Any:
        try:
            answer = self.client.request(method, path, **how)
            document = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise ToolProblem(
                f"no collector answers at {self.address} ({str(error) or type(error).__name__}); start one with: strayline up"
            ) from None
        if answer.status_code != 200:
            raise ToolProblem(str(document.get("detail", f"HTTP {answer.status_code}")))
        return document


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """What of ``values`` is not None."""
    return {name: value for name, value in values.items() if value is not None}
