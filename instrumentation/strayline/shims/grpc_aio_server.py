"""gRPC servers on asyncio. Handlers are coroutine functions, async generator functions, or plain
functions, which gRPC runs on a thread pool; a wrapped handler stays of its kind.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from opentelemetry import context

from strayline.shims.grpc_server import Call, Serving, outcome, wrapped


class AioServerInterceptor(grpc.aio.ServerInterceptor):
    """asyncio servers."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        return self._serving.handler(
            handler_call_details.method, await continuation(handler_call_details), _wrapped
        )


def _wrapped(behaviour: Any, streams: bool, call: Call) -> Any:
    if inspect.iscoroutinefunction(behaviour):
        return _coroutine(behaviour, call)
    if inspect.isasyncgenfunction(behaviour):
        return _coroutine(_writing(behaviour), call) if streams else None
    if inspect.isawaitable(behaviour):
        return None
    plain = wrapped(behaviour, streams, call)
    return None if plain is None else lambda request, servicer: plain(request, _seen(servicer))


def _coroutine(
    behaviour: Callable[[Any, Any], Awaitable[Any]], call: Call
) -> Callable[[Any, Any], Awaitable[Any]]:
    async def handle(request: Any, servicer: Any) -> Any:
        span, token = call.begin(servicer)
        if span is None:
            return await behaviour(request, servicer)
        try:
            answer = await behaviour(request, servicer)
        except GeneratorExit as error:  # its loop is gone, and this is not its task's context
            outcome(span, servicer, error)
            raise
        except BaseException as error:
            context.detach(token)
            outcome(span, servicer, error)
            raise
        context.detach(token)
        outcome(span, servicer)
        return answer

    return handle


def _writing(behaviour: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Awaitable[None]]:
    """An async generator in gRPC's other style, a coroutine that writes: all of it runs in the
    request's task, whereas a dropped generator is closed in another."""

    async def write(request: Any, servicer: Any) -> None:
        send = servicer.write
        async for answer in behaviour(request, servicer):
            await send(answer)

    return write


def _seen(servicer: Any) -> Any:
    """A plain function's context, such that the status that the function sets can be read."""
    return servicer if hasattr(servicer, "code") else _Seen(servicer)


class _Seen:
    __slots__ = ("_code", "_details", "_servicer")

    def __init__(self, servicer: Any) -> None:
        self._servicer = servicer
        self._code: Any = None
        self._details: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._servicer, name)

    def set_code(self, code: Any) -> None:
        self._servicer.set_code(code)
        self._code = code

    def set_details(self, details: Any) -> None:
        self._servicer.set_details(details)
        self._details = details

    def abort(self, code: Any, *args: Any, **kwargs: Any) -> None:
        self._code = code
        self._details = args[0] if args else kwargs.get("details") or self._details
        self._servicer.abort(code, *args, **kwargs)

    def code(self) -> Any:
        """What was set; asyncio's context for plain functions does not tell."""
        return self._code

    def details(self) -> Any:
        return self._details
