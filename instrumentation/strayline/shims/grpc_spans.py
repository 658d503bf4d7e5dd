"""What client and server share: names, attributes, status, metadata."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import grpc
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import Span, StatusCode

from strayline.conventions import ERROR_TYPE, SERVER_ADDRESS, SERVER_PORT
from strayline.guard import survived

SERVER_FAULTS: Final = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Codes that are the server's error by the semantic conventions; the others are the client's."""


def call_attributes(method: str | bytes) -> tuple[str, dict[str, Any]]:
    """Span name and attributes of ``/package.Service/Method``."""
    text = method.decode("ascii", "replace") if isinstance(method, bytes) else method
    name = text.removeprefix("/")
    service, _, function = name.rpartition("/")
    return name, {"rpc.system": "grpc", "rpc.service": service, "rpc.method": function}


def target_attributes(target: str) -> dict[str, Any]:
    """Server address and port of a channel's target, where it names them."""
    place = target.rpartition("/")[2]
    host, _, port = place.rpartition(":")
    if not host or not port.isdigit():
        return {SERVER_ADDRESS: place}
    return {SERVER_ADDRESS: host.strip("[]"), SERVER_PORT: int(port)}


def finish(span: Span, code: grpc.StatusCode | None, details: str | None, *, server: bool) -> None:
    """Writes the outcome and ends the span. ``code`` None counts as OK."""
    with survived("ending a gRPC span"):
        code = code or grpc.StatusCode.OK
        span.set_attribute("rpc.grpc.status_code", code.value[0])
        if code in SERVER_FAULTS or (not server and code is not grpc.StatusCode.OK):
            span.set_attribute(ERROR_TYPE, code.name)
            span.set_status(StatusCode.ERROR, details or code.name)
    span.end()


class Metadata(Getter[Any]):
    """Reads trace context from invocation metadata, pairs of text keys and text or bytes."""

    def get(self, carrier: Any, key: str) -> list[str] | None:
        found = [value for name, value in carrier or () if name == key and isinstance(value, str)]
        return found or None

    def keys(self, carrier: Any) -> list[str]:
        return [name for name, _ in carrier or ()]


METADATA: Final = Metadata()


def with_context(metadata: Iterable[Any] | None, injected: dict[str, str]) -> list[tuple[str, Any]]:
    """The caller's metadata, a copy, with trace context added."""
    kept = [(key, value) for key, value in metadata or () if key not in injected]
    return [*kept, *injected.items()]
