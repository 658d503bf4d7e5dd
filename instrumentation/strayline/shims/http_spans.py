"""What the spans of HTTP clients and servers share: methods, old names, headers, errors.

One ``Side`` is made for each library when it is switched on; it has read the settings, so that a
request finds them as attributes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from opentelemetry import context

from strayline import conventions as c
from strayline import current, redact
from strayline.guard import log
from strayline.settings import Settings

KNOWN_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}
)
"""RFC 9110, PATCH of RFC 5789, QUERY of RFC 10008."""
MAX_HEADERS: Final = 64
"""Different headers recorded of one message."""

SUPPRESS_HTTP: Final[str] = getattr(
    context, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation"
)


def suppressed(found: Mapping[str, Any]) -> bool:
    """Whether this context asks not to be traced, as OpenTelemetry's exporters do, and those of its
    instrumentations that call another one."""
    return bool(found) and (bool(found.get(SUPPRESS_HTTP)) or current.suppressed(found))


class Headers:
    """Which headers of a message are recorded, and under which names."""

    __slots__ = ("_pattern", "_prefix", "_rules", "_sanitized")

    def __init__(self, prefix: str, names: Iterable[str], sanitized: Iterable[str]) -> None:
        self._prefix = prefix
        self._pattern = re.compile("|".join(f"(?:{name})" for name in names), re.IGNORECASE)
        secret = "|".join(f"(?:{name})" for name in sanitized)
        self._sanitized = re.compile(secret, re.IGNORECASE) if secret else None
        self._rules = redact.rules()

    def attributes(self, pairs: Iterable[tuple[Any, Any]]) -> dict[str, list[str]]:
        """Of names and values, as text or as the bytes of the wire."""
        found: dict[str, list[str]] = {}
        for raw, value in pairs:
            name = (raw.decode("latin-1") if isinstance(raw, bytes) else str(raw)).lower()
            if self._pattern.fullmatch(name) is None:
                continue
            if self._is_secret(name):
                text = redact.REDACTED
            else:
                text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
            key = self._prefix + name
            if key in found:
                found[key].append(text[: redact.MAX_TEXT])
            elif len(found) < MAX_HEADERS:
                found[key] = [text[: redact.MAX_TEXT]]
        return found

    def _is_secret(self, name: str) -> bool:
        return (self._sanitized is not None and self._sanitized.search(name) is not None) or (
            self._rules is not None and self._rules.hit(name)
        )


class Side:
    """How one library's requests are recorded; see ``http_client`` and ``http_server``."""

    old: Mapping[str, str]

    def __init__(self, scope: str, library: str, side: str) -> None:
        settings = Settings.read()
        self.scope = scope
        self.known = settings.known_methods or KNOWN_METHODS
        self.dup = "http" in settings.dup
        self.rules = redact.rules()
        general = settings.excluded_urls.get("", "")
        self.excluded = _any_of(settings.excluded_urls.get(library, general).split(","))
        self.request_headers = _headers(settings, side, "REQUEST")
        self.response_headers = _headers(settings, side, "RESPONSE")
        self.plain = not (self.dup or self.rules)
        """Whether attributes are recorded as they are."""

    def method(self, method: str, attributes: dict[str, Any]) -> str:
        """Notes a method that nobody knows; returns what stands for it in a span's name."""
        attributes[c.HTTP_REQUEST_METHOD] = "_OTHER"
        attributes[c.HTTP_REQUEST_METHOD_ORIGINAL] = str(method)[:256]
        return "HTTP"

    def finished(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """With old names too where they are wanted, without what is redacted."""
        if self.dup:
            for name, old in self.old.items():
                if name in attributes:
                    attributes[old] = attributes[name]
        return attributes if self.rules is None else self.rules.attributes(attributes)


def _headers(settings: Settings, side: str, of: str) -> Headers | None:
    names = [name for name in settings.capture_headers[f"{side}_{of}"] if _compiles(name)]
    secret = [name for name in settings.sanitize_headers if _compiles(name)]
    return Headers(f"http.{of.lower()}.header.", names, secret) if names else None


def _any_of(patterns: Iterable[str]) -> re.Pattern[str] | None:
    kept = [pattern.strip() for pattern in patterns if pattern.strip() and _compiles(pattern)]
    return re.compile("|".join(f"(?:{pattern})" for pattern in kept)) if kept else None


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error as error:
        log.warning("%r is no regular expression (%s); it is left out", pattern, error)
        return False
    return True
