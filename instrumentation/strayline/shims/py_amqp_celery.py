"""Celery: a worker receives a message, and its task runs later – by an eta or a rate limit much
later – in this process (solo, threads) or in a child (prefork). The span of the handling is that
of the task's run, where it runs; the worker's own process settles.

What is known of the delivery goes with the request to where the task runs: in one process the
delivery itself, to a child pickled facts. A child cannot know what becomes of the delivery, nor
the worker which span the child makes, so a settle span names the delivery by epoch, channel and
tag. Where a child dies the worker tells of its task.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from opentelemetry.trace import SpanKind

from strayline.amqp import Broker
from strayline.amqp.adoption import is_foreign
from strayline.amqp.consuming import Consuming
from strayline.amqp.headers import told_by
from strayline.conventions import CELERY_STATE, CELERY_TASK
from strayline.current import attach, current, detach, span_of, with_span
from strayline.guard import survived
from strayline.imports import Watch, when_imported
from strayline.patching import Patches
from strayline.shims.py_amqp_kombu import begun, facts_of, unhandled
from strayline.shims.py_amqp_record import Held, Record, known

PROPERTY: Final = "strayline.delivery"
"""Where a request bears its delivery: among the message's properties, which Celery gives to the
task and, unlike headers, passes on to no other."""
_UID: Final = "strayline"

_patches: Final = Patches()
_watches: Final[list[Watch]] = []
_elsewhere: Consuming | None = None
"""Stands for the channels of the parent process."""


def on() -> None:
    """Follows Celery once it is there."""
    _watches.append(when_imported(["celery.app.trace"], _on_trace))
    _watches.append(when_imported(["celery.worker.request"], _on_request))


def off() -> None:
    while _watches:
        _watches.pop().cancel()
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        for name, receiver in _RECEIVERS.items():
            getattr(signals, name).disconnect(receiver, dispatch_uid=_UID)
    _patches.undo()


def _on_trace() -> None:
    """Around the signals, since other instrumentations make and end their spans in them."""
    module = sys.modules["celery.app.trace"]
    _patches.wrap(module, "send_prerun", _prerun)
    _patches.wrap(module, "send_postrun", _postrun)
    signals = sys.modules["celery.signals"]
    for name, receiver in _RECEIVERS.items():
        getattr(signals, name).connect(receiver, weak=False, dispatch_uid=_UID)


def _on_request() -> None:
    _patches.wrap(sys.modules["celery.worker.request"].Request, "on_failure", _failed)


# -- in the worker


def _received(request: Any, **_: Any) -> None:
    """The worker accepted a message as a task."""
    with survived("following a task"):
        message: Any = request._message  # the property came with 5.1
        record = known(message.channel)
        held = None if record is None else record.held.get(message.delivery_tag)
        if held is not None:
            held.handed_over = True
            facts = request.request_dict
            facts["properties"] = {**facts["properties"], PROPERTY: held}


def _revoked(request: Any, **_: Any) -> None:
    """A task that will not run, or was stopped amid its run."""
    with survived("following a task"):
        held = _held(request)
        if held is not None and not held.left and held.delivery.span is None:
            unhandled(held.delivery)


def _failed(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def on_failure(self: Any, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        with survived("following a task"):
            error = getattr(exc_info.exception, "exc", None) or exc_info.exception
            held = self.request_dict["properties"].get(PROPERTY)
            if held is not None and held.left and type(error).__name__ in _DEATHS:
                _lost(held, self, error)
        return original(self, exc_info, *args, **kwargs)

    return on_failure


_DEATHS: Final = ("WorkerLostError", "TimeLimitExceeded", "Terminated")
"""How the worker hears that a child died, and with it the span of its task's run."""


def _lost(held: Held, request: Any, error: BaseException) -> None:
    delivery = held.delivery
    started_ns = int(request.time_start * 1e9) if request.time_start else time.time_ns()
    attributes = facts_of(delivery, "process", "process")
    delivery.span = begun(delivery, attributes, SpanKind.CONSUMER, started_ns)
    _describe(held, request.task, "FAILURE")
    if held.record is not None:
        held.record.end_handling(delivery, error)


# -- where the task runs


def _prerun(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def send_prerun(*args: Any, **kwargs: Any) -> Any:
        answer = original(*args, **kwargs)
        with survived("tracing a task"):
            held = _held(kwargs["task"].request)
            if held is not None:
                _begin(held, kwargs["task"])
        return answer

    return send_prerun


def _begin(held: Held, task: Any) -> None:
    delivery = held.delivery
    record = held.record
    if record is None:
        record = held.record = _others()
        delivery.publish, delivery.parent = told_by(vars(task.request))
    elif isinstance(record, Record) and delivery.tag is not None:
        record.held.pop(delivery.tag, None)
    foreign = span_of(current())
    if is_foreign(foreign, SpanKind.CONSUMER):
        record.adopt_handling(delivery, foreign)
        return
    span = record.begin_handling(delivery)
    held.token = attach(with_span(span, delivery.parent))


def _postrun(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def send_postrun(*args: Any, **kwargs: Any) -> Any:
        held = None
        with survived("tracing a task"):
            held = _held(kwargs["task"].request)
            if held is not None:
                _describe(held, kwargs["task"], kwargs.get("state"))
        try:
            return original(*args, **kwargs)
        finally:
            if held is not None:
                with survived("tracing a task"):
                    _end(held, kwargs.get("state"), kwargs.get("retval"))

    return send_postrun


def _end(held: Held, state: str | None, value: Any) -> None:
    error = sys.exc_info()[1] if state is None else value if state == "FAILURE" else None
    try:
        if held.record is not None:
            held.record.end_handling(
                held.delivery, error if isinstance(error, BaseException) else None
            )
    finally:
        if held.token is not None:
            detach(held.token)
            held.token = None


def _describe(held: Held, task: Any, state: str | None) -> None:
    span = held.delivery.span
    if span is not None:
        span.set_attribute(CELERY_TASK, task.name)
        if state is not None:
            span.set_attribute(CELERY_STATE, state)


def _held(request: Any) -> Held | None:
    properties = getattr(request, "properties", None)
    found = properties.get(PROPERTY) if isinstance(properties, dict) else None
    return found if isinstance(found, Held) else None


def _others() -> Consuming:
    global _elsewhere
    if _elsewhere is None:
        _elsewhere = Consuming(Broker())
    return _elsewhere


def _present(**_: Any) -> None:
    """Celery sends a signal only where somebody listens."""


_RECEIVERS: Final[dict[str, Callable[..., None]]] = {
    "task_prerun": _present,
    "task_postrun": _present,
    "task_received": _received,
    "task_revoked": _revoked,
}
