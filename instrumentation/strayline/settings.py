"""Every environment variable that the instrumentation reads, in one table.

========================================  =============================================  =========
variable                                  meaning                                        default
========================================  =============================================  =========
OTEL_SDK_DISABLED                         true: nothing is instrumented                  false
OTEL_SERVICE_NAME                         ``service.name``                               unknown_service
OTEL_RESOURCE_ATTRIBUTES                  further resource attributes                    –
OTEL_EXPERIMENTAL_RESOURCE_DETECTORS      set: the SDK's detectors are asked             –
OTEL_TRACES_EXPORTER                      ``otlp``, ``console`` or ``none``              otlp
OTEL_EXPORTER_OTLP_ENDPOINT               base address; ``/v1/traces`` is added          http://127.0.0.1:4318
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT        whole address for traces                       –
OTEL_EXPORTER_OTLP_PROTOCOL               ``http/protobuf`` or ``grpc`` (extra)          http/protobuf
OTEL_EXPORTER_OTLP_HEADERS                ``key=value,…`` sent with each export          –
OTEL_EXPORTER_OTLP_COMPRESSION            ``gzip`` or ``none``                           none
OTEL_EXPORTER_OTLP_CERTIFICATE            file of the authorities trusted over https     system's
OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE     file of our own certificate (mutual TLS)       –
OTEL_EXPORTER_OTLP_CLIENT_KEY             file of its key                                –
OTEL_EXPORTER_OTLP_TIMEOUT                milliseconds for one export                    10000
OTEL_BSP_SCHEDULE_DELAY                   milliseconds between exports                   1000
OTEL_BSP_MAX_QUEUE_SIZE                   spans kept while the collector is away         8192
OTEL_BSP_MAX_EXPORT_BATCH_SIZE            spans in one export                            512
OTEL_SEMCONV_STABILITY_OPT_IN             ``http/dup``, ``rpc/dup``, ``messaging/dup``:  –
                                          old attribute names beside the new ones
OTEL_PYTHON_GRPC_EXCLUDED_SERVICES        ``package.Service`` or ``package.Service/      –
                                          Method``, comma-separated: not traced
OTEL_PYTHON_EXCLUDED_URLS                 regular expressions, comma-separated: URLs     –
                                          that match are not traced
OTEL_PYTHON_<LIBRARY>_EXCLUDED_URLS       the same for HTTPX, REQUESTS, AIOHTTP_CLIENT,  –
                                          FASTAPI, STARLETTE, FLASK or DJANGO alone
OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS   methods that are not ``_OTHER``                the RFCs'
OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST, …_SERVER_RESPONSE, …_CLIENT_REQUEST,
…_CLIENT_RESPONSE                         regular expressions: headers recorded          –
OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS
                                          regular expressions: of those, redacted        –
STRAYLINE_INSTRUMENT                      names of shims, comma-separated                all
STRAYLINE_EXCLUDE                         names of shims that stay off; without it       –
                                          OTEL_PYTHON_DISABLED_INSTRUMENTATIONS holds
STRAYLINE_STAMP_EXCLUDE                   exchanges whose messages are not stamped       –
STRAYLINE_TOPOLOGY_INTERVAL               seconds between two tellings of what the       60
                                          process declared; 0: it is told once
STRAYLINE_CAPTURE_BODY_BYTES              so much of each message's body is recorded     0
STRAYLINE_REDACT_BODY                     JSON paths redacted in bodies: ``$..password`` –
STRAYLINE_REDACT                          names of attributes, headers and URL            –
                                          parameters recorded as ``REDACTED``; ``*``
                                          stands for anything, case does not matter
========================================  =============================================  =========

The ``TRACES`` forms of the exporter variables win over the general ones. Sampler and span
limit variables are read in ``tracing/``, as the SDK reads them; propagators by the API itself.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from strayline.guard import log

_CAPTURE: Final = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_"


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment, read once."""

    disabled: bool
    exporter: str
    endpoint: str
    protocol: str
    headers: tuple[tuple[str, str], ...]
    gzip: bool
    certificate: str | None
    client_certificate: str | None
    client_key: str | None
    timeout_s: float
    delay_s: float
    queue_size: int
    batch_size: int
    instrument: frozenset[str] | None
    exclude: frozenset[str] | None
    otel_disabled: frozenset[str]
    stamp_exclude: frozenset[str]
    topology_interval_s: int
    dup: frozenset[str]
    grpc_exclude: frozenset[str]
    capture_body_bytes: int
    redact_body: tuple[str, ...]
    redact: tuple[str, ...]
    excluded_urls: Mapping[str, str]
    """By library, ``""`` for all: a comma-separated list."""
    known_methods: frozenset[str] | None
    capture_headers: Mapping[str, tuple[str, ...]]
    """By ``SERVER_REQUEST`` and so on."""
    sanitize_headers: tuple[str, ...]

    @staticmethod
    def read() -> Settings:
        """Reads the environment. What cannot be understood is said once and left at its default."""
        base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip() or "http://127.0.0.1:4318"
        names = _list("STRAYLINE_INSTRUMENT")
        return Settings(
            disabled=os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true",
            exporter=os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp",
            endpoint=os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip()
            or base.rstrip("/") + "/v1/traces",
            protocol=(_otlp("PROTOCOL") or "http/protobuf").lower(),
            headers=tuple(_pairs(_otlp("HEADERS"))),
            gzip=_otlp("COMPRESSION").lower() == "gzip",
            certificate=_otlp("CERTIFICATE") or None,
            client_certificate=_otlp("CLIENT_CERTIFICATE") or None,
            client_key=_otlp("CLIENT_KEY") or None,
            timeout_s=_number(
                "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT", default=10_000
            )
            / 1000,
            delay_s=_number("OTEL_BSP_SCHEDULE_DELAY", default=1000) / 1000,
            queue_size=max(1, _number("OTEL_BSP_MAX_QUEUE_SIZE", default=8192)),
            batch_size=max(1, _number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", default=512)),
            instrument=frozenset(names) if names else None,
            exclude=frozenset(_list("STRAYLINE_EXCLUDE")) or None,
            otel_disabled=frozenset(_list("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS")),
            stamp_exclude=frozenset(_list("STRAYLINE_STAMP_EXCLUDE")),
            topology_interval_s=_number("STRAYLINE_TOPOLOGY_INTERVAL", default=60),
            dup=frozenset(
                name.removesuffix("/dup").lower()
                for name in _list("OTEL_SEMCONV_STABILITY_OPT_IN")
                if name.endswith("/dup")
            ),
            grpc_exclude=frozenset(_list("OTEL_PYTHON_GRPC_EXCLUDED_SERVICES")),
            capture_body_bytes=_number("STRAYLINE_CAPTURE_BODY_BYTES", default=0),
            redact_body=tuple(_list("STRAYLINE_REDACT_BODY")),
            redact=tuple(_list("STRAYLINE_REDACT")),
            excluded_urls={
                name.removeprefix("OTEL_PYTHON_").removesuffix("EXCLUDED_URLS").rstrip("_"): value
                for name, value in os.environ.items()
                if name.startswith("OTEL_PYTHON_") and name.endswith("EXCLUDED_URLS")
            },
            known_methods=frozenset(_list("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS")) or None,
            capture_headers={
                side: tuple(_list(_CAPTURE + side))
                for side in (
                    "SERVER_REQUEST",
                    "SERVER_RESPONSE",
                    "CLIENT_REQUEST",
                    "CLIENT_RESPONSE",
                )
            },
            sanitize_headers=tuple(_list(_CAPTURE + "SANITIZE_FIELDS")),
        )


@functools.cache
def stamp_excluded() -> frozenset[str]:
    """Exchanges whose messages are not stamped. Asked for with every publish, so read once."""
    return Settings.read().stamp_exclude


@functools.cache
def topology_interval_s() -> int:
    """Seconds between two tellings of what the process declared; 0: it is told once."""
    return Settings.read().topology_interval_s


@functools.cache
def dup() -> frozenset[str]:
    """Categories (``http``, ``rpc``, ``messaging``) whose old attribute names are written too."""
    return Settings.read().dup


@functools.cache
def redacted() -> tuple[str, ...]:
    """Names whose values are never recorded."""
    return Settings.read().redact


@functools.cache
def bodies() -> tuple[int, tuple[str, ...]]:
    """Bytes of a message's body that are recorded, and the paths redacted in it."""
    settings = Settings.read()
    return settings.capture_body_bytes, settings.redact_body


def reread() -> None:
    """Has what is read once read again: when instrumentation is switched on."""
    stamp_excluded.cache_clear()
    topology_interval_s.cache_clear()
    dup.cache_clear()
    redacted.cache_clear()
    bodies.cache_clear()


def _otlp(name: str) -> str:
    traces = os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}", "").strip()
    return traces or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()


def _list(name: str) -> list[str]:
    return [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return [(name.strip(), unquote(value.strip())) for name, _, value in pairs]


def _number(*names: str, default: int) -> int:
    for name in names:
        text = os.environ.get(name, "").strip()
        if text.isascii() and text.isdigit():
            return int(text)
        if text:
            log.warning("%s=%s is no whole number; %d is used", name, text, default)
    return default
