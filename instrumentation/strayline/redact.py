"""What must not be recorded: ``STRAYLINE_REDACT``, the URL parameters that the semantic conventions
name, and credentials in URLs.

``rules()`` is None when the setting is empty, so that whoever has many attributes to look through
asks once, when it is switched on, and pays nothing afterwards.
"""

from __future__ import annotations

import fnmatch
import functools
import re
import traceback
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import unquote_plus

from strayline.settings import redacted

REDACTED: Final = "REDACTED"
MAX_TEXT: Final = 8192
"""Characters kept of any text that a peer or a user chose; also what bounds the work below."""

SIGNATURES: Final = frozenset(
    {
        "AWSAccessKeyId",
        "Signature",
        "sig",
        "X-Amz-Credential",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
        "X-Goog-Signature",
    }
)
"""Parameters that sign a URL: always redacted, and with regard to case, as the conventions say."""

_SIGNED: Final = re.compile("|".join(sorted(SIGNATURES)))
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/?#\s@]*(?:@[^/?#\s@]*)*(?=@)")
_HEADER: Final = re.compile(r"http\.(?:request|response)\.header\.")
_PARAMETER: Final = re.compile(r"""([?&])([^=&?\s"'#]{1,128})=([^&\s"'#)\]>]*)""")
"""A URL's parameter in the middle of prose, such as an exception's message."""


class Rules:
    """The names of ``STRAYLINE_REDACT``, understood."""

    def __init__(self, names: Iterable[str]) -> None:
        # fnmatch's own ? and [ ] mean themselves here; it is used since its patterns cannot blow up
        plain = (name.lower().replace("[", "[[]").replace("?", "[?]") for name in names)
        pattern = re.compile("|".join(fnmatch.translate(name) for name in plain))
        self.hit = functools.lru_cache(1024)(lambda name: pattern.match(name.lower()) is not None)
        """Whether an attribute, header or parameter of that name is redacted."""

    def attributes(self, found: dict[str, Any]) -> dict[str, Any]:
        """``found`` itself when nothing in it is named, else a copy without the named values."""
        named = [name for name in found if self.hit(name) or self.hit(_HEADER.sub("", name, 1))]
        if not named:
            return found
        kept = dict(found)
        for name in named:
            several = isinstance(found[name], (list, tuple))
            kept[name] = [REDACTED] if several else REDACTED
        return kept


def rules() -> Rules | None:
    """The setting, understood once; None when it is empty."""
    names = redacted()
    return _understood(names) if names else None


_understood: Final = functools.lru_cache(1)(Rules)


def attributes(found: dict[str, Any]) -> dict[str, Any]:
    """A span's attributes as they may be recorded."""
    named = rules()
    return found if named is None else named.attributes(found)


def url(text: str) -> str:
    """A URL without credentials, and without the values of parameters that must not be known."""
    if len(text) > MAX_TEXT:
        text = text[:MAX_TEXT]
    if "@" in text:
        text = _CREDENTIALS.sub(f"{REDACTED}:{REDACTED}", text, 1)
    head, mark, rest = text.partition("?")
    if not mark:
        return text
    found, fragment, end = rest.partition("#")
    return f"{head}?{query(found)}{fragment}{end}"


def query(text: str) -> str:
    """A URL's query without the values of parameters that must not be known."""
    if len(text) > MAX_TEXT:
        text = text[:MAX_TEXT]
    named = rules()
    if named is None and "%" not in text and _SIGNED.search(text) is None:
        return text
    return "&".join([_pair(part, named) for part in text.split("&")])


def prose(text: str) -> str:
    """Text that may quote a URL, as many exceptions' messages do."""
    return _without(text[:MAX_TEXT])


def _without(text: str) -> str:
    if "@" in text:
        text = _CREDENTIALS.sub(f"{REDACTED}:{REDACTED}", text)
    if "=" not in text:
        return text
    named = rules()

    def without(match: re.Match[str]) -> str:
        secret = _is_secret(match[2], named)
        return f"{match[1]}{match[2]}={REDACTED}" if secret else match[0]

    return _PARAMETER.sub(without, text)


def exception(error: BaseException) -> dict[str, str]:
    """What ``record_exception`` must be told instead: empty where neither the error nor one that
    it came from quotes a secret."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    if all(prose(said) == said[:MAX_TEXT] for said in map(str, chain)):
        return {}
    told = "".join(traceback.format_exception(error))
    return {"exception.message": prose(str(error)), "exception.stacktrace": _without(told)}


def _pair(part: str, named: Rules | None) -> str:
    name, equals, _ = part.partition("=")
    return f"{name}={REDACTED}" if equals and _is_secret(name, named) else part


def _is_secret(name: str, named: Rules | None) -> bool:
    if "%" in name or "+" in name:
        name = unquote_plus(name)
    return name in SIGNATURES or (named is not None and named.hit(name))
