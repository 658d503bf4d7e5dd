"""``strayline up`` and ``strayline collector``."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from strayline_collector.access import Access, read_tokens
from strayline_collector.decode.otlp import DECODER
from strayline_collector.doors import serve
from strayline_collector.errors import UsageError
from strayline_collector.settings import (
    Addresses,
    CollectorSettings,
    Forward,
    parse_address,
    parse_forward,
    parse_wait,
)
from strayline_collector.store.duckdb.connection import without_pandas
from strayline_collector.tls import Tls


@dataclass(frozen=True, slots=True)
class Protection:
    """The options that say who may come in, as they were given."""

    tokens: tuple[str, ...] = ()
    token_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    allowed_hosts: tuple[str, ...] = ()

    def tls(self) -> Tls | None:
        """Raises ``UsageError`` when a part is missing."""
        if self.tls_cert is None and self.tls_key is None:
            if self.tls_client_ca is not None:
                raise UsageError("--tls-client-ca: needs --tls-cert and --tls-key as well")
            return None
        if self.tls_cert is None or self.tls_key is None:
            missing, there = (
                ("--tls-cert", "--tls-key")
                if self.tls_cert is None
                else ("--tls-key", "--tls-cert")
            )
            raise UsageError(f"{there}: needs {missing} as well")
        return Tls(self.tls_cert, self.tls_key, self.tls_client_ca)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The options that say what is to be known beside telemetry, as they were given."""

    contracts: tuple[Path, ...] = ()
    rabbitmq_api: tuple[str, ...] = ()
    thresholds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notices:
    """The options that say who is told of findings, as they were given."""

    webhooks: tuple[str, ...] = ()
    secret: str | None = None
    severity: str = "warning"


@dataclass(frozen=True, slots=True)
class Beside:
    """The options for what is beside OTLP's own doors, as they were given."""

    zipkin: str | None = None
    forward: str | None = None
    forward_headers: tuple[str, ...] = ()

    def forwarding(self) -> Forward | None:
        """Raises ``UsageError``."""
        if self.forward is None:
            if self.forward_headers:
                raise UsageError("--forward-header: needs --forward as well")
            return None
        return parse_forward(self.forward, self.forward_headers)


def settings(
    db: str,
    otlp_http: str,
    otlp_grpc: str,
    api: str,
    lateness: str,
    memory_limit: str | None,
    insecure: bool,
    protection: Protection | None = None,
    knowledge: Knowledge | None = None,
    beside: Beside | None = None,
    retention: str | None = None,
    max_db_size: str | None = None,
    notices: Notices | None = None,
) -> CollectorSettings:
    """Options to settings. Raises ``UsageError``."""
    protection, beside = protection or Protection(), beside or Beside()
    knowledge, notices = knowledge or Knowledge(), notices or Notices()
    found = CollectorSettings(
        db=db,
        otlp_http=parse_address(otlp_http, "--otlp-http"),
        otlp_grpc=parse_address(otlp_grpc, "--otlp-grpc"),
        api=parse_address(api, "--api"),
        zipkin=None if beside.zipkin is None else parse_address(beside.zipkin, "--zipkin"),
        forward=beside.forwarding(),
        lateness_s=parse_wait(lateness, "--lateness"),
        memory_limit=memory_limit,
        retention=retention,
        max_db_size=max_db_size,
        insecure=insecure,
        access=Access(read_tokens(protection.tokens, protection.token_file)),
        tls=protection.tls(),
        allowed_hosts=protection.allowed_hosts,
        contracts=knowledge.contracts,
        rabbitmq_api=knowledge.rabbitmq_api,
        thresholds=knowledge.thresholds,
        webhooks=notices.webhooks,
        webhook_secret=notices.secret,
        webhook_severity=notices.severity,
    )
    found.check()
    return found


def collector(chosen: CollectorSettings, *, as_json: bool) -> None:
    """Runs a collector until it is told to stop."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    without_pandas()

    def ready(addresses: Addresses) -> None:
        _say(
            json.dumps({k: f"{v['host']}:{v['port']}" for k, v in asdict(addresses).items() if v})
            if as_json
            else _lines(addresses, chosen)
        )

    asyncio.run(serve(chosen, on_ready=ready))


def up(
    chosen: CollectorSettings, ui: str, client_cert: Path | None, client_key: Path | None
) -> None:
    """Runs a collector here and the dashboard as a child; both end together. Raises
    ``UsageError`` when mutual TLS is asked for and the dashboard has no certificate to show."""
    if chosen.tls is not None and chosen.tls.client_ca is not None and client_cert is None:
        raise UsageError(
            "--tls-client-ca: the dashboard must show a certificate too; give --client-cert and "
            "--client-key, or run collector and dashboard apart"
        )
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    without_pandas()
    parse_address(ui, "--ui")
    children: list[subprocess.Popen[str]] = []

    def ready(addresses: Addresses) -> None:
        _say(_lines(addresses, chosen))
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "strayline_dashboard",
                "--api",
                f"{chosen.scheme}://{addresses.api.local()}",
                "--ui",
                ui,
                *(("--insecure",) if chosen.insecure else ()),
            ],
            # in the environment, not among the arguments, which every user of the machine can read
            env={**os.environ, **_for_dashboard(chosen, client_cert, client_key)},
            stdout=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        threading.Thread(target=_relay, args=(child,), daemon=True).start()

    try:
        asyncio.run(serve(chosen, on_ready=ready))
    finally:
        for child in children:
            child.terminate()
            child.wait()
    if any(child.returncode == 2 for child in children):
        sys.exit(2)  # the dashboard has said why


def _for_dashboard(
    chosen: CollectorSettings, client_cert: Path | None, client_key: Path | None
) -> dict[str, str]:
    """How our own dashboard gets in: with a token, and sure of this very certificate, whatever
    names it is for."""
    told = {
        "STRAYLINE_TOKEN": chosen.access.tokens[0] if chosen.access.tokens else None,
        "STRAYLINE_PINNED_CERT": chosen.tls and str(chosen.tls.cert),
        "STRAYLINE_CLIENT_CERT": client_cert and str(client_cert),
        "STRAYLINE_CLIENT_KEY": client_key and str(client_key),
    }
    return {name: value for name, value in told.items() if value}


def _relay(child: subprocess.Popen[str]) -> None:
    for line in child.stdout or ():
        _say(line.rstrip())
    if child.wait() == 2:
        # without its dashboard `up` is not up
        os.kill(os.getpid(), signal.SIGTERM)


def _lines(addresses: Addresses, chosen: CollectorSettings) -> str:
    return (
        f"otlp/http  {chosen.scheme}://{addresses.otlp_http}\n"
        f"otlp/grpc  {addresses.otlp_grpc}\n"
        f"api        {chosen.scheme}://{addresses.api}\n"
        + (
            f"zipkin     {chosen.scheme}://{addresses.zipkin}/api/v2/spans\n"
            if addresses.zipkin
            else ""
        )
        + (f"forward    {chosen.forward}\n" if chosen.forward else "")
        + f"store      {chosen.db}, decoder: {DECODER}"
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
