"""Which ordering key a publish has: the innermost block's, else the application's rule's."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Rule = Callable[[str, str, Any], str | None]

_current: ContextVar[str | None] = ContextVar("strayline_ordering_key", default=None)
_rule: Rule | None = None


@contextmanager
def ordering_key(key: str) -> Generator[None]:
    """See ``strayline.ordering_key``. Holds across awaits and in tasks started inside."""
    token = _current.set(key)
    try:
        yield
    finally:
        _current.reset(token)


def set_rule(rule: Rule | None) -> None:
    """The rule for publishes outside any block."""
    global _rule
    _rule = rule


def key_for(exchange: str, routing_key: str, properties: Any) -> str | None:
    """The key of a publish, or None."""
    key = _current.get()
    if key is None and _rule is not None:
        key = _rule(exchange, routing_key, properties)
    return key
