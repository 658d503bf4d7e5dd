"""Request bodies: capped and decompressed. OTLP/JSON is turned into protobuf by ``formats``."""

from __future__ import annotations

import zlib
from typing import Final

from strayline_collector.errors import BadInput, TooLarge
from strayline_collector.formats.otlp_json import json_to_protobuf

__all__ = ["gunzip", "json_to_protobuf"]

_STEP: Final = 256 * 1024


def gunzip(data: bytes, limit: int) -> bytes:
    """Decompresses gzip of any number of members, never holding more than ``limit`` bytes of it.
    Raises ``TooLarge`` over the limit and ``BadInput`` for damaged or truncated data."""
    parts: list[bytes] = []
    size = 0
    rest = data
    while rest:
        member = zlib.decompressobj(wbits=31)
        pending = rest
        try:
            while not member.eof:
                out = member.decompress(pending, _STEP)
                size += len(out)
                if size > limit:
                    raise TooLarge(f"the body is larger than {limit:,} bytes once decompressed")
                parts.append(out)
                pending = member.unconsumed_tail
                if not pending and not member.eof and not out:
                    raise BadInput("the gzip body is truncated")
        except zlib.error as error:
            raise BadInput(f"the body is not gzip: {error}") from None
        rest = member.unused_data
    return b"".join(parts)
