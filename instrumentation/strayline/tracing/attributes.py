"""Attribute values as the OpenTelemetry API takes them: cleaned, bounded, unchangeable after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

PLAIN: Final = frozenset({str, bool, int, float, bytes, type(None)})
"""Types of values that need no copy. Exactly these: a subclass may do anything."""


class Steady(dict[str, Any]):
    """Attributes that many spans have in common, plain values all: given to each of them without
    being copied, and encoded once."""

    __slots__ = ("encoded",)

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(given)
        self.encoded: bytes | None = None


def bounded(
    given: Mapping[str, Any] | None, count: int | None, length: int | None
) -> tuple[dict[str, Any], int]:
    """A cleaned copy with at most ``count`` entries, the newest, and how many were dropped."""
    if not given:
        return {}, 0
    if length is None and PLAIN.issuperset(map(type, given.values())) and _named(given):
        copied = dict(given)
    else:
        copied = {
            name: clean(value, length) for key, value in given.items() if (name := _name(key))
        }
    dropped = len(given) - len(copied)
    if count is not None and len(copied) > count:
        for key in list(copied)[: len(copied) - count]:
            del copied[key]
            dropped += 1
    return copied, dropped


def clean(value: Any, length: int | None) -> Any:
    """A value that nobody else can change: texts cut to ``length`` characters, sequences as
    tuples, mappings copied, anything else as its text, or None where it has none of its own."""
    if isinstance(value, str):
        return value if length is None or len(value) <= length else value[:length]
    if value is None or isinstance(value, bool | int | float | bytes):
        return value
    if isinstance(value, Sequence):
        return tuple(clean(item, length) for item in cast("Sequence[Any]", value))
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {name: clean(item, length) for key, item in items if (name := _name(key))}
    return str(value) if _speaks(value) else None


def _named(given: Mapping[str, Any]) -> bool:
    return set(map(type, given)) == {str} and "" not in given


def _name(key: Any) -> str | None:
    """The key as text; None for one that is no name."""
    if isinstance(key, str):
        return key or None
    return str(key) if key and _speaks(key) else None


def _speaks(value: Any) -> bool:
    """Whether a class says anything of its objects but where they lie in memory."""
    kind = type(value)
    return kind.__str__ is not object.__str__ or kind.__repr__ is not object.__repr__
