"""Message bodies: never recorded unless asked for, and then redacted.

``STRAYLINE_CAPTURE_BODY_BYTES=2048`` records so much of each body as ``strayline.body``. Where
``STRAYLINE_REDACT_BODY`` names JSON paths, only JSON bodies of at most 64 KiB are recorded, since
nothing can be taken out of others.
"""

from __future__ import annotations

import functools
import json
from typing import Any, Final

from strayline import conventions as c
from strayline import settings
from strayline.guard import log, survived
from strayline.jsonpath import Path, PathError, parse, replace

MAX_PARSED: Final = 65_536
REDACTED: Final = "REDACTED"


def asked_for() -> bool:
    """Whether bodies are recorded at all."""
    return bool(settings.bodies()[0])


def capture(attributes: dict[str, Any], body: bytes) -> None:
    """Adds the body to a span's attributes, as far as that is asked for."""
    limit, texts = settings.bodies()
    paths = _parsed(texts)
    if paths is None:
        return
    if limit and body:
        with survived("recording a body"):
            text = _text(body, paths)
            if text is None:
                attributes[c.BODY_OMITTED] = "cannot be redacted" if paths else "not text"
            else:
                attributes[c.BODY] = text.encode()[:limit].decode("utf-8", "ignore")


@functools.lru_cache(maxsize=4)
def _parsed(texts: tuple[str, ...]) -> tuple[Path, ...] | None:
    """None where one is no path: what cannot be redacted must not be recorded."""
    paths: list[Path] = []
    for text in texts:
        try:
            paths.append(parse(text))
        except PathError as error:
            log.warning("STRAYLINE_REDACT_BODY: %s; no body is recorded", error)
            return None
    return tuple(paths)


def _text(body: bytes, paths: tuple[Path, ...]) -> str | None:
    """The body as text, redacted; None where that cannot be done."""
    if not paths:
        try:
            return bytes(body).decode()
        except UnicodeDecodeError:
            return None
    if len(body) > MAX_PARSED:
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for path in paths:
        document = replace(document, path, REDACTED)
    return json.dumps(document, ensure_ascii=False)
