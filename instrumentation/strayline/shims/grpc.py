"""gRPC: client and server, sync and asyncio, all four call types, by interceptors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import grpc
import grpc.aio

from strayline.patching import Patches
from strayline.shims.grpc_client import AIO_INTERCEPTORS, INTERCEPTOR
from strayline.shims.grpc_server import AioServerInterceptor, ServerInterceptor

_patches: Final = Patches()


def on() -> None:
    """Instruments channels and servers made from now on."""
    for name in ("insecure_channel", "secure_channel"):
        _patches.wrap(grpc, name, _channel)
        _patches.wrap(grpc.aio, name, _aio_channel)
    _patches.wrap(grpc, "server", lambda original: _server(original, ServerInterceptor()))
    _patches.wrap(grpc.aio, "server", lambda original: _server(original, AioServerInterceptor()))


def off() -> None:
    _patches.undo()


def _channel(original: Callable[..., Any]) -> Callable[..., Any]:
    def channel(target: str, *args: Any, **kwargs: Any) -> Any:
        return grpc.intercept_channel(
            original(target, *args, **kwargs), INTERCEPTOR.for_target(target)
        )

    return channel


def _aio_channel(original: Callable[..., Any]) -> Callable[..., Any]:
    # insecure_channel(target, options, compression, interceptors),
    # secure_channel(target, credentials, options, compression, interceptors): by name only
    def channel(target: str, *args: Any, interceptors: Any = None, **kwargs: Any) -> Any:
        ours = [interceptor(target) for interceptor in AIO_INTERCEPTORS]
        return original(target, *args, interceptors=[*(interceptors or ()), *ours], **kwargs)

    return channel


def _server(original: Callable[..., Any], ours: Any) -> Callable[..., Any]:
    def server(*args: Any, **kwargs: Any) -> Any:
        kwargs["interceptors"] = (ours, *(kwargs.get("interceptors") or ()))
        return original(*args, **kwargs)

    return server
