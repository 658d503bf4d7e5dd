"""What client and server spans share: names, attributes, outcomes, metadata.

Semantic conventions 1.44 for gRPC. What does not change from call to call is made once.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import grpc
from opentelemetry.context import Context
from opentelemetry.trace import Span, StatusCode

from strayline import propagation, redact, settings
from strayline.conventions import (
    CLIENT_ADDRESS,
    CLIENT_PORT,
    ERROR_TYPE,
    RPC_METHOD,
    RPC_STATUS_CODE,
    RPC_SYSTEM_NAME,
    SERVER_ADDRESS,
    SERVER_PORT,
)
from strayline.guard import survived

OK: Final = grpc.StatusCode.OK
UNKNOWN: Final = grpc.StatusCode.UNKNOWN
CANCELLED: Final = grpc.StatusCode.CANCELLED
DEADLINE_EXCEEDED: Final = grpc.StatusCode.DEADLINE_EXCEEDED
CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
"""By their numbers."""
SERVER_FAULTS: Final = frozenset(
    {
        UNKNOWN,
        DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Codes that are the server's error by the semantic conventions; the others are the client's."""
CLIENT_FAULTS: Final = frozenset(grpc.StatusCode) - {OK}
MAX_INJECTED: Final = 4096
"""Longer values stay at home: a gRPC server may refuse a call with more than 8 KiB of metadata."""
MAX_EXTRACTED: Final = 8192
"""Longer values are nobody's trace context."""
_KEPT: Final = 1024
"""So many methods, peers and targets are remembered; a client may make up any number of them."""
_SCHEMES: Final = frozenset(
    {"dns", "ipv4", "ipv6", "unix", "unix-abstract", "vsock", "xds", "passthrough", "google-c2p"}
)
_dup = False
_excluded: frozenset[str] = frozenset()


class Known(NamedTuple):
    """What is the same for every call of a method."""

    name: str
    attributes: Mapping[str, Any]


def configure() -> None:
    """Reads the environment. Before the first call."""
    global _dup, _excluded
    read = settings.Settings.read()
    _dup = "rpc" in read.dup
    _excluded = read.grpc_exclude
    for remembered in (called, served, peer_attributes):
        remembered.cache_clear()


@functools.lru_cache(_KEPT)
def called(method: bytes | str, target: bytes | str | None) -> Known | None:
    """What a client says of ``/package.Service/Method`` at a channel's target; None when the
    method is excluded."""
    known = served(_text(method))
    if known is None:
        return None
    place = {} if target is None else target_attributes(_text(target))
    if _dup:
        place |= _old_peer("net.peer.name", place.get(SERVER_ADDRESS), place.get(SERVER_PORT))
    return Known(known.name, redact.attributes({**known.attributes, **place}))


@functools.lru_cache(_KEPT)
def served(method: str) -> Known | None:
    """What a server says of ``/package.Service/Method``; None when it is excluded."""
    name = method.removeprefix("/")
    service = name.rpartition("/")[0]
    if service in _excluded or name in _excluded:
        return None
    attributes = {RPC_SYSTEM_NAME: "grpc", RPC_METHOD: name}
    if _dup:  # ``rpc.method`` was the bare name once; where both want the key the new one has it
        attributes |= {"rpc.system": "grpc", "rpc.service": service}
    return Known(name, redact.attributes(attributes))


def target_attributes(target: str) -> dict[str, Any]:
    """Server address and port of a channel's target, ``host:port`` or a URI of one of gRPC's
    name resolvers. A target that lists several addresses stays whole."""
    scheme, colon, place = target.partition(":")
    if not colon or scheme not in _SCHEMES:
        scheme, place = "dns", target
    if scheme.startswith("unix"):
        return {SERVER_ADDRESS: place.removeprefix("//")}
    if place.startswith("//"):  # an authority, such as the name server to ask, then the name
        place = place[2:].partition("/")[2]
    return _address(place, SERVER_ADDRESS, SERVER_PORT)


@functools.lru_cache(_KEPT)
def peer_attributes(peer: str) -> Mapping[str, Any]:
    """The client's address and port, of ``ipv4:127.0.0.1:57284`` and its like."""
    scheme, _, place = peer.partition(":")
    if scheme not in ("ipv4", "ipv6"):
        return redact.attributes({CLIENT_ADDRESS: place}) if place else {}
    found = _address(unquote(place.partition(",")[0]), CLIENT_ADDRESS, CLIENT_PORT)
    if _dup:
        found |= _old_peer("net.peer.ip", found.get(CLIENT_ADDRESS), found.get(CLIENT_PORT))
    return redact.attributes(found)


def _address(place: str, address: str, port: str) -> dict[str, Any]:
    host, _, number = place.rpartition(":")
    plain = ":" not in host or host.startswith("[")
    if host and plain and number.isascii() and number.isdigit():
        return {address: host.strip("[]"), port: int(number)}
    return {address: place.strip("[]")} if place else {}


def _old_peer(name: str, address: Any, port: Any) -> dict[str, Any]:
    told = {name: address, "net.peer.port": port}
    return {key: value for key, value in told.items() if value is not None}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def finish(
    span: Span,
    code: grpc.StatusCode | None,
    details: Any = None,
    *,
    faults: frozenset[grpc.StatusCode],
    error: BaseException | None = None,
) -> None:
    """Writes the outcome and ends the span. ``code`` None counts as OK; ``error`` is what was
    raised instead of a status."""
    with survived("ending a gRPC span"):
        if code is None or code is OK:
            span.set_attribute(RPC_STATUS_CODE, "OK")
        else:
            span.set_attribute(RPC_STATUS_CODE, code.name)
            if code in faults:
                kind = code.name if error is None else type(error).__qualname__
                span.set_attribute(ERROR_TYPE, kind)
                told = redact.prose(_text(details or error or ""))
                span.set_status(StatusCode.ERROR, told or None)
        if _dup:
            span.set_attribute("rpc.grpc.status_code", 0 if code is None else code.value[0])
    span.end()


def with_context(metadata: Any, span: Span) -> Any:
    """The caller's metadata, a copy, with the trace context added. What is no metadata stays as
    it is: to say so is gRPC's part."""
    told = {key.lower(): value for key, value in propagation.inject(span).items() if _fits(value)}
    if not told or not metadata:
        return tuple(told.items()) or metadata
    with survived("adding a trace context to metadata"):
        return (*[pair for pair in metadata if pair[0] not in told], *told.items())
    return metadata


def _fits(value: str) -> bool:
    # what is no printable ASCII would make gRPC refuse the call
    return len(value) <= MAX_INJECTED and value.isascii() and value.isprintable()


def parent_of(metadata: Iterable[Any] | None) -> Context:
    """The trace context that a request's metadata tell: pairs of text keys and text or bytes."""
    told = {
        key: value
        for key, value in metadata or ()
        if isinstance(value, str) and len(value) <= MAX_EXTRACTED
    }
    return propagation.extract(told.get, told.keys)
