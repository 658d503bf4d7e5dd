"""Commands that ask a running collector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strayline_collector.cli.needs import check_severity, credentials, need
from strayline_collector.commands import UsageProblem
from strayline_collector.options import (
    API_URL,
    ApiUrl,
    Ca,
    ClientCert,
    ClientKey,
    Token,
    flag,
    option,
)


def findings(
    api: ApiUrl = API_URL,
    kind: Annotated[str | None, option("Only this kind, such as reordered.", "KIND")] = None,
    as_json: Annotated[bool, flag("--json", "One JSON object a line.")] = False,
    fail_on: Annotated[str | None, option("Exit with 1 at warning or error.", "FAIL_ON")] = None,
    token: Token = None,
    ca: Ca = None,
    client_cert: ClientCert = None,
    client_key: ClientKey = None,
) -> None:
    """Lists findings, worst first."""
    check_severity(fail_on)
    raise typer.Exit(
        need("strayline_collector.commands.findings", "collector").run(
            api, kind, as_json, fail_on, credentials(token, ca, client_cert, client_key)
        )
    )


def sql(
    statement: Annotated[str, typer.Argument(help="One SELECT; - reads it from standard input.")],
    api: ApiUrl = API_URL,
    as_json: Annotated[bool, flag("--json", "One JSON object a line.")] = False,
    as_csv: Annotated[bool, flag("--csv", "CSV with a header.")] = False,
    max_rows: Annotated[int, option("At most so many rows, up to 10000.", "MAX_ROWS")] = 1000,
    token: Token = None,
    ca: Ca = None,
    client_cert: ClientCert = None,
    client_key: ClientKey = None,
) -> None:
    """Asks a running collector in SQL. Read-only, over the views that docs/sql.md lists."""
    if as_json and as_csv:
        raise UsageProblem("--json and --csv: choose one")
    how = "json" if as_json else "csv" if as_csv else "table"
    need("strayline_collector.commands.sql", "collector").run(
        api, statement, how, max_rows, credentials(token, ca, client_cert, client_key)
    )


def mcp(
    api: ApiUrl = API_URL,
    token: Token = None,
    ca: Ca = None,
    client_cert: ClientCert = None,
    client_key: ClientKey = None,
) -> None:
    """Tells an assistant what a collector knows (MCP over stdio)."""
    need("mcp", "mcp")
    need("strayline_collector.commands.mcp_server", "mcp").run(
        api, credentials(token, ca, client_cert, client_key)
    )


def contract_infer(
    api: ApiUrl = API_URL,
    service: Annotated[
        str | None, option("Only what this service sends and receives, binding it.", "SERVICE")
    ] = None,
    output: Annotated[
        Path | None, option("Where to write it (default: standard output).", "OUTPUT")
    ] = None,
    token: Token = None,
    ca: Ca = None,
    client_cert: ClientCert = None,
    client_key: ClientKey = None,
) -> None:
    """Writes an AsyncAPI document from the messages that a running collector saw."""
    need("strayline_collector.commands.contract", "collector").run(
        api, service, output, credentials(token, ca, client_cert, client_key)
    )
