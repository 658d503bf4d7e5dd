"""The decoder in C++ (``src/``), behind the same three functions as the reference.

Importing this raises ``ImportError`` where the extension is missing, broken or built from other
sources than those beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from strayline_collector.decode.examined import Examined
from strayline_collector.decode.native import _decoder, sources
from strayline_collector.errors import BadInput

if (_beside := sources.digest()) is not None and _beside != _decoder.SOURCES:
    raise ImportError(
        f"{sources.MODULE} was built from other sources; build it again: python scripts/native.py"
    )


class _Stream:
    """What pyarrow asks for a table (Arrow PyCapsule interface)."""

    def __init__(self, capsule: object) -> None:
        self._capsule = capsule

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._capsule


def examine(body: bytes) -> Examined:
    """See ``decode.otlp.examine``."""
    try:
        return Examined(*_decoder.examine(body))
    except ValueError as error:
        raise BadInput(f"not an ExportTraceServiceRequest: {error}") from None


def decode(requests: Sequence[bytes], received_ns: int) -> pa.Table:
    """See ``decode.otlp.decode``."""
    try:
        stream = _decoder.decode(tuple(requests), received_ns)
    except ValueError as error:
        raise BadInput(f"not an ExportTraceServiceRequest: {error}") from None
    return pa.RecordBatchReader.from_stream(_Stream(stream)).read_all()


def from_json(body: bytes) -> bytes:
    """See ``decode.otlp.from_json``."""
    try:
        return _decoder.from_json(body)
    except ValueError as error:
        raise BadInput(f"the JSON body is no ExportTraceServiceRequest: {error}") from None
