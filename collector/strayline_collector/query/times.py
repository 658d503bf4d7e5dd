"""Times in and out of the API."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from strayline_collector.detect.watermark import rfc3339
from strayline_collector.errors import BadInput

BEGINNING: Final = 0
END: Final = 2**63 - 1
_FRACTION: Final = re.compile(r"(?<=\d\d:\d\d:\d\d)[.,](\d+)")
_SPACE_FOR_PLUS: Final = re.compile(r"(T.*) (\d\d:?\d\d)\Z")

__all__ = ["BEGINNING", "END", "parse_time", "rfc3339", "time_range"]


def parse_time(text: str, name: str) -> int:
    """RFC 3339 or integer unix nanoseconds, to unix nanoseconds; what lies outside ``BEGINNING`` to
    ``END``, as nothing stored does, to the nearer of them. The ``+`` of an offset may have become a
    space, as an URL's does that was not quoted. Raises ``BadInput`` naming the parameter."""
    stripped = text.strip()
    if stripped.isascii() and stripped.removeprefix("-").isdigit() and len(stripped) <= 19:
        return _within(int(stripped))
    written = _SPACE_FOR_PLUS.sub(r"\1+\2", stripped.upper())
    fraction = _FRACTION.search(written)
    try:
        moment = datetime.fromisoformat(_FRACTION.sub("", written))
    except ValueError:
        raise BadInput(
            f"{name}={text}: expected RFC 3339 (2026-01-31T12:00:00Z) or unix nanoseconds"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime.fromtimestamp(0, UTC)
    # datetime itself has microseconds
    below_s = delta.microseconds * 1000
    if fraction is not None:
        below_s = int(fraction[1][:9].ljust(9, "0"))
    return _within((delta.days * 86400 + delta.seconds) * 1_000_000_000 + below_s)


def _within(ns: int) -> int:
    return max(BEGINNING, min(ns, END))


def time_range(
    start: str | None, end: str | None, names: tuple[str, str] = ("start", "end")
) -> dict[str, int]:
    """``start_ns`` and ``end_ns`` for SQL; what is left out means everything. ``names`` are the
    parameters' own."""
    found = {
        "start_ns": BEGINNING if start is None else parse_time(start, names[0]),
        "end_ns": END if end is None else parse_time(end, names[1]),
    }
    if found["start_ns"] > found["end_ns"]:
        raise BadInput(f"{names[0]}={start} is after {names[1]}={end}")
    return found
