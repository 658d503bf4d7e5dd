"""``strayline sql``: one SELECT to a running collector, its answer as a table, JSON or CSV."""

from __future__ import annotations

import csv
import json
import sys
from typing import Any

import httpx

from strayline_collector.commands.client import Credentials, connect, refusal, unreachable

TABLE_CELL = 60
"""Characters of a value in a table; JSON and CSV give it whole."""


def run(api: str, statement: str, how: str, rows: int, credentials: Credentials) -> None:
    """Prints the answer; ``how`` is table, json (an object a line) or csv. Whether there would
    have been more rows is said on standard error."""
    answer = ask(api, sys.stdin.read() if statement == "-" else statement, rows, credentials)
    names = [column["name"] for column in answer["columns"]]
    if how == "json":
        for row in answer["rows"]:
            sys.stdout.write(
                json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n"
            )
    elif how == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([names, *([_plain(value) for value in row] for row in answer["rows"])])
    else:
        sys.stdout.write(table(names, answer["rows"]))
    if answer["truncated"]:
        sys.stderr.write(f"only the first {len(answer['rows']):,} rows; there are more\n")


def ask(api: str, statement: str, rows: int, credentials: Credentials) -> dict[str, Any]:
    """Raises ``UsageProblem`` with the collector's own words when it refuses."""
    try:
        with connect(api, credentials, option="--api") as client:
            answer = client.post("/api/v1/sql", json={"sql": statement, "max_rows": rows})
            if answer.status_code != 200:
                raise refusal(api, answer)
            return answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise unreachable("--api", api, error, "no collector answers there") from None


def table(names: list[str], rows: list[list[Any]]) -> str:
    """Columns side by side, numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not names:
        return ""
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    numeric = [
        bool(rows) and all(isinstance(row[i], (int, float, type(None))) for row in rows)
        for i in range(len(names))
    ]

    def line(values: list[str]) -> str:
        return "  ".join(
            value.rjust(width) if right else value.ljust(width)
            for value, width, right in zip(values, widths, numeric, strict=True)
        ).rstrip()

    return "\n".join([line(names), line(["-" * width for width in widths]), *map(line, cells)]) + "\n"  # fmt: skip


def _cell(value: Any) -> str:
    # what a sender put into an attribute must not drive the terminal
    text = "".join(c if c.isprintable() else "·" for c in _plain(value))
    return text if len(text) <= TABLE_CELL else text[: TABLE_CELL - 1] + "…"


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
