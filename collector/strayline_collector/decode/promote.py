"""Attributes that graphs, searches and the message history need as columns of their own.

Old and new names of the semantic conventions are read, the new first: HTTP and RPC changed
theirs in 1.2x, messaging in 1.17 and again in 1.24; databases in 1.30.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

PRODUCER: Final = 4
CONSUMER: Final = 5

TEXT_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "http_method": ("http.request.method", "http.method"),
    "http_route": ("http.route",),
    "rpc_system": ("rpc.system.name", "rpc.system"),
    "rpc_service": ("rpc.service",),
    "rpc_method": ("rpc.method",),
    "rpc_status": ("rpc.response.status_code", "rpc.grpc.status_code"),
    "messaging_system": ("messaging.system",),
    "db_system": ("db.system.name", "db.system"),
    "server_address": ("server.address", "net.peer.name", "net.host.name"),
    "peer_service": ("service.peer.name", "peer.service"),
}

_OPERATIONS: Final = {
    "send": "publish",
    "publish": "publish",
    "create": "publish",
    "process": "process",
    "deliver": "process",
    "receive": "receive",
    "settle": "settle",
}
_RABBITMQS: Final = ("celery.action", "spring.rabbit.template.name", "spring.rabbit.listener.id")
"""Attributes of which a text makes a span one of these."""


def promoted(kind: int, attributes: Mapping[str, Any]) -> dict[str, str | int | None]:
    """The promoted columns of one span, by column name. Values of a wrong type become null."""
    columns: dict[str, str | int | None] = {
        column: _text(attributes, names) for column, names in TEXT_COLUMNS.items()
    }
    columns["http_status_code"] = _number(
        attributes, ("http.response.status_code", "http.status_code"), 0x7FFF
    )
    columns["server_port"] = _number(
        attributes, ("server.port", "net.peer.port", "net.host.port"), 0x7FFFFFFF
    )
    columns["url_path"] = _path(attributes)
    if _is_rabbitmqs(attributes):
        columns["messaging_system"] = "rabbitmq"
    columns["messaging_operation"] = _operation(kind, attributes)
    columns["rpc_service"], columns["rpc_method"] = _called(
        columns["rpc_service"], columns["rpc_method"]
    )
    return columns


def _text(attributes: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, int):
            return str(value)
    return None


def _number(attributes: Mapping[str, Any], names: tuple[str, ...], limit: int) -> int | None:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
            value = int(value)
        if isinstance(value, int) and 0 <= value <= limit:
            return int(value)
    return None


def _called(
    service: str | int | None, method: str | int | None
) -> tuple[str | int | None, str | int | None]:
    """Service and method by themselves: ``rpc.method`` was the method alone beside ``rpc.service``,
    and says ``package.Service/Method`` since RPC's names became stable."""
    if isinstance(method, str) and "/" in method:
        within, _, name = method.removeprefix("/").rpartition("/")
        if within and name and service in (None, within):
            return within, name
    return service, method


def _path(attributes: Mapping[str, Any]) -> str | None:
    path = _text(attributes, ("url.path", "http.target"))
    return path.partition("?")[0] if path is not None else None


def _is_rabbitmqs(attributes: Mapping[str, Any]) -> bool:
    """Of spans that name no messaging system: Celery's contrib instrumentation (whatever carries its
    tasks, Celery gives them AMQP's exchanges, keys and queues), Spring AMQP 3's own observations of
    its template and its listeners (Micrometer), and what MassTransit received."""
    if "messaging.system" in attributes:
        return False
    address = attributes.get("messaging.masstransit.input_address")
    return any(isinstance(attributes.get(name), str) for name in _RABBITMQS) or (
        isinstance(address, str) and address.startswith("rabbitmq")
    )


def _operation(kind: int, attributes: Mapping[str, Any]) -> str | None:
    if "messaging.system" not in attributes and not _is_rabbitmqs(attributes):
        return None
    for name in ("messaging.operation.type", "messaging.operation", "messaging.operation.name"):
        value = attributes.get(name)
        if isinstance(value, str) and value in _OPERATIONS:
            return _OPERATIONS[value]
    return {PRODUCER: "publish", CONSUMER: "process"}.get(kind)
