"""Commands that run something: the collector, the dashboard, a program, the demo."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from strayline_collector.cli.needs import demo_runner, need
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


def _settings(
    db: Db = "strayline.duckdb",
    otlp_http: OtlpHttp = HTTP,
    otlp_grpc: OtlpGrpc = GRPC,
    api: Api = API,
    lateness: Lateness = "30s",
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
) -> Any:
    """``CollectorSettings`` of the options that every running collector takes. Raises ``UsageProblem``
    and ``UsageError``."""
    serving = need("strayline_collector.commands.serving", "collector")
    protection = serving.Protection(
        several(token, "TOKEN"), token_file, tls_cert, tls_key, tls_client_ca,
        several(allowed_host, "ALLOWED_HOST"),
    )  # fmt: skip
    knowledge = serving.Knowledge(
        tuple(contract or map(Path, several(None, "CONTRACT"))),
        urls(rabbitmq_api, "RABBITMQ_API"),
        several(threshold, "THRESHOLD"),
    )
    return serving.settings(
        db, otlp_http, otlp_grpc, api, lateness, memory_limit, insecure, protection, knowledge,
        serving.Beside(zipkin, forward, headers(forward_header)),
        retention, max_db_size,
        serving.Notices(urls(webhook, "WEBHOOK"), webhook_secret, webhook_severity),
    )  # fmt: skip


def configured(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes ``_settings``' options beside its own, and gets what they come to as its
    first argument: Typer reads the signature."""
    shared = inspect.signature(_settings, eval_str=True).parameters
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        settings = _settings(**{name: given.pop(name) for name in shared})
        command(settings, **given)

    run.__dict__["__signature__"] = inspect.Signature([*shared.values(), *own])
    return run


@configured
def up(
    settings: Any, ui: Ui = UI, client_cert: ClientCert = None, client_key: ClientKey = None
) -> None:
    """Runs collector and dashboard together; Ctrl-C stops both."""
    need("dash", "dashboard")
    need("strayline_collector.commands.serving", "collector").up(
        settings, ui, client_cert, client_key
    )


@configured
def collector(
    settings: Any,
    addresses_json: Annotated[
        bool,
        flag("--addresses-json", "Print the addresses as one line of JSON, for programs."),
    ] = False,
) -> None:
    """Takes OTLP, judges every message, answers the API."""
    need("strayline_collector.commands.serving", "collector").collector(
        settings, as_json=addresses_json
    )


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
    main = need("strayline_dashboard.main", "dashboard")
    entry = main.Entry(token, ca, None, client_cert, client_key)
    main.run(api, ui, insecure=insecure, entry=entry)


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
    """Runs a Python program unchanged, but instrumented. Every supported library is; its Python
    children too."""
    need("strayline_collector.commands.run", "collector").run(
        program, service_name, endpoint, only, exclude
    )


def compact(db: Db = "strayline.duckdb", memory_limit: MemoryLimit = None) -> None:
    """Rewrites a database without what was dropped. Its collector must have stopped."""
    need("strayline_collector.commands.compacting", "collector").run(db, memory_limit)


def demo(
    orders: Annotated[
        int | None,
        option("How many orders to place (default: 200 with --once, else no end).", "ORDERS"),
    ] = None,
    faults: Annotated[
        str,
        option(
            "all, none, or of: misroute, stale_binding, unroutable, requeue, discard, concurrent, reorder.",
            "FAULTS",
        ),
    ] = "all",
    once: Annotated[
        bool, flag("--once", "Run the orders, compare injected with found, exit.")
    ] = False,
    ui: Ui = UI,
    api: Api = API,
) -> None:
    """Runs a small shop on a real RabbitMQ, with faults to find."""
    runner = demo_runner()
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
