"""What a detector remembers of the history between two runs, so that it need not read it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.ipc

from strayline_collector.store.ports import Session


@dataclass(frozen=True, slots=True)
class Reach:
    """Which loads are new. ``since``: the last that was judged, 0 for none; ``newest``: the last that is there."""

    since: int
    newest: int


class Memory(Protocol):
    """Judges what new loads can have changed, by what it remembers of the others.

    What it says must be what a judgement of the whole history says. It is written into the store
    now and then, so that a restart goes on from there; without it everything is judged once.
    """

    gone: str
    """Finds what was said of ``touched`` (``rowid AS place`` and what it said); reads it and ``$detector``."""

    def judge(self, session: Session, reach: Reach) -> tuple[pa.Table, pa.Table]:
        """``touched`` for ``gone``, and the judgements that take the place. With ``since`` 0 all
        is forgotten first."""
        ...

    def written(self) -> bytes:
        """What holds once the last judgements are stored, for ``read`` of another process."""
        ...

    def read(self, written: bytes) -> bool:
        """Remembers what was written; no, where another version wrote it that remembered other things."""
        ...

    def keep(self) -> None:
        """The judgements are stored: what was learned on the way holds from now on."""
        ...


def packed(tables: Mapping[str, pa.Table], more: Any) -> bytes:
    """Tables by name, and something that JSON can tell, in one text of bytes."""
    sink = pa.BufferOutputStream()
    rows = {
        "name": ["", *tables],
        "value": [json.dumps(more).encode(), *map(_bytes, tables.values())],
    }
    table = pa.table(rows, pa.schema([("name", pa.string()), ("value", pa.large_binary())]))
    options = pyarrow.ipc.IpcWriteOptions(compression="zstd")
    with pyarrow.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def unpacked(written: bytes) -> tuple[dict[str, pa.Table], Any]:
    """What ``packed`` was given."""
    with pyarrow.ipc.open_stream(written) as reader:
        rows = reader.read_all().to_pylist()
    values: dict[str, bytes] = {row["name"]: row["value"] for row in rows}
    more = json.loads(values.pop(""))
    return {name: _table(value) for name, value in values.items()}, more


def _bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _table(value: bytes) -> pa.Table:
    with pyarrow.ipc.open_stream(value) as reader:
        return reader.read_all()
