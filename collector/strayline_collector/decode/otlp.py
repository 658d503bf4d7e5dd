"""The one façade over OTLP decoding: request bytes in, counts or an Arrow table of spans out.

Behind it stands the native module, or where that was not built the reference in Python
(``python.py``, ``otlp_json.py``). Both give identical results: the same counts, the same tables,
``BadInput`` for the same bytes. ``STRAYLINE_DECODER=python`` asks for the reference.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import pyarrow as pa

from strayline_collector.decode import otlp_json, python
from strayline_collector.decode.examined import Examined

log = logging.getLogger(__name__)

_NATIVE_FILE: Final = Path(__file__).parent / "native" / "_decoder.abi3.so"


class _Decoder(NamedTuple):
    name: Literal["native", "python"]
    examine: Callable[[bytes], Examined]
    decode: Callable[[Sequence[bytes], int], pa.Table]
    from_json: Callable[[bytes], bytes]


def _choose() -> _Decoder:
    """Logs why, when a native module is there and cannot be used."""
    reference = _Decoder("python", python.examine, python.decode, otlp_json.from_json)
    if os.environ.get("STRAYLINE_DECODER") == "python":
        return reference
    try:
        from strayline_collector.decode import native
    except ImportError as error:
        if _NATIVE_FILE.exists():
            log.warning("the native decoder cannot be used, the one in Python is: %s", error)
        return reference
    return _Decoder("native", native.examine, native.decode, native.from_json)


_decoder: Final = _choose()
DECODER: Final = _decoder.name


def examine(body: bytes) -> Examined:
    """Checks protobuf ``ExportTraceServiceRequest`` bytes whole and counts their spans; builds no
    table. What passes here, ``decode`` takes. Raises ``BadInput`` when the bytes are no such message.
    """
    return _decoder.examine(body)


def decode(requests: Sequence[bytes], received_ns: int) -> pa.Table:
    """Decodes protobuf ``ExportTraceServiceRequest`` bytes to the columns of ``spans`` less
    ``batch``. Spans whose ids are invalid are left out (``valid_ids``); the rest is kept whole.
    Raises ``BadInput`` when a request is no such message.
    """
    return _decoder.decode(requests, received_ns)


def from_json(body: bytes) -> bytes:
    """OTLP/JSON to protobuf bytes, by the rules that ``otlp_json.py`` lists. Raises ``BadInput``."""
    return _decoder.from_json(body)
