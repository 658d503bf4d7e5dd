"""Commands about files of traces: judging them, sending them, writing them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strayline_collector.cli.needs import check_severity, credentials, need
from strayline_collector.commands import UsageProblem
from strayline_collector.options import (
    API_URL,
    HTTP,
    ApiUrl,
    Ca,
    ClientCert,
    ClientKey,
    Contracts,
    Reference,
    ThresholdValues,
    Token,
    option,
    several,
)


def check(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Traces: OTLP JSON, lines or protobuf, Jaeger's or Zipkin's JSON; .gz. A directory: its files. -: standard input."
        ),
    ],
    contract: Contracts = None,
    topology: Reference = None,
    threshold: ThresholdValues = None,
    fail_on: Annotated[
        str, option("Exit with 1 at info, warning or error.", "FAIL_ON")
    ] = "warning",
    form: Annotated[
        str,
        typer.Option("--format", help="text, json, junit or github.", envvar="STRAYLINE_FORMAT"),
    ] = "text",
) -> None:
    """Judges recorded traces without a collector: for CI. They are taken as complete."""
    check_severity(fail_on)
    reports = need("strayline_collector.commands.reports", "collector")
    if form not in reports.FORMATS:
        raise UsageProblem(f"--format {form}: expected {', '.join(reports.FORMATS)}")
    contracts = list(contract or map(Path, several(None, "CONTRACT")))
    raise typer.Exit(
        need("strayline_collector.commands.check", "collector").run(
            files,
            contracts,
            fail_on,
            form,
            several(threshold, "THRESHOLD"),
            list(topology or map(Path, several(None, "TOPOLOGY"))),
        )
    )


def import_files(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="OTLP JSON, JSON lines or protobuf, Jaeger's or Zipkin's JSON, each also gzip; told apart by what they hold. A directory: its files."
        ),
    ],
    otlp_http: Annotated[
        str, option("Where a running collector takes OTLP over HTTP.", "OTLP_HTTP")
    ] = HTTP,
    token: Token = None,
    ca: Ca = None,
    client_cert: ClientCert = None,
    client_key: ClientKey = None,
) -> None:
    """Sends files of traces to a running collector. Every file is read before any is sent."""
    need("strayline_collector.commands.importing", "collector").run(
        files, otlp_http, credentials(token, ca, client_cert, client_key)
    )


def export(
    trace: Annotated[str | None, option("One trace, by its 32 hex digits.", "TRACE")] = None,
    since: Annotated[
        str | None,
        option("Spans that started then or later: RFC 3339, unix ns, or 15m, 2h, 7d ago.", "SINCE"),
    ] = None,
    until: Annotated[
        str | None, option("Spans that started then or before, written as --since.", "UNTIL")
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name
        str | None,
        option(
            "json, jsonl, protobuf (OTLP) or jaeger (default: by the file's name, else json).",
            "FORMAT",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="File to write, .gz packs it (default: standard output).",
            envvar="STRAYLINE_OUTPUT",
            show_envvar=True,
        ),
    ] = None,
    api: ApiUrl = API_URL,
    token: Token = None,
    ca: Ca = None,
    client_cert: ClientCert = None,
    client_key: ClientKey = None,
) -> None:
    """Writes what a running collector has stored. Each span once; `strayline import` reads it."""
    need("strayline_collector.commands.exporting", "collector").run(
        api,
        trace,
        since,
        until,
        format,
        output,
        credentials(token, ca, client_cert, client_key),
    )
