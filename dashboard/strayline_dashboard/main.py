"""Serving the dashboard, by itself or as the child of ``strayline up``."""

from __future__ import annotations

import argparse
import ipaddress
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import uvicorn

from strayline_dashboard.app import build_app
from strayline_dashboard.client import Entry
from strayline_dashboard.live import Live


class AddressProblem(Exception):
    """The address cannot be used; the text is one clear line."""


class _Server(uvicorn.Server):
    """Ends what would go on for ever before it waits for what is under way. To be told to stop is no
    failure: it exits with 0, as the collector does."""

    def __init__(self, config: uvicorn.Config, live: Live) -> None:
        super().__init__(config)
        self._live = live

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn's own would raise the signal again when all is closed
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._live.close()
        await super().shutdown(sockets)


def serve(api_url: str, host: str, port: int, entry: Entry) -> None:
    """Serves until SIGINT or SIGTERM; says the address once it accepts. Raises ``AddressProblem``."""
    hosts = ("*",) if host in ("0.0.0.0", "::") else (host,)
    try:
        built = build_app(api_url, hosts, entry, os.environ.get("STRAYLINE_DEMO_SHOP"))
    except (OSError, ValueError) as error:
        raise AddressProblem(
            f"--ca, --client-cert, --client-key: cannot be used: {error}"
        ) from None
    with _listen(host, port) as listener:
        server = _Server(
            uvicorn.Config(
                built.server,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=2,
            ),
            built.live,
        )
        threading.Thread(
            target=_announce, args=(server, listener.getsockname()), daemon=True
        ).start()
        server.run(sockets=[listener])


def run(api_url: str, ui: str, *, insecure: bool = False, entry: Entry | None = None) -> None:
    """As ``strayline dashboard``: one line and exit code 2 for what cannot be, and for an address
    that other machines can reach unless ``insecure`` says so."""
    host, _, port = ui.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    try:
        if not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise AddressProblem(f"--ui {ui}: expected HOST:PORT, for example 127.0.0.1:8050")
        if not insecure and not _loopback(host):
            raise AddressProblem(
                f"--ui {ui}: reachable from other machines without protection; bind a loopback address, or say --insecure"
            )
        serve(_api_url(api_url), host, int(port), entry or Entry())
    except AddressProblem as problem:
        sys.stderr.write(f"strayline: {problem}\n")
        sys.exit(2)


def main(arguments: Sequence[str] | None = None) -> None:
    """``python -m strayline_dashboard``."""
    parser = argparse.ArgumentParser(prog="strayline dashboard")
    parser.add_argument("--api", default="http://127.0.0.1:4319", help="URL of the collector's API")
    parser.add_argument(
        "--ui", default="127.0.0.1:8050", help="address to serve on; port 0 picks a free one"
    )
    parser.add_argument(
        "--insecure", action="store_true", help="allow an address that other machines can reach"
    )
    options = parser.parse_args(arguments)
    run(options.api, options.ui, insecure=options.insecure, entry=_entry())


def _entry() -> Entry:
    """From the environment alone: arguments can be read by every user of the machine."""

    def path(name: str) -> Path | None:
        value = os.environ.get(f"STRAYLINE_{name}")
        return Path(value) if value else None

    token = next(filter(None, os.environ.get("STRAYLINE_TOKEN", "").split(":")), None)
    return Entry(token, path("CA"), path("PINNED_CERT"), path("CLIENT_CERT"), path("CLIENT_KEY"))


def _api_url(told: str) -> str:
    """A URL, or HOST:PORT over HTTP. Raises ``AddressProblem`` for what no collector can have; one
    that does not answer yet may come."""
    url = told if "://" in told else f"http://{told}"
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits or any(c.isspace() for c in url):
        raise AddressProblem(f"--api {told}: expected a URL, for example http://127.0.0.1:4319")
    return url


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        reason = (error.strerror or str(error)).lower()
        raise AddressProblem(f"--ui {host}:{port}: {reason}; choose another port") from None
    return listener


def _announce(server: uvicorn.Server, address: tuple[str, int]) -> None:
    pause = threading.Event()
    while not server.started:
        if pause.wait(0.02) or server.should_exit:
            return
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    sys.stdout.write(f"dashboard  http://{host}:{address[1]}\n")
    sys.stdout.flush()
