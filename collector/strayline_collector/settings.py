"""What a collector can be told, checked before anything starts."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from strayline_collector.access import OPEN, Access
from strayline_collector.detect.thresholds import parse_thresholds
from strayline_collector.errors import UsageError
from strayline_collector.memory import memory_limit, parse_size
from strayline_collector.tls import Tls

DEFAULT_OTLP_HTTP: Final = "127.0.0.1:4318"
DEFAULT_OTLP_GRPC: Final = "127.0.0.1:4317"
DEFAULT_API: Final = "127.0.0.1:4319"
DEFAULT_DB: Final = "strayline.duckdb"
MAX_REQUEST_BYTES: Final = 64 * 1024 * 1024
"""After decompression; OTLP leaves the cap to receivers, 64 MiB is the usual one."""


_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A header's name (RFC 9110)."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a door listens. Port 0 means: any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it: everything that the host stands for must be
        loopback, IPv4 written as IPv6 among it. A name that stands for nothing is not."""
        return bool(found := self.stands_for()) and all(ip.is_loopback for ip in found)

    @property
    def wildcard(self) -> bool:
        """Whether it means every address of this machine."""
        return any(ip.is_unspecified for ip in self.stands_for())

    def stands_for(self) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
        """The addresses that the host is or resolves to, as IPv4 where they are that."""
        try:
            found = socket.getaddrinfo(self.host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return []
        texts = {str(address[0]).partition("%")[0] for *_, address in found}
        return [_as_ipv4(ipaddress.ip_address(text)) for text in sorted(texts)]

    def local(self) -> Address:
        """Where a process of this machine finds it: a wildcard is no place to connect to."""
        if not self.wildcard:
            return self
        return Address("::1" if ":" in self.host else "127.0.0.1", self.port)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The doors of a running collector, with the ports that were really bound."""

    otlp_http: Address
    otlp_grpc: Address
    api: Address
    zipkin: Address | None = None


@dataclass(frozen=True, slots=True)
class Forward:
    """Another OTLP backend that gets everything: where it takes traces, and headers for it."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """The URL, less what is secret in it."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


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
    zipkin: Address | None = None
    forward: Forward | None = None
    lateness_s: float = 30.0
    insecure: bool = False
    access: Access = OPEN
    tls: Tls | None = None
    allowed_hosts: tuple[str, ...] = ()
    contracts: tuple[Path, ...] = ()
    rabbitmq_api: tuple[str, ...] = field(default=(), repr=False)
    """URLs of management APIs, with their passwords."""
    topology_every_s: float = 10.0
    webhooks: tuple[str, ...] = field(default=(), repr=False)
    """URLs, which may be secrets."""
    webhook_secret: str | None = field(default=None, repr=False)
    webhook_severity: str = "warning"
    thresholds: tuple[str, ...] = ()
    """``NAME=VALUE`` each, of ``detect/thresholds.py``."""
    memory_limit: str | None = None
    retention: str | None = None
    """How long telemetry is kept after its arrival, as ``7d``."""
    max_db_size: str | None = None
    max_request_bytes: int = MAX_REQUEST_BYTES

    @property
    def scheme(self) -> str:
        """Of every HTTP door."""
        return "http" if self.tls is None else "https"

    def check(self) -> None:
        """Raises ``UsageError`` for what must not be started."""
        for option, address in (
            ("--otlp-http", self.otlp_http),
            ("--otlp-grpc", self.otlp_grpc),
            ("--api", self.api),
            *((("--zipkin", self.zipkin),) if self.zipkin is not None else ()),
        ):
            if not address.stands_for():
                raise UsageError(f"{option} {address}: no such host; give a name or an address")
            if not (address.loopback or self._protected() or self.insecure):
                raise UsageError(
                    f"{option} {address}: reachable from other machines without protection; bind a "
                    "loopback address, give --token or --tls-client-ca, or say --insecure"
                )
        if self.forward is not None and _comes_back(self.forward.url, self.otlp_http):
            raise UsageError(
                f"--forward {self.forward}: is --otlp-http itself; everything would come round again"
            )
        memory_limit(self.memory_limit)
        parse_thresholds(self.thresholds)
        self.kept()
        if not 0 <= self.lateness_s <= 3600:
            raise UsageError(f"--lateness {self.lateness_s}: give seconds from 0 to 3600")

    def kept(self) -> tuple[int | None, int | None]:
        """Nanoseconds and bytes that are kept; None without limit. Raises ``UsageError``."""
        age = None if self.retention is None else parse_age(self.retention, "--retention")
        if self.max_db_size is None:
            return age, None
        size = parse_size(self.max_db_size, "--max-db-size")
        if size < LEAST_DB:
            raise UsageError(f"--max-db-size {self.max_db_size}: give at least 100MB")
        return age, size

    def warnings(self) -> list[str]:
        """What may be started and should be known, one line each."""
        found = [complaint] if self.tls is not None and (complaint := self.tls.complaint()) else []
        doors = (self.otlp_http, self.otlp_grpc, self.api, self.zipkin)
        public = [door for door in doors if door is not None and not door.loopback]
        if public and self.access.tokens and self.tls is None:
            found.append(
                f"{public[0]}: the token crosses the network readable by anyone on the way; "
                "give --tls-cert and --tls-key"
            )
        return found

    def _protected(self) -> bool:
        mutual = self.tls is not None and self.tls.client_ca is not None
        return mutual or bool(self.access.tokens)


_AGES_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
LEAST_DB: Final = 100_000_000


def parse_age(text: str, option: str) -> int:
    """``90s``, ``30m``, ``12h`` or ``7d`` to nanoseconds. Raises ``UsageError``."""
    number, unit = text[:-1], text[-1:]
    if unit not in _AGES_S or not number.isascii() or not number.isdigit() or not int(number):
        raise UsageError(f"{option} {text}: expected a time such as 90s, 30m, 12h or 7d")
    return int(number) * _AGES_S[unit] * 1_000_000_000


def parse_wait(text: str, option: str) -> float:
    """Seconds, ``30``, ``0.5`` or ``30s``, or ``2m``. Raises ``UsageError``."""
    unit = _AGES_S.get(text[-1:])
    try:
        return float(text) if unit is None else float(text[:-1]) * unit
    except ValueError:
        raise UsageError(f"{option} {text}: expected seconds, as 30 or 30s, or 2m") from None


def parse_address(text: str, option: str) -> Address:
    """``HOST:PORT``, ``[IPv6]:PORT`` or ``:PORT`` (loopback). Raises ``UsageError``."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"{option} {text}: expected HOST:PORT, for example 127.0.0.1:4318")
    return Address(host or "127.0.0.1", int(port))


def parse_forward(url: str, headers: Iterable[str]) -> Forward:
    """``http(s)://HOST[:PORT][/PATH]`` of a backend, ``/v1/traces`` added where it lacks, and
    ``NAME=VALUE`` headers. Raises ``UsageError``."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or port == 0:
        raise UsageError(
            f"--forward {url}: expected http://HOST:PORT or https://HOST:PORT of an OTLP/HTTP backend"
        )
    path = parts.path.rstrip("/")
    path = path if path.endswith("/v1/traces") else f"{path}/v1/traces"
    return Forward(
        urlunsplit((parts.scheme, parts.netloc, path, "", "")), tuple(map(_header, headers))
    )


def _header(told: str) -> tuple[str, str]:
    name, found, value = told.partition("=")
    name, value = name.strip(), value.strip()
    if not found or _TOKEN.fullmatch(name) is None or not (value.isascii() and value.isprintable()):
        raise UsageError(f"--forward-header {name}: expected NAME=VALUE of an HTTP header")
    return name, value


def _comes_back(url: str, door: Address) -> bool:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if port != door.port:
        return False
    there = set(Address(parts.hostname or "", port).stands_for())
    loopback = any(ip.is_loopback for ip in there)
    return bool(there & set(door.stands_for())) or (loopback and door.wildcard)


def _as_ipv4(
    found: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
