"""Request bodies: capped and decompressed."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Final

from strayline_collector.decode.otlp import DECODER
from strayline_collector.errors import BadInput, TooLarge

_STEP: Final = 256 * 1024
_WINDOW: Final = 16 * 1024
"""Fed at once: zlib copies what follows a member's end, and a body may be millions of members."""

JSON_WEIGHT: Final = 2 if DECODER == "native" else 12
"""Memory that turning JSON into protobuf takes, in sizes of the text."""


def gunzip(data: bytes, limit: int, hold: Callable[[int], None]) -> bytes:
    """Decompresses gzip of any number of members, never holding more than ``limit`` bytes of it.
    ``hold`` is asked for each further part's bytes as it comes. Raises ``TooLarge`` over the limit,
    ``BadInput`` for damaged or truncated data, and what ``hold`` raises."""
    whole = BytesIO()  # gives its bytes away uncopied, where joining parts would hold them twice
    source = memoryview(data)
    size = offset = 0
    while offset < len(source):
        member = zlib.decompressobj(wbits=31)
        pending: bytes | memoryview = b""
        try:
            while not member.eof:
                if not pending:
                    pending = source[offset : offset + _WINDOW]
                    offset += len(pending)
                out = member.decompress(pending, _STEP)
                size += len(out)
                if size > limit:
                    raise TooLarge(f"the body is larger than {limit:,} bytes once decompressed")
                if out:
                    hold(len(out))
                    whole.write(out)
                elif not pending:
                    raise BadInput("the gzip body is truncated")
                pending = member.unconsumed_tail
        except zlib.error as error:
            raise BadInput(f"the body is not gzip: {error}") from None
        offset -= len(member.unused_data)
    return whole.getvalue()
