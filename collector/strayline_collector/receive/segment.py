"""Segment files of the journal: how a record lies on disk, and how what is sound is found again.

Record: magic (4 bytes), length of the body (u32), time received (u64 unix ns), CRC-32 of the body
(u32), CRC-32 of the head (u32), body; big-endian. The head's CRC covers the segment's number and
the record's offset too, so that neither a stale nor a copied head passes for one: after damage the
next sound head is searched for, and only the records between are lost.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Final

from strayline_collector.store.ports import Position

_MAGIC: Final = b"\xf5SLJ"
_FIELDS: Final = struct.Struct(">4sIQI")
_PLACE: Final = struct.Struct(">QQ")
_CRC: Final = struct.Struct(">I")
HEAD_BYTES: Final = _FIELDS.size + _CRC.size
_SEARCH_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class Record:
    """One received request and the position after it. ``rows`` is 0 where nobody counted."""

    body: bytes
    received_ns: int
    after: Position
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a segment that hold no sound record. ``tail``: nothing sound follows them."""

    start: int
    stop: int
    tail: bool


def head(segment: int, offset: int, body: bytes, received_ns: int) -> bytes:
    """What precedes ``body`` at this place."""
    fields = _FIELDS.pack(_MAGIC, len(body), received_ns, zlib.crc32(body))
    return fields + _CRC.pack(zlib.crc32(_PLACE.pack(segment, offset), zlib.crc32(fields)))


def path_of(directory: Path, segment: int) -> Path:
    return directory / f"{segment:012d}.segment"


def segments_in(directory: Path) -> list[int]:
    """Numbers of the segments there, oldest first."""
    return sorted(int(p.stem) for p in directory.glob("*.segment") if p.stem.isdigit())


def read_segment(path: Path, segment: int, start: int, stop: int) -> Iterator[Record | Damage]:
    """What lies from ``start`` to ``stop``, in order. ``start`` is the beginning of a record."""
    with path.open("rb") as file:
        stop = min(stop, os.fstat(file.fileno()).st_size)
        offset = start
        while offset < stop:
            file.seek(offset)
            found = _head_at(file.read(HEAD_BYTES), segment, offset)
            if found is None or offset + HEAD_BYTES + found[0] > stop:
                following = _next_head(file, segment, offset + 1, stop)
                yield Damage(offset, following or stop, following is None)
                offset = following or stop
                continue
            length, received_ns, crc = found
            body = file.read(length)
            after = offset + HEAD_BYTES + length
            if zlib.crc32(body) == crc:
                yield Record(body, received_ns, Position(segment, after))
            else:
                yield Damage(offset, after, tail=False)
            offset = after


def _head_at(data: bytes, segment: int, offset: int) -> tuple[int, int, int] | None:
    """Length, time and CRC of the body, where ``data`` is the head of a record at this place."""
    if len(data) < HEAD_BYTES or not data.startswith(_MAGIC):
        return None
    crc = zlib.crc32(_PLACE.pack(segment, offset), zlib.crc32(data[: _FIELDS.size]))
    if _CRC.unpack_from(data, _FIELDS.size)[0] != crc:
        return None
    _, length, received_ns, body_crc = _FIELDS.unpack_from(data)
    return length, received_ns, body_crc


def _next_head(file: BufferedReader, segment: int, start: int, stop: int) -> int | None:
    """Offset of the first sound head from ``start`` on."""
    base = start
    while base < stop:
        file.seek(base)
        # an overlap, for a head across the border of two blocks
        block = file.read(min(_SEARCH_BYTES + HEAD_BYTES, stop - base))
        for match in re.finditer(re.escape(_MAGIC), block):
            at = match.start()
            if _head_at(block[at : at + HEAD_BYTES], segment, base + at) is not None:
                return base + at
        base += _SEARCH_BYTES
    return None
