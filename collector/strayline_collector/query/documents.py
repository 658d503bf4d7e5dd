"""JSON documents in requests."""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi import Request

from strayline_collector.errors import BadInput

MAX_DOCUMENT_BYTES: Final = 32 * 1024 * 1024


async def document_of(request: Request) -> dict[str, Any]:
    """A request\'s JSON object. Raises ``BadInput``, naming what is wrong."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_DOCUMENT_BYTES:
            raise BadInput(f"the document is larger than {MAX_DOCUMENT_BYTES:,} bytes")

    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadInput("the body must be a JSON object")
    return {str(name): value for name, value in document.items()}
