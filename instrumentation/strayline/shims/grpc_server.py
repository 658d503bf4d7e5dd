"""gRPC servers: one SERVER span a request, current within the handler, for as long as the
handler works.

An interceptor finds out which handler takes a request and gives it back wrapped. A request that
nobody takes stays gRPC's own answer.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from typing import Any, Final

import grpc
import grpc.aio
from opentelemetry import context
from opentelemetry.trace import Span, SpanKind, set_span_in_context

from strayline import redact
from strayline.guard import survived
from strayline.provider import tracer
from strayline.shims.grpc_spans import (
    CANCELLED,
    CODES,
    DEADLINE_EXCEEDED,
    OK,
    SERVER_FAULTS,
    UNKNOWN,
    finish,
    parent_of,
    peer_attributes,
    served,
    target_attributes,
)

Behaviour = Callable[[Any, Any], Any]
Wrap = Callable[[Any, bool, "Call"], Any]
_CHANGING: Final[tuple[Any, Any]] = (None, None)
_KEPT: Final = 1024
_KINDS: Final = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}
_INTERRUPTED: Final = (GeneratorExit, CancelledError)
_ENDED: Final = (CANCELLED, DEADLINE_EXCEEDED)
_POOL: Final = "experimental_thread_pool"
_PUSHES: Final = "experimental_non_blocking"


class Serving:
    """One server's own facts, and the wrapping of its handlers."""

    on = False
    """For all servers: those made while we were at work outlive it."""

    def __init__(self) -> None:
        self._place: dict[str, Any] = {}
        self._known: dict[str, tuple[Any, Any]] = {}

    def forget(self) -> None:
        """Has the settings looked at again."""
        self._known.clear()

    def bound(self, address: str, port: int) -> None:
        """Where the server listens; the first place is the one that its spans name."""
        if not self._place:
            host, _, number = address.rpartition(":")
            told = f"{host}:{port}" if number.isdigit() else address
            self._place = redact.attributes(target_attributes(told))
            self.forget()

    def handler(self, method: str, handler: Any, wrap: Wrap) -> Any:
        """The same handler with its behaviour wrapped, or itself."""
        if handler is None or not self.on:
            return handler
        given, made = self._known.get(method, _CHANGING)
        if given is handler:
            return made
        made = handler
        with survived("tracing a gRPC handler"):
            made = self._wrapped(method, handler, wrap)
        # a user's interceptor may make a new one for each request: those are not ours to keep
        if method in self._known:
            self._known[method] = _CHANGING
        elif len(self._known) < _KEPT:
            self._known[method] = handler, made
        return made

    def _wrapped(self, method: str, handler: Any, wrap: Wrap) -> Any:
        known = served(method)
        if known is None:
            return handler
        streams = bool(handler.response_streaming)
        name, make = _KINDS[bool(handler.request_streaming), streams]
        call = Call(known.name, {**known.attributes, **self._place})
        wrapped = wrap(getattr(handler, name), streams, call)
        if wrapped is None:
            return handler
        return make(wrapped, handler.request_deserializer, handler.response_serializer)


class Call:
    """Begins and ends the span of one request."""

    __slots__ = ("_attributes", "_name")

    def __init__(self, name: str, attributes: dict[str, Any]) -> None:
        self._name = name
        self._attributes = attributes

    def begin(self, servicer: Any) -> tuple[Span | None, Any]:
        """The span, made current; and the token that undoes it."""
        with survived("tracing a gRPC request"):
            parent = parent_of(servicer.invocation_metadata())
            attributes = {**self._attributes, **peer_attributes(servicer.peer())}
            span = tracer("grpc").start_span(self._name, parent, SpanKind.SERVER, attributes)
            return span, context.attach(set_span_in_context(span, parent))
        return None, None


