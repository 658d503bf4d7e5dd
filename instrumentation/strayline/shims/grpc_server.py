"""gRPC servers: one SERVER span a call, current while the handler runs, streams included."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio
from opentelemetry import context, propagate, trace
from opentelemetry.trace import Span, SpanKind

from strayline.guard import survived
from strayline.provider import tracer
from strayline.shims.grpc_spans import METADATA, call_attributes, finish

_KINDS = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}


def _rebuilt(handler: Any, wrap: Callable[[Any, bool], Any]) -> Any:
    """The same handler with its behaviour wrapped."""
    if handler is None:
        return None
    name, make = _KINDS[bool(handler.request_streaming), bool(handler.response_streaming)]
    return make(
        wrap(getattr(handler, name), bool(handler.response_streaming)),
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


class ServerInterceptor(grpc.ServerInterceptor):
    """Thread-pool servers."""

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        method = handler_call_details.method

        def wrap(behaviour: Any, streams: bool) -> Any:
            def unary(request: Any, servicer_context: Any) -> Any:
                with _served(method, servicer_context):
                    return behaviour(request, servicer_context)

            def stream(request: Any, servicer_context: Any) -> Iterator[Any]:
                with _served(method, servicer_context):
                    yield from behaviour(request, servicer_context)

            return stream if streams else unary

        return _rebuilt(continuation(handler_call_details), wrap)


class AioServerInterceptor(grpc.aio.ServerInterceptor):
    """asyncio servers; handlers may be coroutines, async generators, or plain functions."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        method = handler_call_details.method

        def wrap(behaviour: Any, streams: bool) -> Any:
            async def unary(request: Any, servicer_context: Any) -> Any:
                with _served(method, servicer_context):
                    answer = behaviour(request, servicer_context)
                    return await answer if inspect.isawaitable(answer) else answer

            async def stream(request: Any, servicer_context: Any) -> AsyncIterator[Any]:
                with _served(method, servicer_context):
                    async for item in behaviour(request, servicer_context):
                        yield item

            async def writer(request: Any, servicer_context: Any) -> None:
                with _served(method, servicer_context):
                    await behaviour(request, servicer_context)

            if not streams:
                return unary
            return stream if inspect.isasyncgenfunction(behaviour) else writer

        return _rebuilt(await continuation(handler_call_details), wrap)


@contextmanager
def _served(method: str, servicer_context: Any) -> Generator[None]:
    span, token = _begin(method, servicer_context)
    if span is None:
        yield
        return
    code: grpc.StatusCode | None = None
    details: str | None = None
    try:
        yield
    except BaseException as error:
        code, details = _outcome(servicer_context)
        if code in (None, grpc.StatusCode.OK):  # no abort: the handler itself failed
            cancelled = isinstance(error, asyncio.CancelledError | GeneratorExit)
            code = grpc.StatusCode.CANCELLED if cancelled else grpc.StatusCode.UNKNOWN
            details = str(error)
            if isinstance(error, Exception):
                span.record_exception(error)
        raise
    else:
        code, details = _outcome(servicer_context)
    finally:
        finish(span, code, details, server=True)
        with survived("leaving a call's context"):
            context.detach(token)


def _begin(method: str, servicer_context: Any) -> tuple[Span | None, Any]:
    with survived("tracing a gRPC request"):
        parent = propagate.extract(servicer_context.invocation_metadata(), getter=METADATA)
        name, attributes = call_attributes(method)
        span = tracer("grpc").start_span(
            name, context=parent, kind=SpanKind.SERVER, attributes=attributes
        )
        return span, context.attach(trace.set_span_in_context(span, parent))
    return None, None


def _outcome(servicer_context: Any) -> tuple[grpc.StatusCode | None, str | None]:
    """What the handler set on its context. Sync contexts give the enum or None, asyncio's a
    number or the enum."""
    code: Any = None
    details: Any = None
    with survived("reading a gRPC status"):
        code, details = servicer_context.code(), servicer_context.details()
    if isinstance(code, int):
        code = next((known for known in grpc.StatusCode if known.value[0] == code), None)
    if isinstance(details, bytes):
        details = details.decode("utf-8", "replace")
    return code or None, details or None
