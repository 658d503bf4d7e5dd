"""gRPC clients: one CLIENT span a call, from the call until its status is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import grpc
import grpc.aio
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind

from strayline.guard import survived
from strayline.provider import tracer
from strayline.shims.grpc_spans import call_attributes, finish, target_attributes, with_context


class _Details(grpc.ClientCallDetails):
    """Call details with other metadata."""

    def __init__(self, original: Any, metadata: tuple[tuple[str, Any], ...]) -> None:
        self.method = original.method
        self.timeout = original.timeout
        self.metadata = metadata
        self.credentials = original.credentials
        self.wait_for_ready = getattr(original, "wait_for_ready", None)
        self.compression = getattr(original, "compression", None)


def _begin(target: str, details: Any) -> tuple[Span | None, dict[str, str]]:
    span: Span | None = None
    injected: dict[str, str] = {}
    with survived("tracing a gRPC call"):
        name, attributes = call_attributes(details.method)
        span = tracer("grpc").start_span(
            name, kind=SpanKind.CLIENT, attributes={**attributes, **target_attributes(target)}
        )
        propagate.inject(injected, trace.set_span_in_context(span))
    return span, injected


class ClientInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Sync channels."""

    def __init__(self, target: str = "") -> None:
        self._target = target

    def for_target(self, target: str) -> ClientInterceptor:
        return ClientInterceptor(target)

    def intercept_unary_unary(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        return self._call(continuation, client_call_details, request)

    def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return self._call(continuation, client_call_details, request_iterator)

    def intercept_unary_stream(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        return self._call(continuation, client_call_details, request, stream=True)

    def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return self._call(continuation, client_call_details, request_iterator, stream=True)

    def _call(self, continuation: Any, details: Any, request: Any, *, stream: bool = False) -> Any:
        span, injected = _begin(self._target, details)
        if span is None:
            return continuation(details, request)
        with trace.use_span(
            span, end_on_exit=False, record_exception=False, set_status_on_exception=False
        ):
            try:
                call = continuation(
                    _Details(details, tuple(with_context(details.metadata, injected))), request
                )
            except BaseException as error:
                finish(span, grpc.StatusCode.UNKNOWN, str(error), server=False)
                raise
        if stream:
            return _Responses(call, span)
        call.add_done_callback(lambda done: finish(span, done.code(), done.details(), server=False))
        return call


class _Responses:
    """A call that streams responses: its span ends with the last one, an error, or a cancel."""

    def __init__(self, call: Any, span: Span) -> None:
        self._call = call
        self._span = span
        self._ended = False
        call.add_callback(self._done)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._call)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def _done(self) -> None:
        if not self._ended:
            self._ended = True
            # asking for the code would wait; a terminated call knows it
            finish(self._span, self._call.code(), self._call.details(), server=False)


class _AioInterceptor:
    def __init__(self, target: str) -> None:
        self._target = target

    async def _call(self, continuation: Any, details: Any, request: Any) -> Any:
        span, injected = _begin(self._target, details)
        if span is None:
            return await continuation(details, request)
        metadata = grpc.aio.Metadata(*with_context(details.metadata, injected))
        changed = grpc.aio.ClientCallDetails(
            method=details.method,
            timeout=details.timeout,
            metadata=metadata,
            credentials=details.credentials,
            wait_for_ready=details.wait_for_ready,
        )
        try:
            call = await continuation(changed, request)
        except BaseException as error:
            finish(span, grpc.StatusCode.UNKNOWN, str(error), server=False)
            raise
        call.add_done_callback(lambda done: _finish_aio(span, done))
        return call


def _finish_aio(span: Span, call: Any) -> None:
    """Done callbacks run on the loop, where the status has arrived but asking is a coroutine."""
    code: grpc.StatusCode | None = None
    details: str | None = None
    with survived("reading a gRPC status"):
        if call.cancelled():
            code = grpc.StatusCode.CANCELLED
        else:
            status = getattr(call, "_cython_call", None)
            status = getattr(status, "_status", None)
            if status is not None:
                code, details = _CODES.get(status.code()), status.details()
    finish(span, code, details, server=False)


_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class AioUnaryUnary(_AioInterceptor, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        return await self._call(continuation, client_call_details, request)


class AioUnaryStream(_AioInterceptor, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        return await self._call(continuation, client_call_details, request)


class AioStreamUnary(_AioInterceptor, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await self._call(continuation, client_call_details, request_iterator)


class AioStreamStream(_AioInterceptor, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await self._call(continuation, client_call_details, request_iterator)


INTERCEPTOR: Final = ClientInterceptor()
AIO_INTERCEPTORS: Final = (AioUnaryUnary, AioUnaryStream, AioStreamUnary, AioStreamStream)
