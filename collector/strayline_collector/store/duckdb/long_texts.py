"""Long texts lie beside their rows.

DuckDB holds 2,048 neighbouring values of a column in memory whenever it writes or reads one, so a
text of a megabyte in each row takes two gigabytes, and a resource of 130 kB that comes with 2,000
spans a quarter. So a text beyond its column's limit is cut short in the row, in such a way that
JSON stays JSON, and stands whole in ``long_texts`` in parts: once a load, however many rows have
it. The row's ``shortened`` says which columns those are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute

compute: Final[Any] = pyarrow.compute  # makes its functions at run time, unknown to types

JSON_BYTES: Final = 16_384
"""Of a JSON column in the row: 2,048 of them take 32 MiB, a quarter of the least a store may have.
A stack trace of two hundred lines fits."""
TEXT_BYTES: Final = 1_024
"""Of every other text."""
VALUE_CHARS: Final = 1_024
"""Of one text within shortened JSON."""
PART_CHARS: Final = 2_048
"""Of a part in ``long_texts``: four bytes a character at most, so half a JSON column's limit."""
CUT: Final = "…"
"""Where a text was cut."""

JSON: Final = ("attributes", "events", "links", "resource", "scope", "dropped")
_HISTORY: Final = ("attributes", "links")
_PARTS: Final = pa.schema([("n", pa.int64()), ("part", pa.int32()), ("text", pa.string())])


@dataclass(frozen=True, slots=True)
class Stored:
    """Spans as they are stored (with ``shortened``), and the parts of what was cut short (``n``,
    ``part``, ``text``; None when nothing was)."""

    spans: pa.Table
    parts: pa.Table | None
    told: pa.Table
    """The spans with whole attributes and links, which history is made of."""

    def take(self, places: pa.Array) -> Stored:
        """Some of the spans, in this order."""
        spans = self.spans.take(places)
        told = spans if self.told is self.spans else self.told.take(places)
        if self.parts is None:
            return Stored(spans, None, told)
        named = [json.loads(text).values() for text in spans["shortened"].to_pylist() if text]
        used = pa.array(sorted({n for numbers in named for n in numbers}), pa.int64())
        parts = self.parts.filter(compute.is_in(self.parts["n"], value_set=used))
        return Stored(spans, parts, told)


def shorten(spans: pa.Table, *, first_n: int = 0) -> Stored:
    """Cuts what is too long for its row. ``first_n``: the first ``n`` that the load has not used."""
    told = spans
    numbers: dict[str, int] = {}
    named: dict[int, dict[str, int]] = {}
    for at, (name, column) in enumerate(zip(spans.column_names, spans.columns, strict=True)):
        if not pa.types.is_string(column.type) or not _too_long(column, name):
            continue
        made: dict[str, str] = {}
        chunks: list[Any] = []
        first = 0
        for (
            chunk
        ) in column.chunks:  # together they would be copied, and may be a quarter of a gigabyte
            long = compute.fill_null(
                compute.greater(compute.binary_length(chunk), _most(name)), False
            )
            short: list[str] = []
            for row in compute.indices_nonzero(long).to_pylist():
                text = chunk[row].as_py()
                if text not in made:
                    made[text] = _json(text) if name in JSON else _cut(text, TEXT_BYTES)
                short.append(made[text])
                named.setdefault(first + row, {})[name] = numbers.setdefault(
                    text, first_n + len(numbers)
                )
            chunks.append(compute.replace_with_mask(chunk, long, pa.array(short, pa.string())))
            first += len(chunk)
        filled = pa.chunked_array(chunks, pa.string())
        spans = spans.set_column(at, name, filled)
        if name not in _HISTORY:
            told = told.set_column(at, name, filled)
    if not named:
        return Stored(spans, None, spans)
    shortened = [json.dumps(named[row]) if row in named else None for row in range(spans.num_rows)]
    spans = spans.append_column("shortened", pa.array(shortened, pa.string()))
    return Stored(spans, _parts(list(numbers), first_n), told)


def _too_long(column: pa.ChunkedArray, name: str) -> bool:
    longest: int | None = compute.max(compute.binary_length(column)).as_py()
    return longest is not None and longest > _most(name)


def _most(name: str) -> int:
    return JSON_BYTES if name in JSON else TEXT_BYTES


def _parts(texts: list[str], first_n: int) -> pa.Table:
    rows = [
        (n, part, text[start : start + PART_CHARS])
        for n, text in enumerate(texts, start=first_n)
        for part, start in enumerate(range(0, len(text), PART_CHARS))
    ]
    columns = zip(*rows, strict=True)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, _PARTS, strict=True)],
        schema=_PARTS,
    )


def _cut(text: str, most: int) -> str:
    """The beginning of ``text``, in ``most`` bytes."""
    return text.encode()[: most - len(CUT.encode())].decode(errors="ignore") + CUT


def _json(text: str) -> str:
    """JSON of the same shape in ``JSON_BYTES``: long texts are cut, and of lists and objects what
    is shortest is kept, in its order, so that as many names and values as can be stay findable."""
    return _written(_fitting(json.loads(text), JSON_BYTES))


def _fitting(value: Any, room: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= VALUE_CHARS else value[: VALUE_CHARS - 1] + CUT
    if isinstance(value, list):
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        return list(_kept([(0, item) for item in items], room - 2).values())
    if isinstance(value, dict):
        pairs: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        entries = [(len(_written(name)) + 1, item) for name, item in pairs.items()]
        kept = _kept(entries, room - 2)
        return {name: kept[index] for index, name in enumerate(pairs) if index in kept}
    return value


def _kept(entries: list[tuple[int, Any]], room: int) -> dict[int, Any]:
    """What fits of ``entries`` (size of the name, value), by place. The longest gets what the
    others leave."""
    kept: dict[int, Any] = {}
    sizes = [len(_written(value)) for _, value in entries]
    for index in sorted(range(len(entries)), key=sizes.__getitem__):
        named, value = entries[index]
        fitting = _fitting(value, room - named - 1)
        size = named + len(_written(fitting)) + 1
        if size <= room:
            kept[index] = fitting
            room -= size
    return dict(sorted(kept.items()))


def _written(value: Any) -> str:
    """As bytes are counted: anything but ASCII is escaped, which takes no less than UTF-8."""
    return json.dumps(value, separators=(",", ":"))
