"""Where another instrumentation already made a span for this very message, its span is kept and
tells our facts too: a second one beside it would count the message twice.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry.trace import Span, SpanKind

from strayline.provider import watch_starts

SCOPES: Final = ("opentelemetry.instrumentation.", "faststream")
"""How the scope names of those whose messaging spans are adopted begin: contrib's, FastStream's."""

Adopt = Callable[[Span], None]

_awaited: Final[ContextVar[Adopt | None]] = ContextVar("strayline_awaited", default=None)
_adopted: Final[weakref.WeakSet[Any]] = weakref.WeakSet()


def is_foreign(span: Any, kind: SpanKind) -> bool:
    """Whether a span is another instrumentation's messaging span of this kind, still open."""
    if getattr(span, "kind", None) is not kind:
        return False
    scope = getattr(span, "instrumentation_scope", None)
    name = getattr(scope, "name", None)
    return isinstance(name, str) and name.startswith(SCOPES) and span.is_recording()


def adoptable_publish(current: Any) -> Span | None:
    """The current span, when it is another instrumentation's for the publish that begins now. One
    span is one publish: whoever publishes twice inside it gets spans of ours from the second on."""
    if not is_foreign(current, SpanKind.PRODUCER) or current in _adopted:
        return None
    _adopted.add(current)
    return current


def await_handling(adopt: Adopt) -> Any:
    """The next CONSUMER span that another instrumentation starts in this context is the handling
    of a delivery: it is given to ``adopt``. Returns a token for ``stop_awaiting``."""
    watch_starts(span_started)
    return _awaited.set(adopt)


def stop_awaiting(token: Any) -> None:
    _awaited.reset(token)


def span_started(span: Any) -> None:
    """Hears of every span that starts."""
    adopt = _awaited.get()
    if adopt is not None and is_foreign(span, SpanKind.CONSUMER):
        _awaited.set(None)
        adopt(span)
