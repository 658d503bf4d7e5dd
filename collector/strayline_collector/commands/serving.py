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
from dataclasses import asdict

from strayline_collector.app import serve
from strayline_collector.decode.otlp import DECODER
from strayline_collector.settings import Addresses, CollectorSettings, parse_address


def settings(
    db: str,
    otlp_http: str,
    otlp_grpc: str,
    api: str,
    lateness: float,
    memory_limit: str | None,
    insecure: bool,
) -> CollectorSettings:
    """Options to settings. Raises ``UsageError``."""
    found = CollectorSettings(
        db=db,
        otlp_http=parse_address(otlp_http, "--otlp-http"),
        otlp_grpc=parse_address(otlp_grpc, "--otlp-grpc"),
        api=parse_address(api, "--api"),
        lateness_s=lateness,
        memory_limit=memory_limit,
        insecure=insecure,
    )
    found.check()
    return found


def collector(chosen: CollectorSettings, *, as_json: bool) -> None:
    """Runs a collector until it is told to stop."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")

    def ready(addresses: Addresses) -> None:
        _say(
            json.dumps({k: f"{v['host']}:{v['port']}" for k, v in asdict(addresses).items()})
            if as_json
            else _lines(addresses, chosen)
        )

    asyncio.run(serve(chosen, on_ready=ready))


def up(chosen: CollectorSettings, ui: str) -> None:
    """Runs a collector here and the dashboard as a child; both end together."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
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
                f"http://{addresses.api}",
                "--ui",
                ui,
                *(("--insecure",) if chosen.insecure else ()),
            ],
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


def _relay(child: subprocess.Popen[str]) -> None:
    for line in child.stdout or ():
        _say(line.rstrip())
    if child.wait() == 2:
        # without its dashboard `up` is not up
        os.kill(os.getpid(), signal.SIGTERM)


def _lines(addresses: Addresses, chosen: CollectorSettings) -> str:
    return (
        f"otlp/http  http://{addresses.otlp_http}\n"
        f"otlp/grpc  {addresses.otlp_grpc}\n"
        f"api        http://{addresses.api}\n"
        f"store      {chosen.db}, decoder: {DECODER}"
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
