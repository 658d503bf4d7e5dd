"""What the commands' options are called, say and read from the environment.

Each option reads ``STRAYLINE_<OPTION>``; one that may be repeated reads several values from it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

HTTP, GRPC, API, UI = "127.0.0.1:4318", "127.0.0.1:4317", "127.0.0.1:4319", "127.0.0.1:8050"
API_URL = f"http://{API}"


def option(default_help: str, name: str) -> Any:
    return typer.Option(
        help=default_help, envvar=f"STRAYLINE_{name}", show_default=True, show_envvar=True
    )


def flag(name: str, default_help: str) -> Any:
    """As ``option``, where the parameter is not named as the flag is."""
    variable = name.removeprefix("--").upper().replace("-", "_")
    return typer.Option(name, help=default_help, envvar=f"STRAYLINE_{variable}", show_envvar=True)


def repeatable(default_help: str, name: str, separator: str = ":") -> Any:
    """As ``option``, read by ``several`` and its like: a variable holds several values."""
    return typer.Option(
        f"--{name.lower().replace('_', '-')}",
        help=f"{default_help} (repeatable; in STRAYLINE_{name} separated by '{separator}').",
    )


Db = Annotated[str, option("File that holds everything; ':memory:' keeps nothing.", "DB")]
OtlpHttp = Annotated[
    str, option("Address for OTLP over HTTP; port 0 picks a free one.", "OTLP_HTTP")
]
OtlpGrpc = Annotated[str, option("Address for OTLP over gRPC.", "OTLP_GRPC")]
Api = Annotated[str, option("Address of the API.", "API")]
Ui = Annotated[str, option("Address of the dashboard.", "UI")]
ApiUrl = Annotated[str, option("URL of a running collector's API.", "API")]
Lateness = Annotated[
    str,
    option(
        "How long to wait for late telemetry before a verdict opens, in seconds or such as 2m.",
        "LATENESS",
    ),
]
RetentionAge = Annotated[
    str | None,
    option(
        "Drop telemetry this long after it arrived, such as 90s, 30m, 12h or 7d; whole days first. "
        "Findings keep their summary.",
        "RETENTION",
    ),
]
MaxDbSize = Annotated[
    str | None,
    option(
        "Drop the oldest telemetry when the database outgrows this, such as 500MB or 20GB.",
        "MAX_DB_SIZE",
    ),
]
MemoryLimit = Annotated[
    str | None,
    option(
        "Memory for the collector, such as 512MB or 1.5GiB "
        "(default: a quarter of the machine, at most 2GB).",
        "MEMORY_LIMIT",
    ),
]
Zipkin = Annotated[
    str | None,
    option(
        "Address for Zipkin's v2 JSON, usually 127.0.0.1:9411 (default: no such door).", "ZIPKIN"
    ),
]
ForwardUrl = Annotated[
    str | None,
    option("Another OTLP/HTTP backend that gets everything too, as http://HOST:PORT.", "FORWARD"),
]
ForwardHeader = Annotated[
    list[str] | None,
    repeatable("Header for that backend, NAME=VALUE", "FORWARD_HEADER", ","),
]
Insecure = Annotated[bool, option("Allow addresses that other machines can reach.", "INSECURE")]

Tokens = Annotated[
    list[str] | None,
    repeatable("Token that clients must show, any of several", "TOKEN"),
]
TokenFile = Annotated[
    Path | None, option("File of tokens, one a line: not seen by other users.", "TOKEN_FILE")
]
TlsCert = Annotated[Path | None, option("Certificate in PEM: every door speaks TLS.", "TLS_CERT")]
TlsKey = Annotated[Path | None, option("The certificate's private key in PEM.", "TLS_KEY")]
TlsClientCa = Annotated[
    Path | None,
    option("Who signs clients' certificates; only such clients come in.", "TLS_CLIENT_CA"),
]
AllowedHost = Annotated[
    list[str] | None,
    repeatable("Further name that the API is called by", "ALLOWED_HOST"),
]
Contracts = Annotated[
    list[Path] | None,
    repeatable("AsyncAPI 3.0 document that says which message goes where", "CONTRACT"),
]
Reference = Annotated[
    list[Path] | None,
    repeatable(
        "RabbitMQ definitions document of a whole broker, as rabbitmqctl export_definitions writes it, that says "
        "what is meant to be there",
        "TOPOLOGY",
    ),
]
Webhook = Annotated[
    list[str] | None,
    repeatable(
        "URL that is told of findings, as Slack's incoming webhooks are; others of this machine can "
        "read arguments, so prefer the environment",
        "WEBHOOK",
    ),
]
WebhookSecret = Annotated[
    str | None,
    option("Signs notices (HMAC-SHA256); prefer the environment.", "WEBHOOK_SECRET"),
]
WebhookSeverity = Annotated[
    str, option("The least severity that is told: info, warning or error.", "WEBHOOK_SEVERITY")
]
ThresholdValues = Annotated[
    list[str] | None,
    repeatable(
        "Number in a verdict's definition, NAME=VALUE, such as loop_tries=10; docs/messages.md lists them",
        "THRESHOLD",
    ),
]
RabbitMqApi = Annotated[
    list[str] | None,
    repeatable(
        "Management API of a broker whose topology and queues to follow, http://USER:PASSWORD@HOST:15672; others "
        "of this machine can read arguments, so prefer the environment",
        "RABBITMQ_API",
    ),
]
Token = Annotated[str | None, option("The collector's token.", "TOKEN")]
Ca = Annotated[Path | None, option("Whose certificates to trust, in PEM.", "CA")]
ClientCert = Annotated[Path | None, option("Certificate to show, in PEM.", "CLIENT_CERT")]
ClientKey = Annotated[Path | None, option("Its private key, in PEM.", "CLIENT_KEY")]


def several(given: list[str] | None, name: str) -> tuple[str, ...]:
    """A repeatable option: its values, else those of its variable, separated by ``:``."""
    return tuple(given or filter(None, os.environ.get(f"STRAYLINE_{name}", "").split(":")))


def urls(given: list[str] | None, name: str) -> tuple[str, ...]:
    """As ``several``; a ``:`` within a URL separates nothing."""
    said = os.environ.get(f"STRAYLINE_{name}", "")
    return tuple(given or filter(None, re.split(r":(?=https?://)", said)))


def headers(given: list[str] | None) -> tuple[str, ...]:
    """As ``several``, separated by commas as OpenTelemetry's variables are: values hold colons."""
    told = os.environ.get("STRAYLINE_FORWARD_HEADER", "").split(",")
    return tuple(given or filter(None, map(str.strip, told)))
