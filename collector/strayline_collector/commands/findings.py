"""``strayline findings``."""

from __future__ import annotations

import json
import sys
from typing import Any

import httpx

from strayline_collector.commands.client import Credentials, connect, refusal, unreachable
from strayline_collector.commands.reports import fails


def run(
    api: str,
    kind: str | None,
    as_json: bool,
    fail_on: str | None,
    credentials: Credentials = Credentials(),  # noqa: B008 - frozen
) -> int:
    """Prints the findings; 1 when one that is not muted reaches ``fail_on``, else 0."""
    items = fetch(api, kind, credentials)
    for item in items:
        if as_json:
            sys.stdout.write(json.dumps(item, ensure_ascii=False) + "\n")
    if not as_json:
        sys.stdout.write(table(items))
    return 1 if fails(items, fail_on) else 0


def fetch(api: str, kind: str | None, credentials: Credentials) -> list[dict[str, Any]]:
    """Every standing finding. Raises ``UsageProblem`` when the collector does not answer."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    try:
        with connect(api, credentials, option="--api") as client:
            while True:
                params = {"kind": kind, "cursor": cursor, "limit": 500}
                answer = client.get(
                    "/api/v1/findings",
                    params={name: value for name, value in params.items() if value is not None},
                )
                if answer.status_code != 200:
                    raise refusal(api, answer)
                page = answer.json()
                items += page["items"]
                cursor = page["next_cursor"]
                if cursor is None:
                    return items
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise unreachable("--api", api, error, "no collector answers there") from None


def table(items: list[dict[str, Any]]) -> str:
    """One line a finding, for people; what one of them said of it stands beside its severity, since
    what is muted fails nothing."""
    if not items:
        return "no findings\n"
    rows = [
        (
            item["severity"] + ("" if item["triage"] == "new" else f" ({item['triage']})"),
            str(item["count"]),
            " ".join(part for part in (item["kind"], item["verdict"], item["cause"]) if part),
            item["title"],
            item["id"],
        )
        for item in items
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join(lines) + "\n"
