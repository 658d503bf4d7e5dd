"""The one façade over OTLP decoding: request bytes in, an Arrow table of spans out.

A native decoder may stand behind it one day; whichever does gives identical tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import pyarrow as pa

from strayline_collector.decode import python

DECODER: Final[Literal["native", "python"]] = "python"


def decode(requests: Sequence[bytes], received_ns: int) -> pa.Table:
    """Decodes protobuf ``ExportTraceServiceRequest`` bytes to the columns of ``spans`` less
    ``batch``. Spans whose ids are invalid are left out (``valid_ids``); the rest is kept whole.
    Raises ``BadInput`` when a request is no such message.
    """
    return python.decode(requests, received_ns)
