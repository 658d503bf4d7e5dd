"""Who may come in: bearer tokens (RFC 6750), compared in constant time. Every door asks here."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strayline_collector.errors import Unauthorised, UsageError

CHALLENGE: Final = "Bearer"
"""What ``WWW-Authenticate`` says beside a 401."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
"""RFC 6750, section 2.1: ``b64token``."""


@dataclass(frozen=True, slots=True)
class Access:
    """The tokens of which any one opens the doors; without any, every door is open."""

    tokens: tuple[str, ...] = ()

    def authorised(self, header: str | bytes | None) -> bool:
        """Whether an ``Authorization`` header (gRPC: the ``authorization`` metadata) lets in.

        The time taken tells nothing of the tokens: digests of one length are compared, and all of
        them whatever the first comparison says.
        """
        if not self.tokens:
            return True
        raw = header.encode("utf-8", "surrogatepass") if isinstance(header, str) else header
        scheme, _, told = (raw or b"").partition(b" ")
        digest = hashlib.sha256(told.strip()).digest()
        found = False
        for token in self.tokens:
            found |= hmac.compare_digest(hashlib.sha256(token.encode()).digest(), digest)
        return found and scheme.lower() == b"bearer"

    def demand(self, header: str | bytes | None) -> None:
        """Raises ``Unauthorised`` unless the header lets in."""
        if not self.authorised(header):
            raise Unauthorised(
                "this collector wants a token: send 'Authorization: Bearer TOKEN'"
                if not header
                else "the token is not one of this collector's"
            )


OPEN: Final = Access()
"""Everybody may come in."""


def read_tokens(given: Iterable[str], file: Path | None) -> tuple[str, ...]:
    """The tokens of ``--token`` and of ``--token-file`` (one a line). Raises ``UsageError``,
    which never repeats a token."""
    tokens = [(token, "--token") for token in given]
    if file is not None:
        try:
            lines = file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--token-file {file}: cannot be read: {error}") from None
        tokens += [(line.strip(), f"--token-file {file}") for line in lines if line.strip()]
        if not any(line.strip() for line in lines):
            raise UsageError(f"--token-file {file}: holds no token; write one a line")
    for token, source in tokens:
        if not _TOKEN.fullmatch(token):
            raise UsageError(
                f"{source}: a token is letters, digits and -._~+/ (then =), at least one; "
                "make one with: openssl rand -hex 32"
            )
    return tuple(dict.fromkeys(token for token, _ in tokens))
