"""gRPC: client and server, sync and asyncio, all four call types.

Calls are traced on every channel, also on those made before; requests on servers made from now
on. Where contrib's interceptors are at work, they are left to it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final
from weakref import WeakKeyDictionary

from grpc._cython import cygrpc

from strayline.guard import log, survived
from strayline.patching import Patches
from strayline.shims import grpc_spans
from strayline.shims.grpc_aio_server import AioServerInterceptor
from strayline.shims.grpc_client import CONTRIB, aio, blocking, named, pending
from strayline.shims.grpc_server import ServerInterceptor, Serving

Wrapper = Callable[[Any], Any]
_patches: Final = Patches()
_serving: Final[WeakKeyDictionary[Any, Serving]] = WeakKeyDictionary()
_INTERCEPTORS: Final = 2
"""Where interceptors stand among the arguments of both servers' constructors."""


def on() -> None:
    """Instruments clients and servers."""
    grpc_spans.configure()
    Serving.on = True
    for serving in _serving.values():
        serving.forget()
    for owner, methods in (
        ("_UnaryUnaryMultiCallable", {"__call__": blocking, "with_call": blocking, "future": pending}),
        ("_StreamUnaryMultiCallable", {"__call__": blocking, "with_call": blocking, "future": pending}),
        ("_UnaryStreamMultiCallable", {"__call__": pending}),
        ("_SingleThreadedUnaryStreamMultiCallable", {"__call__": pending}),
        ("_StreamStreamMultiCallable", {"__call__": pending}),
    ):  # fmt: skip
        _wrap("grpc._channel", owner, methods)
    for owner in ("UnaryUnaryCall", "UnaryStreamCall", "StreamUnaryCall", "StreamStreamCall"):
        _wrap("grpc.aio._call", owner, {"__init__": aio})
    calls = import_module("grpc._channel")
    if not hasattr(calls._UnaryUnaryMultiCallable, "_target"):  # as in 1.60
        _wrap("grpc._channel", "Channel", {"__init__": named})
    if not hasattr(cygrpc.AioChannel, "target"):  # older ones
        _wrap("grpc.aio._channel", "Channel", {"__init__": named})
    ports: dict[str, Wrapper] = {"add_insecure_port": _bound, "add_secure_port": _bound}
    _wrap("grpc._server", "_Server", {"__init__": _made(ServerInterceptor), **ports})
    _wrap("grpc.aio._server", "Server", {"__init__": _made(AioServerInterceptor), **ports})


def off() -> None:
    Serving.on = False
    _patches.undo()


def _wrap(module: str, owner: str, methods: dict[str, Wrapper]) -> None:
    found = getattr(import_module(module), owner, None)
    if found is None:
        log.warning("this version of grpcio has no %s.%s: its calls are not traced", module, owner)
        return
    for name, wrapper in methods.items():
        _patches.wrap(found, name, wrapper)


def _made(interceptor: Callable[[Serving], Any]) -> Wrapper:
    def wrapper(original: Callable[..., None]) -> Callable[..., None]:
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            with survived("tracing a gRPC server"):
                args, kwargs = _first(self, interceptor, args, kwargs)
            original(self, *args, **kwargs)

        return init

    return wrapper


def _first(
    server: Any,
    interceptor: Callable[[Serving], Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A server's arguments with our interceptor before all others, so that these are within the
    span; as they are where contrib's is among them."""
    named = len(args) <= _INTERCEPTORS
    given = tuple((kwargs.get("interceptors") if named else args[_INTERCEPTORS]) or ())
    if any(type(other).__module__.startswith(CONTRIB) for other in given):
        return args, kwargs
    serving = _serving[server] = Serving()
    ours = (interceptor(serving), *given)
    if named:
        return args, {**kwargs, "interceptors": ours}
    return (*args[:_INTERCEPTORS], ours, *args[_INTERCEPTORS + 1 :]), kwargs


def _bound(original: Callable[..., int]) -> Callable[..., int]:
    def add_port(self: Any, address: str, *args: Any, **kwargs: Any) -> int:
        port = original(self, address, *args, **kwargs)
        serving = _serving.get(self)
        if serving is not None:
            with survived("reading a gRPC server's address"):
                serving.bound(address, port)
        return port

    return add_port