def outcome(span: Span, servicer: Any, error: BaseException | None = None) -> None:
    """Ends the span of a request whose handler is done, or has raised ``error``."""
    code, details = None, None
    with survived("reading a gRPC status"):
        code, details = servicer.code(), servicer.details()
        if code is not None and not isinstance(code, grpc.StatusCode):
            code = CODES.get(code, UNKNOWN)
        # asyncio interrupts a handler that nobody waits for; a thread goes on and may ask
        alive = getattr(servicer, "is_active", None)
        if isinstance(error, _INTERRUPTED) or (alive is not None and not alive()):
            code = _gone(servicer)
        elif error is not None and (code is None or code is OK):
            code, details = UNKNOWN, str(error)
        if isinstance(error, Exception) and not _aborted(error) and code not in _ENDED:
            span.record_exception(error, attributes=redact.exception(error))
    finish(span, code, details, faults=SERVER_FAULTS)


def _aborted(error: Exception) -> bool:
    """Whether this is how ``abort`` leaves a handler."""
    return isinstance(error, grpc.aio.AbortError) or (type(error) is Exception and not error.args)


EARLY_S = 0.05
"""A client whose deadline has passed cancels, and may be heard before the server's own clock."""


def _gone(servicer: Any) -> grpc.StatusCode:
    """Why a request ended from outside: its deadline has passed, or it was cancelled."""
    left = servicer.time_remaining()
    return CANCELLED if left is None or left > EARLY_S else DEADLINE_EXCEEDED


class ServerInterceptor(grpc.ServerInterceptor):
    """Thread-pool servers."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        return self._serving.handler(
            handler_call_details.method, continuation(handler_call_details), wrapped
        )


def wrapped(behaviour: Any, streams: bool, call: Call) -> Behaviour | None:
    """A plain function that handles requests, with its span around it."""
    if getattr(behaviour, _PUSHES, False):
        return None  # hands its answers to a callback, in whatever thread and at whatever time
    traced = _streaming(behaviour, call) if streams else _unary(behaviour, call)
    pool = getattr(behaviour, _POOL, None)
    if pool is not None:
        setattr(traced, _POOL, pool)
    return traced


def _unary(behaviour: Behaviour, call: Call) -> Behaviour:
    def unary(request: Any, servicer: Any) -> Any:
        span, token = call.begin(servicer)
        if span is None:
            return behaviour(request, servicer)
        try:
            answer = behaviour(request, servicer)
        except BaseException as error:
            outcome(span, servicer, error)
            raise
        finally:
            context.detach(token)
        outcome(span, servicer)
        return answer

    return unary


def _streaming(behaviour: Behaviour, call: Call) -> Behaviour:
    def stream(request: Any, servicer: Any) -> Any:
        own = copy_context()
        span, _ = own.run(call.begin, servicer)
        if span is None:
            return behaviour(request, servicer)
        try:
            answers = own.run(behaviour, request, servicer)
        except BaseException as error:
            outcome(span, servicer, error)
            raise
        return _Answers(answers, own, span, servicer)

    return stream


class _Answers:
    """A handler's answers, each made in the handler's own context, whichever thread asks.

    A context of its own keeps what the handler makes current from one answer to the next, and
    there is nothing to undo in a thread that has gone on to something else.
    """

    __slots__ = ("_answers", "_own", "_servicer", "_span")

    def __init__(self, answers: Any, own: Context, span: Span, servicer: Any) -> None:
        self._answers = answers
        self._own = own
        self._span: Span | None = span
        self._servicer = servicer

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return self._own.run(next, self._answers)
        except StopIteration:
            self._end()
            raise
        except BaseException as error:
            self._end(error)
            raise

    def _end(self, error: BaseException | None = None) -> None:
        span, self._span = self._span, None
        if span is not None:
            outcome(span, self._servicer, error)

    def __del__(self) -> None:
        # gRPC drops the answers that nobody waits for any more
        if self._span is not None:
            try:
                close = getattr(self._answers, "close", None)
                if close is not None:
                    self._own.run(close)
            finally:
                self._end(GeneratorExit())
