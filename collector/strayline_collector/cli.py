"""The console script. Imports nothing heavy until a command needs it, since it comes with the bare
install; a command whose extra is missing names it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from strayline.version import __version__
from strayline_collector.commands import UsageProblem
from strayline_collector.options import (
    API,
    API_URL,
    GRPC,
    HTTP,
    UI,
    AllowedHost,
    Api,
    ApiUrl,
    Ca,
    ClientCert,
    ClientKey,
    Contracts,
    Db,
    ForwardHeader,
    ForwardUrl,
    Insecure,
    Lateness,
    MaxDbSize,
    MemoryLimit,
    OtlpGrpc,
    OtlpHttp,
    RabbitMqApi,
    RetentionAge,
    ThresholdValues,
    TlsCert,
    TlsClientCa,
    TlsKey,
    Token,
    TokenFile,
    Tokens,
    Ui,
    Webhook,
    WebhookSecret,
    WebhookSeverity,
    Zipkin,
    flag,
    headers,
    option,
    several,
    urls,
)

app = typer.Typer(
    name="strayline",
    help="Distributed tracing and message debugging: where a message went, in which order, and why.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Distributed tracing and message debugging: where a message went, in which order, and why."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command(epilog="Example: strayline up --db shop.duckdb")
def up(
    db: Db = "strayline.duckdb",
    otlp_http: OtlpHttp = HTTP,
    otlp_grpc: OtlpGrpc = GRPC,
    api: Api = API,
    ui: Ui = UI,
    lateness: Lateness = 30.0,
    memory_limit: MemoryLimit = None,
    retention: RetentionAge = None,
    max_db_size: MaxDbSize = None,
    insecure: Insecure = False,
    token: Tokens = None,
    token_file: TokenFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_client_ca: TlsClientCa = None,
    allowed_host: AllowedHost = None,
    contract: Contracts = None,
    rabbitmq_api: RabbitMqApi = None,
    threshold: ThresholdValues = None,
    webhook: Webhook = None,
    webhook_secret: WebhookSecret = None,
    webhook_severity: WebhookSeverity = "warning",
    zipkin: Zipkin = None,
    forward: ForwardUrl = None,
    forward_header: ForwardHeader = None,
    client_cert: ClientCert = None,
    client_key: ClientKey = None,
) -> None:
    """Runs collector and dashboard together; Ctrl-C stops both."""
    serving = _need("strayline_collector.commands.serving", "collector")
    _need("dash", "dashboard")
    protection = serving.Protection(
        several(token, "TOKEN"), token_file, tls_cert, tls_key, tls_client_ca,
        several(allowed_host, "ALLOWED_HOST"),
    )  # fmt: skip
    knowledge = serving.Knowledge(
        tuple(contract or map(Path, several(None, "CONTRACT"))),
        urls(rabbitmq_api, "RABBITMQ_API"),
        several(threshold, "THRESHOLD"),
    )
    settings = serving.settings(
        db, otlp_http, otlp_grpc, api, lateness, memory_limit, insecure, protection, knowledge,
        serving.Beside(zipkin, forward, headers(forward_header)),
        retention, max_db_size,
        serving.Notices(urls(webhook, "WEBHOOK"), webhook_secret, webhook_severity),
    )  # fmt: skip
    serving.up(settings, ui, client_cert, client_key)


@app.command(epilog="Example: strayline collector --db :memory: --otlp-http 127.0.0.1:0")
def collector(
    db: Db = "strayline.duckdb",
    otlp_http: OtlpHttp = HTTP,
    otlp_grpc: OtlpGrpc = GRPC,
    api: Api = API,
    lateness: Lateness = 30.0,
    memory_limit: MemoryLimit = None,
    retention: RetentionAge = None,
    max_db_size: MaxDbSize = None,
    insecure: Insecure = False,
    token: Tokens = None,
    token_file: TokenFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_client_ca: TlsClientCa = None,
    allowed_host: AllowedHost = None,
    contract: Contracts = None,
    rabbitmq_api: RabbitMqApi = None,
    threshold: ThresholdValues = None,
    webhook: Webhook = None,
    webhook_secret: WebhookSecret = None,
    webhook_severity: WebhookSeverity = "warning",
    zipkin: Zipkin = None,
    forward: ForwardUrl = None,
    forward_header: ForwardHeader = None,
    addresses_json: Annotated[
        bool,
        flag("--addresses-json", "Print the addresses as one line of JSON, for programs."),
    ] = False,
) -> None:
    """Runs the collector: takes OTLP, judges messages, answers the API."""
    serving = _need("strayline_collector.commands.serving", "collector")
    protection = serving.Protection(
        several(token, "TOKEN"), token_file, tls_cert, tls_key, tls_client_ca,
        several(allowed_host, "ALLOWED_HOST"),
    )  # fmt: skip
    knowledge = serving.Knowledge(
        tuple(contract or map(Path, several(None, "CONTRACT"))),
        urls(rabbitmq_api, "RABBITMQ_API"),
        several(threshold, "THRESHOLD"),
    )
    settings = serving.settings(
        db, otlp_http, otlp_grpc, api, lateness, memory_limit, insecure, protection, knowledge,
        serving.Beside(zipkin, forward, headers(forward_header)),
        retention, max_db_size,
        serving.Notices(urls(webhook, "WEBHOOK"), webhook_secret, webhook_severity),
    )  # fmt: skip
    serving.collector(settings, as_json=addresses_json)


@app.command(epilog="Example: strayline dashboard --api http://127.0.0.1:4319")
def dashboard(
    api: ApiUrl = API_URL,
    ui: Ui = UI,
    insecure: Insecure = False,
    token: Token = None,
    ca: Ca = None,
    client_cert: ClientCert = None,
    client_key: ClientKey = None,
) -> None:
    """Runs the dashboard of a collector that runs elsewhere."""
    main = _need("strayline_dashboard.main", "dashboard")
    entry = main.Entry(token, ca, None, client_cert, client_key)
    main.run(api, ui, insecure=insecure, entry=entry)


@app.command(
    epilog="Example: strayline run --service-name billing -- gunicorn billing.web:app",
    context_settings={"allow_interspersed_args": False},
)
def run(
    program: Annotated[
        list[str], typer.Argument(help="The program and its arguments, as without strayline.")
    ],
    service_name: Annotated[
        str | None, option("What the service is called in traces.", "SERVICE_NAME")
    ] = None,
    endpoint: Annotated[
        str | None,
        option("Where the collector takes OTLP over HTTP (default: 127.0.0.1:4318).", "ENDPOINT"),
    ] = None,
    only: Annotated[
        str | None,
        option("Instrument these alone, comma-separated: httpx,asgi,aio_pika.", "ONLY"),
    ] = None,
    exclude: Annotated[
        str | None, option("Do not instrument these, comma-separated.", "EXCLUDE")
    ] = None,
) -> None:
    """Runs a Python program, unchanged, with every supported library instrumented; its Python
    children too."""
    _need("strayline_collector.commands.run", "collector").run(
        program, service_name, endpoint, only, exclude
    )


@app.command(epilog="Example: strayline findings --fail-on warning --json")
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
    _check_severity(fail_on)
    raise typer.Exit(
        _need("strayline_collector.commands.findings", "collector").run(
            api, kind, as_json, fail_on, _credentials(token, ca, client_cert, client_key)
        )
    )


@app.command(epilog="Example: strayline check traces.jsonl.gz --fail-on error --format junit")
def check(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Traces: OTLP JSON, lines or protobuf, Jaeger's or Zipkin's JSON; .gz."
        ),
    ],
    contract: Contracts = None,
    threshold: ThresholdValues = None,
    fail_on: Annotated[
        str, option("Exit with 1 at info, warning or error.", "FAIL_ON")
    ] = "warning",
    form: Annotated[
        str,
        typer.Option("--format", help="text, json, junit or github.", envvar="STRAYLINE_FORMAT"),
    ] = "text",
) -> None:
    """Judges recorded traces without a collector, as complete: for CI."""
    _check_severity(fail_on)
    reports = _need("strayline_collector.commands.reports", "collector")
    if form not in reports.FORMATS:
        raise UsageProblem(f"--format {form}: expected {', '.join(reports.FORMATS)}")
    contracts = list(contract or map(Path, several(None, "CONTRACT")))
    raise typer.Exit(
        _need("strayline_collector.commands.check", "collector").run(
            files, contracts, fail_on, form, several(threshold, "THRESHOLD")
        )
    )


@app.command(epilog='Example: strayline sql "SELECT service, count(*) FROM spans GROUP BY service"')
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
    """Asks a running collector in SQL: read-only, over the views that docs/sql.md lists."""
    if as_json and as_csv:
        raise UsageProblem("--json and --csv: choose one")
    how = "json" if as_json else "csv" if as_csv else "table"
    _need("strayline_collector.commands.sql", "collector").run(
        api, statement, how, max_rows, _credentials(token, ca, client_cert, client_key)
    )


@app.command(epilog="Example: strayline mcp --api http://127.0.0.1:4319")
def mcp(
    api: ApiUrl = API_URL,
    token: Token = None,
    ca: Ca = None,
    client_cert: ClientCert = None,
    client_key: ClientKey = None,
) -> None:
    """Serves a running collector's knowledge to an assistant (Model Context Protocol, stdio)."""
    _need("mcp", "mcp")
    _need("strayline_collector.commands.mcp_server", "mcp").run(
        api, _credentials(token, ca, client_cert, client_key)
    )


