"""gRPC clients: one CLIENT span a call, from the call until its status is known.

The methods of gRPC's own multi-callables are wrapped, without interceptors: a call keeps the type
and the life that it has without us, and channels made earlier are traced too. Ours is within all
interceptors: each attempt of one that retries is a span.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final
from weakref import finalize

import grpc
from opentelemetry import context
from opentelemetry.trace import Span, SpanKind, get_current_span

from strayline.current import suppressed
from strayline.guard import survived
from strayline.provider import tracer
from strayline.shims.grpc_spans import (
    CANCELLED,
    CLIENT_FAULTS,
    CODES,
    UNKNOWN,
    called,
    finish,
    with_context,
)

CONTRIB: Final = "opentelemetry.instrumentation.grpc"
_METADATA: Final = 2
"""Where call metadata stand among positional arguments, ``self`` not counted."""
_targets: Final[dict[int, str]] = {}


def blocking(original: Callable[..., Any]) -> Callable[..., Any]:
    """``__call__`` and ``with_call`` of calls that are answered once, on sync channels."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        span = None
        with survived("tracing a gRPC call"):
            span, args, kwargs = _begin(self._method, _target(self), args, kwargs)
        if span is None:
            return original(self, *args, **kwargs)
        try:
            answer = original(self, *args, **kwargs)
        except BaseException as error:
            _raised(span, error)
            raise
        finish(span, None, faults=CLIENT_FAULTS)
        return answer

    return call


def pending(original: Callable[..., Any]) -> Callable[..., Any]:
    """``future``, and ``__call__`` of calls that stream answers, on sync channels."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        span = None
        with survived("tracing a gRPC call"):
            span, args, kwargs = _begin(self._method, _target(self), args, kwargs)
        if span is None:
            return original(self, *args, **kwargs)
        try:
            answer = original(self, *args, **kwargs)
        except BaseException as error:
            _raised(span, error)
            raise
        with survived("following a gRPC call"):
            end = _End(span, answer._state)
            if not answer.add_callback(end):
                end()
            elif hasattr(answer, "_consume_next_event"):
                # a call without a thread of its own tells nobody that it was dropped
                finalize(answer, end).atexit = False
        return answer

    return call


def _target(call: Any) -> Any:
    """The target of a sync call's channel. Older grpcio does not keep it with the call, and its
    inner channel must not be asked: it crashes the process once it is closed."""
    try:
        return call._target
    except AttributeError:
        return _targets.get(id(call._channel))


class _End:
    """Ends a sync call's span when its status is known.

    Holds the state that the call's own threads hold, and not the call: a stream that its user
    drops is cancelled by its ``__del__``, which has to happen for this to be told.
    """

    __slots__ = ("_span", "_state")

    def __init__(self, span: Span, state: Any) -> None:
        self._span: Span | None = span
        self._state = state

    def __call__(self) -> None:
        span, self._span = self._span, None
        if span is not None:
            code = CANCELLED if self._state.code is None else self._state.code
            finish(span, code, self._state.details, faults=CLIENT_FAULTS)


def aio(original: Callable[..., None]) -> Callable[..., None]:
    """``__init__`` of asyncio's calls: request, deadline, metadata, credentials, wait for ready,
    channel, method, and more."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        span = None
        with survived("tracing a gRPC call"):
            channel, method = args[5], args[6]
            target = getattr(channel, "target", None) or _targets.get(id(channel))
            span, args, kwargs = _begin(method, target, args, kwargs)
        if span is None:
            original(self, *args, **kwargs)
            return
        try:
            original(self, *args, **kwargs)
        except BaseException as error:
            _raised(span, error)
            raise
        with survived("following a gRPC call"):
            inner = self._cython_call
            end = _AioEnd(span, inner)
            inner.add_done_callback(end)
            # a request that cannot be sent leaves the call without a status
            sending = getattr(self, "_call_response", None) or self._preparation
            sending.add_done_callback(end.sent)

    return init


def named(original: Callable[..., None]) -> Callable[..., None]:
    """``__init__`` of channels whose calls cannot tell the target."""

    def init(self: Any, target: str, *args: Any, **kwargs: Any) -> None:
        original(self, target, *args, **kwargs)
        with survived("remembering a gRPC target"):
            key = id(self._channel)  # gone before its channel, so that no other is taken for it
            _targets[key] = target
            finalize(self, _targets.pop, key, None).atexit = False

    return init


class _AioEnd:
    """Ends an asyncio call's span; the status is there, though asking for it is a coroutine."""

    __slots__ = ("_inner", "_span")

    def __init__(self, span: Span, inner: Any) -> None:
        self._span: Span | None = span
        self._inner: Any = inner

    def __call__(self) -> None:
        span, inner = self._span, self._inner
        self._span = self._inner = None
        if span is None:
            return
        code, details = UNKNOWN, None
        with survived("reading a gRPC status"):
            status = inner._status
            code, details = CODES.get(status.code(), UNKNOWN), status.details()
        finish(span, code, details, faults=CLIENT_FAULTS)

    def sent(self, task: Any) -> None:
        # asking by ``exception()`` would keep asyncio from telling what nobody has asked for
        error, span = getattr(task, "_exception", None), self._span
        if error is not None and span is not None:
            self._span = self._inner = None
            finish(span, UNKNOWN, faults=CLIENT_FAULTS, error=error)


def _begin(
    method: bytes, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Span | None, tuple[Any, ...], dict[str, Any]]:
    """The call's span and its arguments with trace context; no span where others trace it."""
    known = called(method, target)
    current = context.get_current()
    if known is None or suppressed(current):
        return None, args, kwargs
    if CONTRIB in sys.modules and _traced_by_contrib(get_current_span(current), known.name):
        return None, args, kwargs
    span = tracer("grpc").start_span(known.name, current, SpanKind.CLIENT, known.attributes)
    if len(args) > _METADATA:
        told = with_context(args[_METADATA], span)
        return span, (*args[:_METADATA], told, *args[_METADATA + 1 :]), kwargs
    return span, args, {**kwargs, "metadata": with_context(kwargs.get("metadata"), span)}


def _traced_by_contrib(span: Any, name: str) -> bool:
    """Whether this very call is within contrib's span already: all its interceptors are outside
    of us and make their span the current one."""
    scope = getattr(getattr(span, "instrumentation_scope", None), "name", "")
    return (
        scope.startswith(CONTRIB)
        and span.kind is SpanKind.CLIENT
        and str(span.name).removeprefix("/") == name
    )


def _raised(span: Span, error: BaseException) -> None:
    code: grpc.StatusCode | None = None
    details: Any = None
    if isinstance(error, grpc.RpcError):
        with survived("reading a gRPC status"):
            told: Any = error
            code, details = told.code(), told.details()
    if code is None:
        finish(span, UNKNOWN, faults=CLIENT_FAULTS, error=error)
    else:
        finish(span, code, details, faults=CLIENT_FAULTS)
