"""What a collector can be told, checked before anything starts."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Final

from strayline_collector.errors import UsageError

DEFAULT_OTLP_HTTP: Final = "127.0.0.1:4318"
DEFAULT_OTLP_GRPC: Final = "127.0.0.1:4317"
DEFAULT_API: Final = "127.0.0.1:4319"
DEFAULT_DB: Final = "strayline.duckdb"
MAX_REQUEST_BYTES: Final = 64 * 1024 * 1024
"""After decompression; OTLP leaves the cap to receivers, 64 MiB is the usual one."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a door listens. Port 0 means: any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Addresses:
    """The doors of a running collector, with the ports that were really bound."""

    otlp_http: Address
    otlp_grpc: Address
    api: Address


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """A collector's whole configuration."""

    db: str = DEFAULT_DB
    otlp_http: Address = field(
        default_factory=lambda: parse_address(DEFAULT_OTLP_HTTP, "--otlp-http")
    )
    otlp_grpc: Address = field(
        default_factory=lambda: parse_address(DEFAULT_OTLP_GRPC, "--otlp-grpc")
    )
    api: Address = field(default_factory=lambda: parse_address(DEFAULT_API, "--api"))
    lateness_s: float = 30.0
    insecure: bool = False
    memory_limit: str | None = None
    max_request_bytes: int = MAX_REQUEST_BYTES

    def check(self) -> None:
        """Raises ``UsageError`` for what must not be started."""
        for option, address in (
            ("--otlp-http", self.otlp_http),
            ("--otlp-grpc", self.otlp_grpc),
            ("--api", self.api),
        ):
            if not address.loopback and not self.insecure:
                raise UsageError(
                    f"{option} {address}: reachable from other machines without protection; "
                    "bind a loopback address, or say --insecure"
                )
        if not 0 <= self.lateness_s <= 3600:
            raise UsageError(f"--lateness {self.lateness_s}: give seconds from 0 to 3600")


def parse_address(text: str, option: str) -> Address:
    """``HOST:PORT``, ``[IPv6]:PORT`` or ``:PORT`` (loopback). Raises ``UsageError``."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"{option} {text}: expected HOST:PORT, for example 127.0.0.1:4318")
    return Address(host or "127.0.0.1", int(port))
