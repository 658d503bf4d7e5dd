"""Whether an exchange sends a message along a binding, by the exchange's type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from strayline_collector.detect.route.message import UNRECORDED
from strayline_collector.detect.route.topology import Binding

CHANCE: Final = frozenset({"x-consistent-hash", "x-random", "x-modulus-hash", "x-local-random"})
"""Types that pick one of their bindings, by a hash or by chance."""

Headers = Mapping[str, Any]


def matches(
    kind: str, binding: Binding, keys: Sequence[str], headers: Headers | None
) -> bool | None:
    """Whether an exchange of type ``kind`` sends a message along ``binding``; None: cannot be said.

    Of types that pick one binding: whether this one can be picked.
    """
    rule = _RULES.get(kind)
    return None if rule is None else rule(binding, keys, headers)


def topic_words(key: str) -> list[str]:
    """A topic key's words. The empty key has none; ``a.`` has two, the second empty."""
    return key.split(".") if key else []


def topic_matches(pattern: Sequence[str], words: Sequence[str]) -> bool:
    """AMQP topic rules on words: ``*`` is one word, ``#`` none or more. Linear in the product."""
    row = [True, *([False] * len(words))]
    for part in pattern:
        if part == "#":
            for i in range(len(words)):
                row[i + 1] = row[i + 1] or row[i]
        else:
            row = [False, *(row[i] and part in ("*", word) for i, word in enumerate(words))]
    return row[-1]


def _direct(binding: Binding, keys: Sequence[str], _headers: Headers | None) -> bool:
    return binding.routing_key in keys


def _always(_binding: Binding, _keys: Sequence[str], _headers: Headers | None) -> bool:
    return True


def _topic(binding: Binding, keys: Sequence[str], _headers: Headers | None) -> bool:
    pattern = topic_words(binding.routing_key)
    return any(topic_matches(pattern, topic_words(key)) for key in keys)


def _headers(binding: Binding, _keys: Sequence[str], headers: Headers | None) -> bool | None:
    """``x-match``: ``all`` (default), ``any``, and both ``-with-x``, which look at names that
    begin with ``x-`` too. A void value asks for presence. Undecided where a value is unrecorded."""
    wanted = binding.arguments
    mode = wanted.get("x-match", "all")
    with_x = mode in ("all-with-x", "any-with-x")
    asked = {
        name: value
        for name, value in wanted.items()
        if name != "x-match" and (with_x or not name.startswith("x-"))
    }
    if not asked:
        return mode not in ("any", "any-with-x")
    if headers is None:
        return None
    checks = [
        value is None or same(value, headers[name]) if name in headers else False
        for name, value in asked.items()
    ]
    decides = mode in ("any", "any-with-x")
    if decides in checks:
        return decides
    return None if None in checks else not decides


_RULES: Final[Mapping[str, Callable[[Binding, Sequence[str], Headers | None], bool | None]]] = {
    "direct": _direct,
    "fanout": _always,
    "topic": _topic,
    "headers": _headers,
    "x-recent-history": _always,
    "x-consistent-hash": _always,
    "x-random": _always,
    "x-modulus-hash": _always,
    "x-local-random": _always,
}


def same(a: object, b: object) -> bool | None:
    """The broker's comparison of two header values: 1 is 1.0, but neither true nor "1"; a time is
    its seconds; bytes are the text they spell. None where a value was not recorded."""
    if a is UNRECORDED or b is UNRECORDED:
        other = b if a is UNRECORDED else a
        # a plain value would have been recorded as what it is
        return False if isinstance(other, bool | int | float | str) else None
    left, right = _plain(a), _plain(b)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right
    return type(left) is type(right) and left == right


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, bytes | bytearray):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            return bytes(value)
    return value
