"""Which keys a channel's address names."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

_PARAMETER: Final = re.compile(r"\{[^{}]*\}")


def matches_address(address: str, key: str) -> bool:
    """Whether ``address`` names ``key``: literally, with ``{parameter}`` for any text, and as a topic
    pattern where one of its words is ``*`` or ``#``."""
    words = address.split(".")
    if "*" not in words and "#" not in words:
        return address == key or _literal(address).fullmatch(key) is not None
    return _topic(tuple(words), tuple(key.split(".")) if key else ())


def _topic(pattern: tuple[str, ...], words: tuple[str, ...]) -> bool:
    row = [True, *([False] * len(words))]
    for part in pattern:
        if part == "#":
            for i in range(len(words)):
                row[i + 1] = row[i + 1] or row[i]
        else:
            hits = [part == "*" or _literal(part).fullmatch(word) is not None for word in words]
            row = [False, *(row[i] and hit for i, hit in enumerate(hits))]
    return row[-1]


@cache
def _literal(text: str) -> re.Pattern[str]:
    return re.compile(".+".join(re.escape(part) for part in _PARAMETER.split(text)))
