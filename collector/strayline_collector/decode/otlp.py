"""The one façade over OTLP decoding: request bytes in, counts or an Arrow table of spans out.

Whatever stands behind it gives identical results: the same counts, the same tables, ``BadInput``
for the same bytes. ``decode/python.py`` is the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import pyarrow as pa

from strayline_collector.decode import python
from strayline_collector.decode.examined import Examined

DECODER: Final[Literal["native", "python"]] = "python"


def examine(body: bytes) -> Examined:
    """Checks protobuf ``ExportTraceServiceRequest`` bytes whole and counts their spans; builds no
    table. What passes here, ``decode`` takes. Raises ``BadInput`` when the bytes are no such message.
    """
    return python.examine(body)


def decode(requests: Sequence[bytes], received_ns: int) -> pa.Table:
    """Decodes protobuf ``ExportTraceServiceRequest`` bytes to the columns of ``spans`` less
    ``batch``. Spans whose ids are invalid are left out (``valid_ids``); the rest is kept whole.
    Raises ``BadInput`` when a request is no such message.
    """
    return python.decode(requests, received_ns)