contract_app = typer.Typer(help="Contracts: which message goes where.", no_args_is_help=True)
app.add_typer(contract_app, name="contract")


@contract_app.callback()
def contract_root() -> None:
    """Contracts: which message goes where."""


@contract_app.command("infer", epilog="Example: strayline contract infer --output shop.yaml")
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
    _need("strayline_collector.commands.contract", "collector").run(
        api, service, output, _credentials(token, ca, client_cert, client_key)
    )


@app.command("import", epilog="Example: strayline import traces.jsonl.gz capture.pb")
def import_files(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="OTLP JSON, JSON lines or protobuf, Jaeger's or Zipkin's JSON, each also gzip; told apart by what they hold."
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
    _need("strayline_collector.commands.importing", "collector").run(
        files, otlp_http, _credentials(token, ca, client_cert, client_key)
    )


@app.command(epilog="Example: strayline export --since 1h -o traces.jsonl.gz")
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
    """Writes what a running collector has stored, each span once; `strayline import` reads it."""
    _need("strayline_collector.commands.exporting", "collector").run(
        api,
        trace,
        since,
        until,
        format,
        output,
        _credentials(token, ca, client_cert, client_key),
    )


@app.command(epilog="Example: strayline compact --db shop.duckdb")
def compact(db: Db = "strayline.duckdb", memory_limit: MemoryLimit = None) -> None:
    """Rewrites the database of a stopped collector without what was dropped."""
    _need("strayline_collector.commands.compacting", "collector").run(db, memory_limit)


@app.command(epilog="Example: strayline demo --once --orders 200")
def demo(
    orders: Annotated[
        int | None,
        option("How many orders to place (default: 200 with --once, else no end).", "ORDERS"),
    ] = None,
    faults: Annotated[
        str,
        option(
            "all, none, or of: misroute, stale_binding, unroutable, requeue, concurrent, reorder.",
            "FAULTS",
        ),
    ] = "all",
    once: Annotated[
        bool, flag("--once", "Run the orders, compare injected with found, exit.")
    ] = False,
    ui: Ui = UI,
    api: Api = API,
) -> None:
    """Runs a small shop on a real RabbitMQ with injected faults, and shows what is found."""
    runner = _demo()
    known = (runner.FaultsError, runner.BrokerError, runner.DemoError)
    try:
        code = (
            runner.once(200 if orders is None else orders, faults)
            if once
            else runner.forever(orders, faults, ui, api)
        )
    except known as error:
        raise UsageProblem(str(error)) from None
    raise typer.Exit(code)


def _credentials(
    token: str | None, ca: Path | None, client_cert: Path | None, client_key: Path | None
) -> Any:
    client = _need("strayline_collector.commands.client", "collector")
    # where a collector's tokens stand in the environment, any one of them will do
    first = next(filter(None, (token or "").split(":")), None)
    return client.Credentials(first, ca, client_cert, client_key)


def main() -> NoReturn:
    """Runs the command line. Errors are one line on standard error and exit code 2."""
    if sys.argv[1:2] != ["run"]:  # its program's environment is not ours to touch
        # gRPC's core writes lines of its own about what we report in one
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        command = typer.main.get_command(app)
        code = command.main(prog_name="strayline", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        line = _line(error)
        if line is None:
            raise
        sys.stderr.write(f"strayline: {line}\n")
        sys.exit(2)


def _line(error: Exception) -> str | None:
    """One line for what the user can act on; None for a defect of ours."""
    if isinstance(error, UsageProblem):
        return str(error)
    if type(error).__module__ == "strayline_collector.errors":
        return str(error)
    message: Callable[[], str] | None = getattr(
        error, "format_message", None
    )  # click's usage errors
    if message is not None:
        return " ".join(message().split()) + " (see --help)"
    return None


def _need(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("strayline"):
            raise
        raise UsageProblem(
            f"this command needs the extra '{extra}' ({error.name} is missing): pip install 'strayline[{extra}]'"
        ) from None


def _check_severity(fail_on: str | None) -> None:
    if fail_on not in (None, "info", "warning", "error"):
        raise UsageProblem(f"--fail-on {fail_on}: expected info, warning or error")


def _demo() -> Any:
    """The demo's code, which is no part of the installed package: beside a checkout's sources, or
    in the working directory."""
    for root in (Path(__file__).resolve().parents[2], Path.cwd()):
        if (root / "demo_services" / "run.py").is_file():
            os.chdir(root)
            sys.path.insert(0, str(root))
            return _need("demo_services.run", "demo")
    raise UsageProblem(
        "the demo is not part of the installed package: run it in a checkout of the repository, or make demo there"
    )


__all__ = ["app", "main"]
