"""How much a span may hold: the OpenTelemetry SDK's environment variables and defaults."""

from __future__ import annotations

import os
from dataclasses import dataclass

from strayline.guard import log


@dataclass(frozen=True, slots=True)
class Limits:
    """Counts and lengths; None is no limit."""

    attributes: int | None = 128
    events: int | None = 128
    links: int | None = 128
    event_attributes: int | None = 128
    link_attributes: int | None = 128
    length: int | None = None
    """Characters of a text in events and links."""
    span_length: int | None = None
    """Characters of a text among a span's own attributes."""

    @staticmethod
    def read() -> Limits:
        """From the environment. What cannot be understood is said and left at its default."""
        attributes = _read("OTEL_ATTRIBUTE_COUNT_LIMIT", 128)
        length = _read("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", None)
        return Limits(
            attributes=_read("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", attributes),
            events=_read("OTEL_SPAN_EVENT_COUNT_LIMIT", 128),
            links=_read("OTEL_SPAN_LINK_COUNT_LIMIT", 128),
            event_attributes=_read("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", attributes),
            link_attributes=_read("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", attributes),
            length=length,
            span_length=_read("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", length),
        )


def _read(name: str, default: int | None) -> int | None:
    text = os.environ.get(name, "").strip().lower()
    if not text:
        return default
    if text == "unset":
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    log.warning("%s=%s is no whole number; %s is used", name, text, default)
    return default
