"""The one façade over OTLP decoding: request bytes in, counts or an Arrow table of spans out.

Behind it stands the native module, or where that was not built the reference in Python
(``python.py``, ``otlp_json.py``). Both give identical results: the same counts, the same tables,
``BadInput`` for the same bytes. ``STRAYLINE_DECODER=python`` asks for the reference.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Final, Literal

import pyarrow as pa

from strayline_collector.decode import otlp_json, python
from strayline_collector.decode.examined import Examined

log = logging.getLogger(__name__)

EXTENSION: Final = "strayline_collector.decode.native._decoder"


def _choose() -> Literal["native", "python"]:
    """Logs why, when a native module is there and cannot be used."""
    if os.environ.get("STRAYLINE_DECODER") == "python":
        return "python"
    try:
        from strayline_collector.decode import native as _
    except ImportError as error:
        if not (isinstance(error, ModuleNotFoundError) and error.name == EXTENSION):
            log.warning("the native decoder cannot be used, the one in Python is: %s", error)
        return "python"
    return "native"


DECODER: Final = _choose()

if DECODER == "native":
    from strayline_collector.decode import native

    _examine, _decode, _from_json = native.examine, native.decode, native.from_json
else:
    _examine, _decode, _from_json = python.examine, python.decode, otlp_json.from_json


def examine(body: bytes) -> Examined:
    """Checks protobuf ``ExportTraceServiceRequest`` bytes whole and counts their spans; builds no
    table. What passes here, ``decode`` takes. Raises ``BadInput`` when the bytes are no such message.
    """
    return _examine(body)


def decode(requests: Sequence[bytes], received_ns: int) -> pa.Table:
    """Decodes protobuf ``ExportTraceServiceRequest`` bytes to the columns of ``spans`` less
    ``batch``. Spans whose ids are invalid are left out (``valid_ids``); the rest is kept whole.
    Raises ``BadInput`` when a request is no such message.
    """
    return _decode(requests, received_ns)


def from_json(body: bytes) -> bytes:
    """OTLP/JSON to protobuf bytes, by the rules that ``otlp_json.py`` lists. Raises ``BadInput``."""
    return _from_json(body)
